// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"castgate/keys/githubtest"
	"castgate/packaging/hosttest"

	"castgate/keys/pubkey"
	"castgate/keys/settings"
)

// testKey is a login's key.
var testKey = githubtest.Key

func rsaKey(t testing.TB, bits int) string {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0") // to make what must be refused
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return wireKey(t, key.Public())
}

func ecdsaKey(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return wireKey(t, key.Public())
}

func wireKey(t testing.TB, pub any) string {
	t.Helper()
	k, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

// skKey is an ed25519 key on a hardware token (PROTOCOL.u2f).
func skKey(login string) string {
	k, err := pubkey.ParseLine(testKey(login))
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

// own gives OctoCat these keys and returns the one line that gets through.
func (w *world) own(keys ...string) []string {
	w.t.Helper()
	w.change(func(s *githubtest.State) { s.Users["OctoCat"] = githubtest.User{ID: 583231, Keys: keys} })
	d, err := w.decide("octocat", "")
	if err != nil {
		w.t.Fatal(err)
	}
	return d.Lines
}

func TestFilters(t *testing.T) {
	small, big, ec, sk := rsaKey(t, 1024), rsaKey(t, 2048), ecdsaKey(t), skKey("octocat")
	all := []string{small, big, ec, sk, testKey("octocat")}
	for _, tt := range []struct {
		name  string
		types []string
		bits  int
		want  []string
	}{
		{"as shipped", nil, 0, []string{big, ec, sk, testKey("octocat")}},
		{"hardware only", []string{"sk-ssh-ed25519@openssh.com"}, 0, []string{sk}},
		{"no RSA", []string{"ssh-ed25519"}, 0, []string{testKey("octocat")}},
		{"long RSA", []string{"ssh-rsa"}, 3072, nil},
		{"short RSA", []string{"ssh-rsa"}, 1024, []string{small, big}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if tt.types != nil {
				w.conf.Keys.Types = tt.types
			}
			if tt.bits != 0 {
				w.conf.Keys.MinRSABits = tt.bits
			}
			lines := w.own(all...)
			if len(lines) != len(tt.want) {
				t.Fatalf("got %q, want %q", lines, tt.want)
			}
			for i, k := range tt.want {
				if lines[i] != k+" github:OctoCat\n" {
					t.Errorf("got %q, want %q", lines[i], k)
				}
			}
		})
	}
}

// TestNothingButAKeyLeaves: GitHub, or whoever stands in its place, can't put
// options, comments or lines of its own into the output.
func TestNothingButAKeyLeaves(t *testing.T) {
	w := newWorld(t)
	k := testKey("octocat")
	lines := w.own(
		`command="evil" `+k,
		k+"\nssh-ed25519 AAAA",
		k+" comment\r\nssh-rsa",
		k+" a comment",
		"# "+k,
		"cert-authority "+k,
		"ssh-ed25519 "+strings.Fields(k)[1]+"====",
		"ssh-ed25519-cert-v01@openssh.com "+strings.Fields(k)[1],
		"restrict,"+k,
	)
	if len(lines) != 1 || lines[0] != k+" github:OctoCat\n" {
		t.Errorf("got %q", lines)
	}
}

func TestOptionsAndFrom(t *testing.T) {
	none := ""
	for _, tt := range []struct {
		name    string
		options string
		account settings.Account
		want    string // before the key
	}{
		{"none", "", settings.Account{}, ""},
		{"for all", "restrict,pty", settings.Account{}, "restrict,pty "},
		{"expiry", `restrict,expiry-time="20301231"`, settings.Account{}, `restrict,expiry-time="20301231" `},
		{"from", "", settings.Account{From: []string{"192.0.2.0/24", "2001:db8::1"}}, `from="192.0.2.0/24,2001:db8::1" `},
		{"from and for all", "restrict", settings.Account{From: []string{"!192.0.2.9", "192.0.2.0/24"}}, `from="!192.0.2.9,192.0.2.0/24",restrict `},
		{"none for this one", "restrict", settings.Account{Options: &none}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.conf.Keys.Options = tt.options
			w.conf.Accounts = map[string]settings.Account{"octocat": tt.account} // its own login, with a rule
			d := w.allows("octocat", "OctoCat")
			if want := tt.want + testKey("octocat") + " github:OctoCat\n"; d.Lines[0] != want {
				t.Errorf("got %q, want %q", d.Lines[0], want)
			}
		})
	}
}

func TestEmergency(t *testing.T) {
	if os.Geteuid() != 0 {
		hosttest.Skip(t, "an emergency file belongs to root")
	}
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "emergency_keys")
	options := `from="192.0.2.0/24,!192.0.2.9",restrict,pty `
	w.write(file, "# for the day when nothing else works\n\n"+options+testKey("rescue")+" in the safe\nnonsense\n"+`command="echo a b" `+testKey("bound")+"\n")
	w.conf.Emergency = map[string]string{"breakglass": file, "octocat": file}
	w.github.Break(fault("", hang)) // GitHub is not needed, nor the cache

	d := w.allows("breakglass", "rescue")
	if want := options + testKey("rescue") + " in the safe\n"; d.Lines[0] != want || d.Source != "emergency" {
		t.Errorf("got %q from %q", d.Lines, d.Source)
	}
	if n := w.calls(); n != 0 {
		t.Errorf("%d calls", n)
	}
	// castgate's ForceCommand stands above a command=, and so the key opens nothing.
	if d := w.refuses("breakglass", "bound", "made for nobody"); len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], `:5: options "command=`) {
		t.Errorf("the administrator is not told: %q", d.Warnings)
	}
	w.github.Break(nil)
	w.allows("octocat", "rescue")
	w.allows("octocat", "OctoCat") // the ordinary way stays open
	w.refuses("alice", "rescue", "no such key")
	w.refuses("root", "rescue", "system account")
	w.refuses("breakglass", "OctoCat", "made for nobody")

	w.write(file, testKey("rescue")+"\n"+strings.Repeat("# a long story\n", 1<<17)+testKey("last")+"\n")
	if d := w.allows("breakglass", "rescue"); len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "is longer than") {
		t.Errorf("the administrator is not told: %q", d.Warnings)
	}

	for name, spoil := range map[string]func(){
		"writable by others":  func() { _ = os.Chmod(file, 0o666) },
		"somebody else's":     func() { _ = os.Chown(file, 4711, 0) },
		"directory is theirs": func() { _ = os.Chmod(filepath.Dir(file), 0o777) },
		"gone":                func() { _ = os.Remove(file) },
	} {
		t.Run(name, func(t *testing.T) {
			w.write(file, testKey("rescue"))
			_ = os.Chmod(file, 0o600)
			_ = os.Chown(file, 0, 0)
			_ = os.Chmod(filepath.Dir(file), 0o755)
			w.allows("breakglass", "rescue")
			spoil()
			if d := w.refuses("breakglass", "rescue", "made for nobody"); len(d.Warnings) != 1 {
				t.Errorf("the administrator is not told: %q", d.Warnings)
			}
		})
	}
}
