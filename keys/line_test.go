// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"crypto/ed25519"
	"crypto/sha256"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// testKey is the ed25519 key of a login, the same at every run.
func testKey(login string) string {
	seed := sha256.Sum256([]byte(strings.ToLower(login)))
	pub, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed[:]).Public())
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub)))
}

func TestParseKeyRefuses(t *testing.T) {
	good := strings.Fields(testKey("octocat"))[1]
	for _, tt := range []struct{ name, typ, b64 string }{
		{"empty", "", ""},
		{"other type than the blob", "ssh-rsa", good},
		{"unknown type", "ssh-dss", good},
		{"certificate", "ssh-ed25519-cert-v01@openssh.com", good},
		{"cut", "ssh-ed25519", good[:len(good)-4]},
		{"too long", "ssh-ed25519", good + "AAAA"},
		{"line end inside", "ssh-ed25519", good[:8] + "\n" + good[8:]},
		{"not base64", "ssh-ed25519", "!" + good[1:]},
		{"huge", "ssh-rsa", strings.Repeat("A", 1<<20)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if k, err := ParseKey(tt.typ, tt.b64); err == nil {
				t.Errorf("taken: %v", k)
			}
		})
	}
}
