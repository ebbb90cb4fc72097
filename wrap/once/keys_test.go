// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"bytes"
	"crypto/ed25519"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// A key that was made for these tests, and another.
const (
	keyA = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFijfGtVrt9dyUDR75kmbCDM1xdLsRkVZGNd/zZUnwZB"
	keyB = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEv3aWiiLssKaepfnDBO0w4DDuvU4EKfcrhRVaVx6/J5"
)

func TestParseKeys(t *testing.T) {
	dsa := "ssh-dss AAAAB3NzaC1kc3M="
	for _, tt := range []struct {
		name, text string
		keys       int
		refused    string // of the first refused line
		err        string
	}{
		{"a key", keyA, 1, "", ""},
		{"with a comment", keyA + " alice@example.org and more", 1, "", ""},
		{"tabs, blank lines, comments, CRLF", "\r\n# a\r\n\t" + strings.Replace(keyA, " ", "\t ", 1) + " c\r\n  \t\n" + keyB, 2, "", ""},
		{"twice", keyA + "\n" + keyA, 2, "", ""},
		{"none", "\n#\n", 0, "", ""},
		{"options", `command="a, \"b\" c",no-pty,FROM="10.0.0.0/8" ` + keyA, 1, "", ""},
		{"unknown option", "no-such " + keyA, 0, `line 1: option "no-such" is not known`, ""},
		{"unknown option with a value", `no-such="x y" ` + keyA, 0, `line 1: option "no-such" is not known`, ""},
		{"unknown option among others", keyB + "\nrestrict,future " + keyA, 1, `line 2: option "future" is not known`, ""},
		{"not supported", "cert-authority " + keyA, 0, `line 1: option "cert-authority" is not supported`, ""},
		{"needs a value", "command " + keyA, 0, `line 1: option "command" needs a value`, ""},
		{"takes none", `restrict="x" ` + keyA, 0, `line 1: option "restrict" takes no value`, ""},
		{"twice command", `command="a",command="b" ` + keyA, 0, `line 1: option "command" stands there twice`, ""},
		{"no quotes", "command=a " + keyA, 0, `line 1: option "command": its value must stand in quotes`, ""},
		{"no comma", `command="a"restrict ` + keyA, 0, `line 1: option "command": there must be a comma after its value`, ""},
		{"empty option", "restrict,, " + keyA, 0, `line 1: option "" is not known`, ""},
		{"open quote", `command="a ` + keyA, 0, "", "line 1: a quote is not closed"},
		{"bad from", `from="10.0.0.1/8" ` + keyA, 0, `line 1: option "from": "10.0.0.1/8" is not a network`, ""},
		{"empty from", `from="" ` + keyA, 0, `line 1: option "from": "" has an empty pattern`, ""},
		{"bad expiry", `expiry-time="tomorrow" ` + keyA, 0, `line 1: option "expiry-time": "tomorrow" is not YYYYMMDD[HHMM[SS]][Z]`, ""},
		{"bad environment", `environment="A-B=c" ` + keyA, 0, `line 1: option "environment": "A-B=c" is not NAME=value`, ""},
		{"words", "hello world", 0, "", "line 1: there is no key in it"},
		{"a word", keyA + "\nhello", 0, "", "line 2: there is no key in it"},
		{"no blob", "ssh-ed25519", 0, "", "line 1: there is a key type but no key"},
		{"bad base64", keyB + "\n\nssh-ed25519 AAAA!", 0, "", "line 3: the key is not base64"},
		{"cut", keyA[:40], 0, "", "line 1: the key can't be parsed"},
		{"other type", strings.Replace(keyA, "ed25519", "rsa", 1), 0, "", `line 1: the line says "ssh-rsa"`},
		{"options without a key", "restrict hello", 0, "", `line 1: "hello" is no type of a key`},
		{"a type of the past", dsa, 0, "", "line 1: the key can't be parsed"},
		{"a private key", "-----BEGIN OPENSSH PRIVATE KEY-----", 0, "", "line 1: there is no key in it"},
		{"known_hosts", "example.org " + keyA, 0, `line 1: option "example.org" is not known`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys, refused, err := ParseKeys([]byte(tt.text))
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || len(keys.lines) != tt.keys {
				t.Fatalf("%+v, %v", keys, err)
			}
			got := ""
			if len(refused) > 0 {
				got = refused[0].Error()
			}
			if got != tt.refused {
				t.Errorf("refused %q, want %q", got, tt.refused)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions(`restrict,pty,command="x \"y\" \z",environment="A=1",environment="A=2",environment="B=",expiry-time="20300101Z",expiry-time="20290101Z",no-touch-required`)
	if err != nil || o.NoPTY || o.Command != `x "y" \z` || strings.Join(o.Environment, " ") != "A=1 B=" || !o.NoTouch ||
		!o.Expires.Equal(time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v %v", o, err)
	}
	if o, err := parseOptions("pty,restrict"); err != nil || !o.NoPTY {
		t.Errorf("%+v %v", o, err)
	}
}

func TestFrom(t *testing.T) {
	for _, tt := range []struct {
		from, addr string
		want       bool
	}{
		{"192.0.2.7", "192.0.2.7", true},
		{"192.0.2.7", "192.0.2.70", false},
		{"192.0.2.0/24", "192.0.2.255", true},
		{"192.0.2.0/24", "::ffff:192.0.2.1", true},
		{"192.0.2.*", "192.0.2.1", true},
		{"192.0.?.1", "192.0.2.1", true},
		{"*", "2001:db8::1", true},
		{"2001:db8::/32", "2001:db8::1", true},
		{"2001:DB8:0::1", "2001:db8::1", true},
		{"2001:db8::/32", "192.0.2.1", false},
		{"!192.0.2.1,192.0.2.0/24", "192.0.2.1", false},
		{"192.0.2.0/24,!192.0.2.1", "192.0.2.1", false},
		{"192.0.2.0/24,!192.0.2.1", "192.0.2.2", true},
		{"!192.0.2.1", "192.0.2.2", false},
		{"example.org", "192.0.2.1", false},
	} {
		list, err := parsePatterns(tt.from)
		if err != nil || matches(list, netip.MustParseAddr(tt.addr)) != tt.want {
			t.Errorf("%q lists %s: %v, %v", tt.from, tt.addr, !tt.want, err)
		}
	}
}

func TestAdmitTakesTheFirstLineThatFits(t *testing.T) {
	keys, _, err := ParseKeys([]byte(`from="192.0.2.1" ` + keyA + "\n" + `expiry-time="20200101" ` + keyA + "\nno-pty " + keyA + "\n" + keyA))
	if err != nil {
		t.Fatal(err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(keyA))
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]int{"192.0.2.1": 1, "192.0.2.2": 3} {
		if k, err := keys.Admit(public, netip.MustParseAddr(addr), time.Now()); err != nil || k.Line != want {
			t.Errorf("%s: %+v, %v", addr, k, err)
		}
	}
	other, _, _, _, _ := ssh.ParseAuthorizedKey([]byte(keyB))
	if k, err := keys.Admit(other, netip.MustParseAddr("192.0.2.1"), time.Now()); err == nil {
		t.Errorf("admitted %+v", k)
	}
}

// Whatever a file says: what comes out are keys that OpenSSH would take for
// these keys, too, and no option is lost on the way.
func FuzzParseKeys(f *testing.F) {
	for _, seed := range []string{
		keyA, `command="a \"b\"",from="!10.0.0.1,10.*",expiry-time="20300101",environment="A=b" ` + keyA + " c",
		"restrict,pty " + keyA + "\r\n# c\n\n" + keyB, "ssh-ed25519", `a="` + keyA, "no-such " + keyB, "\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, refused, err := ParseKeys(text)
		if err != nil {
			return
		}
		for _, r := range refused {
			if r.Line < 1 || r.Err == nil {
				t.Errorf("refused %+v", r)
			}
		}
		lines := bytes.Split(text, []byte("\n"))
		for _, k := range keys.lines {
			line := bytes.TrimSpace(lines[k.Line-1])
			public, _, options, _, err := ssh.ParseAuthorizedKey(line)
			if err != nil || !bytes.Equal(public.Marshal(), k.blob) {
				t.Fatalf("%q: x/crypto/ssh says %v", line, err)
			}
			if o := k.Options; len(options) == 0 && (o.HasCommand || o.NoPTY || o.from != nil || !o.Expires.IsZero() || o.Environment != nil) {
				t.Errorf("%q: options from nowhere: %+v", line, o)
			}
			for _, o := range options {
				if name, _, _ := strings.Cut(strings.ToLower(o), "="); name == "command" && !k.Options.HasCommand || name == "from" && k.Options.from == nil {
					t.Errorf("%q: option %q is lost", line, o)
				}
			}
		}
	})
}

func TestTerminalModes(t *testing.T) {
	if got, want := terminalModes(nil), kernelModes(); *got != *want {
		t.Errorf("no modes give %+v", got)
	}
	got := terminalModes([]byte{3, 0, 0, 0, 8, 1, 0, 0, 0, 255, 53, 0, 0, 0, 0, 42, 0, 0, 0, 1, 129, 0, 0, 0x25, 0x80, 0, 53, 0, 0, 0, 1})
	want := kernelModes()
	want.Cc[2], want.Cc[0] = 8, 0 // VERASE, VINTR
	want.Lflag &^= 8              // ECHO
	want.Iflag |= 0x4000          // IUTF8
	want.Cflag = want.Cflag&^0x100f | 0xd
	if *got != *want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Modes are a client's bytes: any of them must do.
func FuzzTerminalModes(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 3, 0})
	f.Add([]byte{90, 0, 0, 0, 1, 91, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		if m := terminalModes(encoded); m.Line != 0 || m.Cc[6] != 1 {
			t.Errorf("%v gives %+v", encoded, m)
		}
	})
}

func TestHostKeyIsNewEachTime(t *testing.T) {
	_, a, err := newHostKey()
	if err != nil {
		t.Fatal(err)
	}
	_, b, err := newHostKey()
	if err != nil || a == b || !strings.HasPrefix(a, "ssh-ed25519 ") || len(strings.Fields(a)) != 2 {
		t.Errorf("%q %q %v", a, b, err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(a))
	if err != nil {
		t.Fatal(err)
	}
	if k := public.(ssh.CryptoPublicKey).CryptoPublicKey(); len(k.(ed25519.PublicKey)) != ed25519.PublicKeySize {
		t.Errorf("%v", k)
	}
}
