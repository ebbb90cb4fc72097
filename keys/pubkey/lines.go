// SPDX-License-Identifier: AGPL-3.0-or-later

package pubkey

import (
	"fmt"
	"os"
	"strings"

	"castgate/wrap/hint"
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

// ReadFile reads the first public key of a file as ssh-keygen writes them.
func ReadFile(path string) (Key, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return Key{}, fmt.Errorf("read the key: %w", err)
	}
	if lines := ReadLines(path, body); len(lines) > 0 {
		return lines[0].Key, nil
	}
	err = fmt.Errorf("read the key: %q has no public key", path)
	if strings.Contains(string(body), "PRIVATE KEY") {
		return Key{}, hint.Add(err, "that is the private half: name the file ending in .pub")
	}
	return Key{}, err
}
