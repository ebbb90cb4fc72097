// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
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
	cache := teamFile(t, "security", bobLine+"\n")
	bobName := "ssh-ed25519 " + ssh.FingerprintSHA256(sshKey) + " bob@laptop"
	for _, tt := range []struct {
		name string
		seal any
		open []age.Identity // layer by layer
		says []manifest.Layer
	}{
		{"one", map[string]any{"recipients": []any{alice.Recipient().String(), bobLine}}, []age.Identity{bob}, []manifest.Layer{{alice.Recipient().String(), bobName}}},
		{"two people", []any{[]any{alice.Recipient().String()}, []any{bobLine}}, []age.Identity{alice, bob}, []manifest.Layer{{alice.Recipient().String()}, {bobName}}},
		{"two people, in the one form", map[string]any{"recipients": []any{[]any{alice.Recipient().String()}, []any{bobLine}}}, []age.Identity{alice, bob}, []manifest.Layer{{alice.Recipient().String()}, {bobName}}},
		{"a team", map[string]any{"recipients": []any{map[string]any{"github-team": "Security"}}}, []age.Identity{bob}, []manifest.Layer{{bobName}}},
		{"a person and a team", []any{[]any{alice.Recipient().String()}, []any{"github-team: security"}}, []age.Identity{alice, bob}, []manifest.Layer{{alice.Recipient().String()}, {bobName}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.config.Seal, b.config.KeysCache = tt.seal, cache
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

// teamFile makes a cache of castgate-keys that has one team's keys.
func teamFile(t *testing.T, team, text string) string {
	t.Helper()
	cache := t.TempDir()
	if err := os.Mkdir(filepath.Join(cache, "recipients"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cache, "recipients", team), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return cache
}

func TestWithoutATeamsKeysNothingLeaves(t *testing.T) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sshKey, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	line := string(ssh.MarshalAuthorizedKey(sshKey))
	at := func(cache string) string { return filepath.Join(cache, "recipients", "security") }
	for _, tt := range []struct {
		name, text string
		spoil      func(cache string) error
		want       string
	}{
		{"missing", line, func(c string) error { return os.Remove(at(c)) }, "no such file"},
		{"no cache", line, os.RemoveAll, "no such file"},
		{"empty", "", func(string) error { return nil }, "has no key"},
		{"not a key", line + "<html>\n", func(string) error { return nil }, "not an SSH key"},
		{"another team's", line + "github-team: x\n", func(string) error { return nil }, "not an SSH key"},
		{"a file that others write", line, func(c string) error { return os.Chmod(at(c), 0o666) }, "written by others"},
		{"a directory that others write", line, func(c string) error { return os.Chmod(filepath.Dir(at(c)), 0o777) }, "written by others"},
		{"a cache that others write", line, func(c string) error { return os.Chmod(c, 0o775) }, "written by others"},
		{"a link", line, func(c string) error {
			return errors.Join(os.Rename(at(c), c+"/x"), os.Symlink("../x", at(c)))
		}, "is no file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.config.Seal = map[string]any{"recipients": []any{"github-team: security"}}
			b.config.KeysCache = teamFile(t, "security", tt.text)
			if err := tt.spoil(b.config.KeysCache); err != nil {
				t.Fatal(err)
			}
			b.incoming(1, whole(1))
			if left := b.once(); left != 1 {
				t.Errorf("%d left", left)
			}
			if got := b.list("spool"); got["incoming/"+testID(1)+".cast"] != whole(1) || len(b.list("archive")) != 0 {
				t.Errorf("the spool has %v, the archive %v", got, b.list("archive"))
			}
			if log := b.log.String(); !strings.Contains(log, tt.want) || !strings.Contains(log, "seal_teams") {
				t.Error(log)
			}
		})
	}
}
