// SPDX-License-Identifier: AGPL-3.0-or-later

package pubkey

import (
	"fmt"
	"os"
	"strings"

	"castgate/keys/hint"
)

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
