// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

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
)

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
		account Account
		want    string // before the key
	}{
		{"none", "", Account{}, ""},
		{"for all", "restrict,pty", Account{}, "restrict,pty "},
		{"expiry", `restrict,expiry-time="20301231"`, Account{}, `restrict,expiry-time="20301231" `},
		{"from", "", Account{From: []string{"192.0.2.0/24", "2001:db8::1"}}, `from="192.0.2.0/24,2001:db8::1" `},
		{"from and for all", "restrict", Account{From: []string{"!192.0.2.9", "192.0.2.0/24"}}, `from="!192.0.2.9,192.0.2.0/24",restrict `},
		{"none for this one", "restrict", Account{Options: &none}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.conf.Keys.Options = tt.options
			w.conf.Accounts = map[string]Account{"octocat": tt.account} // its own login, with a rule
			d := w.allows("octocat", "OctoCat")
			if want := tt.want + testKey("octocat") + " github:OctoCat\n"; d.Lines[0] != want {
				t.Errorf("got %q, want %q", d.Lines[0], want)
			}
		})
	}
}

func TestCheckOptions(t *testing.T) {
	for s, ok := range map[string]bool{
		"":                                 true,
		"restrict":                         true,
		"Restrict,PTY":                     true,
		`restrict,expiry-time="20300101Z"`: true,
		`from="10.0.0.0/8,!10.1.0.0/16"`:   true,
		`permitopen="127.0.0.1:80"`:        true,
		"restrictt":                        false,
		"restrict,":                        false,
		",restrict":                        false,
		"restrict pty":                     false,
		"restrict\npty":                    false,
		`command="x"`:                      false,
		`environment="A=b"`:                false,
		"cert-authority":                   false,
		`from=10.0.0.0/8`:                  false,
		`from="10.0.0.0/8`:                 false,
		`from=""`:                          false,
		`from="a\"b"`:                      false,
		"from=\"a\nb\"":                    false,
		`restrict="x"`:                     false,
		"from":                             false,
		`expiry-time="1"x`:                 false,
		`restrict ssh-rsa AAAA`:            false,
	} {
		if err := checkOptions(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// FuzzOptions: options that are taken never end the line they stand in, nor
// leave a quote open.
func FuzzOptions(f *testing.F) {
	f.Add(`restrict,pty,expiry-time="20300101"`)
	f.Add(`from="a`)
	f.Add("restrict\n")
	f.Fuzz(func(t *testing.T, s string) {
		if checkOptions(s) != nil {
			return
		}
		outside := false
		for i, part := range strings.Split(s, `"`) {
			if outside = i%2 == 0; outside && strings.ContainsAny(part, " \t") {
				t.Errorf("%q has a blank outside quotes", s)
			}
		}
		if !outside || strings.ContainsAny(s, "\r\n\x00") {
			t.Errorf("%q was taken", s)
		}
	})
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
