// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"bytes"
	"errors"

	"filippo.io/age"
	"filippo.io/age/agessh"
)

// parseIdentities reads one identity file. Errors of the parsers are not passed
// on: they may quote the key.
func parseIdentities(text []byte) ([]age.Identity, error) {
	if bytes.Contains(text, []byte("-----BEGIN")) {
		id, err := agessh.ParseIdentity(text)
		if err != nil {
			return nil, errors.New("the SSH key can't be read, or has a passphrase")
		}
		return []age.Identity{id}, nil
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return nil, errors.New("it holds no age identity")
	}
	return ids, nil
}
