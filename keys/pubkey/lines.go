// SPDX-License-Identifier: AGPL-3.0-or-later

package pubkey

import (
	"castgate/wrap/restrict"
)

// Line is a line of an authorized_keys file that has a key.
type Line struct {
	Number int
	Text   string // as it stands in the file, without blanks around it
	Key    Key
	Fault  error // why it opens nothing: an option that a line may not have here
}

// ReadLines reads the lines of an authorized_keys file that have a key which may
// open an account. How sshd reads such a line is for package restrict to know.
func ReadLines(file string, text []byte) []Line {
	var all []Line
	for _, l := range restrict.ParseLines(file, text) {
		if k, err := fromBlob(l.Blob); err == nil {
			all = append(all, Line{l.Number, l.Text, k, CheckOptions(l.Options)})
		}
	}
	return all
}

// fromBlob is the key of a blob, whose type stands at its front.
func fromBlob(blob []byte) (Key, error) {
	typ, _, _ := cutField(blob)
	return check(Key{Type: string(typ), Blob: blob})
}
