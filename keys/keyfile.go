// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"fmt"
	"os"
	"strings"
)

// ReadKeyFile reads the first public key of a file as ssh-keygen writes them.
func ReadKeyFile(path string) (Key, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return Key{}, fmt.Errorf("read the key: %w", err)
	}
	for line := range strings.Lines(string(body)) {
		if k, _, ok := findKey(strings.TrimSpace(line)); ok {
			return k, nil
		}
	}
	err = fmt.Errorf("read the key: %q has no public key", path)
	if strings.Contains(string(body), "PRIVATE KEY") {
		return Key{}, advise(err, "that is the private half: name the file ending in .pub")
	}
	return Key{}, err
}
