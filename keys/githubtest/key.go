// SPDX-License-Identifier: AGPL-3.0-or-later

package githubtest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Key is the ed25519 key of a login, the same at every run.
func Key(login string) string {
	seed := sha256.Sum256([]byte(strings.ToLower(login)))
	pub, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed[:]).Public())
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub)))
}
