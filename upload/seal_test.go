// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"os"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/ssh"

	"castgate/upload/manifest"
)

func TestSealedRecordings(t *testing.T) {
	alice, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sshKey, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	bob, err := agessh.NewEd25519Identity(private)
	if err != nil {
		t.Fatal(err)
	}
	bobLine := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshKey))) + " bob@laptop"
	bobName := "ssh-ed25519 " + ssh.FingerprintSHA256(sshKey) + " bob@laptop"
	for _, tt := range []struct {
		name string
		seal any
		open []age.Identity // layer by layer
		says []manifest.Layer
	}{
		{"one", map[string]any{"recipients": []any{alice.Recipient().String(), bobLine}}, []age.Identity{bob}, []manifest.Layer{{alice.Recipient().String(), bobName}}},
		{"two people", []any{[]any{alice.Recipient().String()}, []any{bobLine}}, []age.Identity{alice, bob}, []manifest.Layer{{alice.Recipient().String()}, {bobName}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.config.Seal = tt.seal
			b.incoming(1, whole(1))
			if left := b.once(); left != 0 {
				t.Fatalf("%d left\n%s", left, b.log)
			}
			base := b.path("archive/nobody-of-this-host/web1/2026/11/18/" + testID(1))
			text, err := os.ReadFile(base + ".json")
			if err != nil {
				t.Fatal(err)
			}
			m, err := manifest.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := m.Stored.Recipients, tt.says; len(got) != len(want) || strings.Join(got[0], "|") != strings.Join(want[0], "|") {
				t.Errorf("recipients %q, want %q", got, want)
			}
			stored, err := os.ReadFile(base + manifest.SealedSuffix)
			if err != nil || manifest.Hash(stored) != m.Stored.SHA256 {
				t.Fatalf("stored: %v", err)
			}
			var in io.Reader = bytes.NewReader(stored)
			for _, id := range tt.open {
				if in, err = age.Decrypt(in, id); err != nil {
					t.Fatal(err)
				}
			}
			dec, err := zstd.NewReader(in)
			if err != nil {
				t.Fatal(err)
			}
			defer dec.Close()
			if cast, err := io.ReadAll(dec); err != nil || string(cast) != whole(1) || manifest.Hash(cast) != m.Cast.SHA256 {
				t.Errorf("opened %q, %v", cast, err)
			}
		})
	}
}
