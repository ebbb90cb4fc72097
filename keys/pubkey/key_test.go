// SPDX-License-Identifier: AGPL-3.0-or-later

package pubkey

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"

	"castgate/keys/githubtest"

	"golang.org/x/crypto/ssh"
)

// testKey is a login's key.
var testKey = githubtest.Key

func TestParseRefuses(t *testing.T) {
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
			if k, err := Parse(tt.typ, tt.b64); err == nil {
				t.Errorf("taken: %v", k)
			}
		})
	}
}

// skKey is an ed25519 key on a hardware token (PROTOCOL.u2f).
func skKey(login string) string {
	k, err := ParseLine(testKey(login))
	if err != nil {
		panic(err)
	}
	const typ = "sk-ssh-ed25519@openssh.com"
	var blob []byte
	for _, f := range []string{typ, string(k.Blob[len(k.Blob)-32:]), "ssh:"} {
		blob = append(binary.BigEndian.AppendUint32(blob, uint32(len(f))), f...)
	}
	return typ + " " + base64.StdEncoding.EncodeToString(blob)
}

// FuzzParseLine compares with the parser of x/crypto/ssh: what we take, it takes
// too, and as the same key.
func FuzzParseLine(f *testing.F) {
	f.Add(testKey("octocat"))
	f.Add(skKey("octocat"))
	f.Add("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAwEAAQ==")
	f.Add("ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTY=")
	f.Add("ssh-ed25519 AAAA\nssh-rsa")
	f.Fuzz(func(t *testing.T, line string) {
		k, err := ParseLine(line)
		if err != nil {
			return
		}
		if strings.ContainsAny(k.String(), "\r\n\"") || strings.Count(k.String(), " ") != 1 {
			t.Errorf("%q gave %q", line, k)
		}
		theirs, err := ssh.ParsePublicKey(k.Blob)
		if err != nil {
			if strings.Contains(k.Type, "ecdsa") || k.Type == "ssh-rsa" {
				return // it also checks that the point is on the curve, and the exponent
			}
			t.Fatalf("x/crypto/ssh refuses %q: %v", k, err)
		}
		if theirs.Type() != k.Type || ssh.FingerprintSHA256(theirs) != k.Fingerprint() {
			t.Errorf("%q: %s %s, x/crypto/ssh says %s %s", line, k.Type, k.Fingerprint(), theirs.Type(), ssh.FingerprintSHA256(theirs))
		}
	})
}
