// SPDX-License-Identifier: AGPL-3.0-or-later

package restrict

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pair makes a key, an authority, and a certificate of that authority for the key.
type pair struct{ key, ca, cert string } // fields 1 and 2 of their files

func newPair(t *testing.T, kind string, options ...string) pair {
	t.Helper()
	dir := t.TempDir()
	keygen(t, "-q", "-t", "ed25519", "-N", "", "-f", dir+"/ca")
	keygen(t, "-q", "-t", kind, "-N", "", "-f", dir+"/key")
	keygen(t, append(append([]string{"-q", "-s", dir + "/ca", "-I", "me", "-n", "deploy"}, options...), dir+"/key.pub")...)
	word := func(file string) string {
		b, err := os.ReadFile(dir + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(b))[:2], " ")
	}
	return pair{word("key.pub"), word("ca.pub"), word("key-cert.pub")}
}

func keygen(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ssh-keygen", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// TestKeys compares with ssh-keygen, for plain keys and certificates.
func TestKeys(t *testing.T) {
	for _, kind := range []string{"ed25519", "rsa", "ecdsa"} {
		p := newPair(t, kind, "-O", "force-command=only this")
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(p.key), 0o600); err != nil {
			t.Fatal(err)
		}
		want := strings.Fields(keygen(t, "-l", "-f", file))[1]
		for _, word := range []string{p.key, p.cert} {
			for _, auth := range []string{
				"publickey " + word, "publickey " + word + "\n",
				"password\npublickey " + word + "\nkeyboard-interactive/pam\n",
			} {
				keys, err := Keys(auth)
				if err != nil || len(keys) != 1 || keys[0].Fingerprint() != want {
					t.Fatalf("%s: %+v, %v; want %s", word, keys, err, want)
				}
				if c := keys[0].Cert; (c != nil) != (word == p.cert) || c != nil && c.Command != "only this" {
					t.Errorf("certificate %+v", c)
				}
			}
		}
	}
}

func TestNoKeys(t *testing.T) {
	ed := "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	for _, auth := range []string{"", "password\n", "hostbased ssh-ed25519 " + ed} {
		if keys, err := Keys(auth); err != nil || len(keys) != 0 {
			t.Errorf("%q: %v, %v", auth, keys, err)
		}
	}
	for _, auth := range []string{
		"publickey", "publickey ssh-ed25519", "publickey ssh-ed25519 ???", "publickey ssh-rsa " + ed,
		"publickey ssh-ed25519-cert-v01@openssh.com " + ed,
	} {
		if keys, err := Keys(auth); err == nil {
			t.Errorf("%q: %v", auth, keys)
		}
	}
}

// host is a directory that stands for a host's root: an sshd_config and an
// account's home.
type host struct {
	t   *testing.T
	dir string
}

func newHost(t *testing.T, sshdConfig string) host {
	h := host{t, t.TempDir()}
	h.write("sshd_config", strings.ReplaceAll(sshdConfig, "DIR", h.dir))
	return h
}

func (h host) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h host) config() Config {
	var c Config
	c.read(filepath.Join(h.dir, "sshd_config"), nil, 0)
	return c
}

func (h host) account(name string) Account {
	return Account{Name: name, UID: 1000, Home: func() (string, error) { return h.dir, nil }}
}

func TestRestriction(t *testing.T) {
	p, other := newPair(t, "ed25519"), newPair(t, "ed25519")
	rsa := newPair(t, "rsa")
	bound := newPair(t, "ed25519", "-O", "force-command=by-cert")
	for name, tt := range map[string]struct {
		config, file, accepted string
		want                   string // the command; "-" for none, "?" for an error
	}{
		"unrestricted":               {"", p.key, p.key, "-"},
		"another key's":              {"", `command="x" ` + other.key, p.key, "-"},
		"command":                    {"", `command="x" ` + p.key, p.key, "x"},
		"upper case":                 {"", `COMMAND="x" ` + p.key, p.key, "x"},
		"among others":               {"", `restrict,from="a b,c",command="x \"y\" \z",no-pty ` + p.key + " comment", p.key, `x "y" \z`},
		"a tab between":              {"", "command=\"x\"\t" + p.key, p.key, "x"},
		"blanks before":              {"", "  command=\"x\" " + p.key, p.key, "x"},
		"a comment":                  {"", "# command=\"x\" " + p.key + "\n" + p.key, p.key, "-"},
		"no newline at the end":      {"", "\r\n" + `command="x" ` + p.key, p.key, "x"},
		"empty":                      {"", `command="" ` + p.key, p.key, ""},
		"in a comment of the key":    {"", p.key + ` command="x"`, p.key, "-"},
		"twice the same":             {"", `command="x" ` + p.key + "\n" + `command="x",no-pty ` + p.key, p.key, "x"},
		"twice, differently":         {"", `command="x" ` + p.key + "\n" + `command="y" ` + p.key, p.key, "?"},
		"once without":               {"", p.key + "\n" + `command="y" ` + p.key, p.key, "?"},
		"two commands":               {"", `command="x",command="y" ` + p.key, p.key, "?"},
		"quotes not closed":          {"", `command="x ` + p.key, p.key, "?"}, // the quote takes the key with it
		"no quotes":                  {"", `command=x ` + p.key, p.key, "?"},
		"a signature's name":         {"", `command="x" rsa-sha2-512 ` + blobOf(rsa.key), rsa.key, "x"},
		"a number with a zero":       {"", `command="x" ssh-rsa ` + longer(t, rsa.key), rsa.key, "x"},
		"white space within":         {"", `command="x" ssh-ed25519 ` + blobOf(p.key)[:9] + "\v\f" + blobOf(p.key)[9:], p.key, "x"},
		"a line break within":        {"", `command="x" ssh-ed25519 ` + blobOf(p.key)[:9] + "\r" + blobOf(p.key)[9:], p.key, "x"},
		"a key in a command":         {"", `command="a ` + blobOf(p.key) + ` b" ` + p.key, p.key, "a " + blobOf(p.key) + " b"},
		"nonsense, and found":        {"", "nonsense\n" + `command="x" ` + p.key, p.key, "x"},
		"nonsense, and not found":    {"", "nonsense\n" + `command="x" ` + other.key, p.key, "?"},
		"single quotes":              {"AuthorizedKeysFile 'DIR/a b'", `command="x" ` + p.key, p.key, "y"},
		"a backslash":                {`AuthorizedKeysFile DIR/a\ b`, `command="x" ` + p.key, p.key, "y"},
		"a keyword in quotes":        {`"AuthorizedKeysFile" DIR/c`, `command="x" ` + p.key, p.key, "y"},
		"no file":                    {"AuthorizedKeysFile none", `command="x" ` + p.key, p.key, "-"},
		"another file":               {"AuthorizedKeysFile DIR/ak_%u .ssh/authorized_keys", `command="x" ` + p.key, p.key, "x"},
		"of another account":         {"AuthorizedKeysFile none\nMatch User bob\nAuthorizedKeysFile .ssh/authorized_keys", `command="x" ` + p.key, p.key, "-"},
		"of this account":            {"AuthorizedKeysFile none\nMatch User alice,bob\nAuthorizedKeysFile .ssh/authorized_keys", `command="x" ` + p.key, p.key, "x"},
		"of an address":              {"AuthorizedKeysFile none\nMatch Address 192.0.2.0/24\nAuthorizedKeysFile .ssh/authorized_keys", `command="x" ` + p.key, p.key, "x"},
		"the first Match counts":     {"Match User a*\nAuthorizedKeysFile none\nMatch User alice\nAuthorizedKeysFile .ssh/authorized_keys", `command="x" ` + p.key, p.key, "-"},
		"a negated pattern":          {"AuthorizedKeysFile none\nMatch User *,!alice\nAuthorizedKeysFile .ssh/authorized_keys", `command="x" ` + p.key, p.key, "-"},
		"authority":                  {"", "cert-authority " + p.ca, p.cert, "-"},
		"authority's command":        {"", `cert-authority,command="x" ` + p.ca, p.cert, "x"},
		"the certificate's":          {"", "cert-authority " + bound.ca, bound.cert, "by-cert"},
		"both the same":              {"", `cert-authority,command="by-cert" ` + bound.ca, bound.cert, "by-cert"},
		"both, differently":          {"", `cert-authority,command="x" ` + bound.ca, bound.cert, "?"},
		"a certificate by sshd's CA": {"TrustedUserCAKeys DIR/ca", "", bound.cert, "by-cert"},
		"principals' command":        {"AuthorizedPrincipalsCommand /bin/true", "", p.cert, "?"},
		"principals' file":           {"AuthorizedPrincipalsFile DIR/principals", "", p.cert, "?"},
		"not for a plain key":        {"AuthorizedPrincipalsCommand /bin/true", p.key, p.key, "-"},
		"another program's":          {"AuthorizedKeysFile none\nAuthorizedKeysCommand /usr/bin/gitea keys", "", p.key, "?"},
		"of another account only":    {"AuthorizedKeysCommand /usr/bin/castgate-keys %u\nMatch User git\nAuthorizedKeysCommand /usr/bin/gitea keys", "", p.key, "-"},
		"in a file all the same":     {"AuthorizedKeysCommand /usr/bin/gitea keys", `command="x" ` + p.key, p.key, "x"},
		"a password":                 {"", `command="x" ` + p.key, "", "-"},
	} {
		h := newHost(t, tt.config)
		h.write(".ssh/authorized_keys", tt.file)
		h.write("a b", `command="y" `+p.key)
		h.write("c", `command="y" `+p.key)
		h.write("principals", `# nothing`+"\n"+`Command="x" deploy`+"\n")
		auth := "password\n"
		if tt.accepted != "" {
			auth = "publickey " + tt.accepted + "\n"
		}
		r, err := h.config().Of(h.account("alice"), auth)
		got := map[bool]string{true: r.Command, false: "-"}[r.Forced]
		if err != nil {
			got = "?"
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q (%v)", name, got, tt.want, err)
		}
	}
}

func blobOf(key string) string { return strings.Fields(key)[1] }

// longer is an RSA key with one more zero in front of its modulus.
func longer(t *testing.T, key string) string {
	t.Helper()
	blob, err := base64.StdEncoding.DecodeString(blobOf(key))
	if err != nil {
		t.Fatal(err)
	}
	w := wire{b: blob}
	out := appendString(appendString(nil, w.string()), w.string())
	return base64.StdEncoding.EncodeToString(appendString(out, append([]byte{0}, w.string()...)))
}

func TestFlags(t *testing.T) {
	for line, want := range map[string]string{
		"/usr/sbin/sshd -D":                               "",
		"/usr/sbin/sshd -D -f /etc/x -o A=b":              "f=/etc/x o=A=b",
		"/usr/sbin/sshd -Deo AuthorizedKeysFile /x /y -4": "o=AuthorizedKeysFile /x /y",
		"/usr/sbin/sshd -oA=b -f/etc/x":                   "o=A=b f=/etc/x",
		"/usr/sbin/sshd -p 22 -D":                         "p=22",
	} {
		var got []string
		for flag, value := range Flags(strings.Fields(line)) {
			got = append(got, string(flag)+"="+value)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// TestUnrestricted: whose key isn't known goes on only where no key could be
// restricted.
func TestUnrestricted(t *testing.T) {
	p := newPair(t, "ed25519")
	for name, tt := range map[string]struct {
		config, file string
		free         bool
	}{
		"nothing":                {"", p.key, true},
		"a restricted line":      {"", `command="x" ` + p.key, false},
		"nonsense":               {"", "nonsense", false},
		"an authority":           {"", "cert-authority " + p.ca, false},
		"sshd's authority":       {"TrustedUserCAKeys DIR/ca", p.key, false},
		"none":                   {"TrustedUserCAKeys none", p.key, true},
		"another program":        {"AuthorizedKeysCommand /usr/bin/gitea keys", p.key, false},
		"of another account":     {"Match User git\nAuthorizedKeysCommand /usr/bin/gitea keys", p.key, true},
		"castgate-keys":          {"AuthorizedKeysCommand /usr/bin/castgate-keys %u", p.key, true},
		"one that can't be read": {"Include DIR/loop", p.key, true}, // not there: nothing
	} {
		h := newHost(t, tt.config)
		h.write(".ssh/authorized_keys", tt.file)
		if err := h.config().Unrestricted(h.account("alice")); (err == nil) != tt.free {
			t.Errorf("%s: %v", name, err)
		}
	}
	a := newHost(t, "AuthorizedKeysFile DIR/%U").account("alice")
	if a.UID = -1; newHost(t, "AuthorizedKeysFile DIR/%U").config().Unrestricted(a) == nil {
		t.Error("an account whose uid nobody knows has a file by its uid")
	}
	c := Config{unread: []string{"/etc/ssh/sshd_config"}}
	if err := c.Unrestricted(newHost(t, "").account("alice")); err == nil {
		t.Error("a configuration that can't be read restricts nothing")
	}
}

func TestRecorded(t *testing.T) {
	const ours = "ForceCommand exec /usr/bin/castgate-wrap\n"
	for config, want := range map[string]bool{
		"":                                false,
		ours:                              true,
		ours + "ForceCommand /bin/menu\n": true,
		ours + "Match User git\nForceCommand none\n":             true,
		ours + "Match User alice\nForceCommand none\n":           false,
		ours + "Match Group staff\nForceCommand internal-sftp\n": true, // of some
		"ForceCommand /bin/menu\n" + ours:                        false,
	} {
		h := newHost(t, config)
		if got := h.config().Recorded(h.account("alice")); got != want {
			t.Errorf("%q: %v", config, got)
		}
	}
}

func TestTwoKeysOfOneLogin(t *testing.T) {
	p, q := newPair(t, "ed25519"), newPair(t, "ed25519")
	auth := "publickey " + p.key + "\npublickey " + q.key + "\n"
	for file, want := range map[string]string{
		p.key + "\n" + q.key:                                   "-",
		p.key + "\n" + `command="x" ` + q.key:                  "x",
		`command="x" ` + p.key + "\n" + q.key:                  "x",
		`command="x" ` + p.key + "\n" + `command="x" ` + q.key: "x",
		`command="x" ` + p.key + "\n" + `command="y" ` + q.key: "?",
	} {
		h := newHost(t, "")
		h.write(".ssh/authorized_keys", file)
		r, err := h.config().Of(h.account("alice"), auth)
		got := map[bool]string{true: r.Command, false: "-"}[r.Forced]
		if err != nil {
			got = "?"
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
}

func TestInclude(t *testing.T) {
	h := newHost(t, "Include DIR/d/*.conf \"DIR/with blank\"\nauthorizedkeysfile=main # a comment\nMatch User alice\n  Include DIR/m/*.conf\nMatch all\nAuthorizedPrincipalsFile p\n")
	h.write("d/1.conf", "Match User bob\nAuthorizedKeysFile bobs\n")
	h.write("d/2.conf", "AuthorizedKeysFile \"two words\" second\n")
	h.write("d/3.not", "AuthorizedKeysFile no\n")
	h.write("m/1.conf", "AuthorizedKeysFile alices\n")
	for user, want := range map[string][]string{
		"alice": {"alices"}, "bob": {"bobs"}, "carol": {"two words", "second"},
	} {
		got, err := h.config().keyFiles(h.account(user))
		for i := range want {
			want[i] = filepath.Join(h.dir, want[i])
		}
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", user, got, err, want)
		}
	}
}

// TestListenerArguments: the title of this test's own process is no listener's.
func TestListenerArguments(t *testing.T) {
	if args := listenerArgs(os.Getpid()); args != nil && !strings.Contains(strings.Join(args, " "), "sshd") {
		t.Errorf("arguments %q", args)
	}
	if pid := parent("/proc/self"); pid != os.Getppid() {
		t.Errorf("parent %d, want %d", pid, os.Getppid())
	}
}

func TestFileThatCanNotBeTold(t *testing.T) {
	h := newHost(t, "AuthorizedKeysFile %h/keys")
	if err := os.MkdirAll(h.dir+"/keys", 0o755); err != nil { // no file: no keys
		t.Fatal(err)
	}
	if lines, err := h.config().Lines(h.account("alice")); err != nil || len(lines) != 0 {
		t.Errorf("a directory: %v, %v", lines, err)
	}
	a := h.account("alice")
	a.Home = func() (string, error) { return "", os.ErrDeadlineExceeded }
	if _, err := h.config().Of(a, "publickey "+newPair(t, "ed25519").key); err == nil {
		t.Error("a home that nobody knows restricts nothing")
	}
}

func FuzzLine(f *testing.F) {
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	f.Add(`restrict,command="a \"b\" c",from="x" ` + key)
	f.Add(key)
	f.Fuzz(func(t *testing.T, line string) {
		l, ok := parseLine(line)
		if ok && len(l.Blob) == 0 && l.Fault == nil {
			t.Fatal("a line without a key")
		}
		// What is put in front can only restrict.
		if l, ok := parseLine(`command="x",` + line); ok && l.Fault == nil && !l.Forced {
			t.Fatalf("%q: not restricted", line)
		}
	})
}

func FuzzAuth(f *testing.F) {
	f.Add("publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n")
	f.Add("publickey ssh-rsa-cert-v01@openssh.com AAAA")
	f.Fuzz(func(t *testing.T, auth string) {
		keys, _ := Keys(auth)
		for _, k := range keys {
			if len(k.Fingerprint()) != len("SHA256:")+43 {
				t.Fatalf("%q", k.Fingerprint())
			}
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add("AuthorizedKeysFile a\nMatch User=x,!y all\n\tauthorizedkeysfile \"b c\" # d\n")
	f.Fuzz(func(t *testing.T, text string) {
		for line := range strings.Lines(text) {
			key, value := cutKeyword(line)
			if key != strings.ToLower(key) {
				t.Fatalf("keyword %q", key)
			}
			for _, w := range words(value) {
				if len(w) > len(value) {
					t.Fatalf("word %q", w)
				}
			}
			_ = matches(value, Account{Name: "alice"})
		}
	})
}

// The line that is named is the one that decides, not the first with the keyword.
func TestDecides(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	drop := filepath.Join(dir, "d", "10.conf")
	if err := os.Mkdir(filepath.Dir(drop), 0o700); err != nil {
		t.Fatal(err)
	}
	write("d/20.conf", "Match User bob\n  ForceCommand\t\"menu\" # of his\nMatch Group staff\nForceCommand=internal-sftp\n")
	main := write("main", "Include "+dir+"/d/*.conf\n# x\nForceCommand last\nUsePAM=yes\n")
	c := ReadArgs([]string{"-o", "LogLevel DEBUG", "-f", main}, map[string][]byte{drop: []byte("\n  forcecommand   first one\nMatch all\n")})
	bob, carol := Account{Name: "bob"}, Account{Name: "carol"}
	for _, tt := range []struct {
		a                Account
		key, value, want string
	}{
		{bob, "forcecommand", "menu", dir + "/d/20.conf:2"},
		{carol, "forcecommand", "internal-sftp", dir + "/d/20.conf:4"},
		{carol, "forcecommand", "first one", drop + ":2"},
		{carol, "usepam", "yes", main + ":4"},
		{bob, "loglevel", "DEBUG", "sshd's command line"},
	} {
		if got, found := c.Decides(tt.key, tt.value, tt.a); !found || got.Where() != tt.want {
			t.Errorf("%s %s for %s: %s", tt.key, tt.value, tt.a.Name, got.Where())
		}
	}
	if _, found := c.Decides("banner", "x", bob); found {
		t.Error("a line that is not there decides")
	}
	want := "forcecommand first one\nforcecommand last\nusepam yes\nMatch User bob\nforcecommand \"menu\" # of his\nMatch Group staff\nforcecommand internal-sftp\n"
	if got := string(c.Text()); got != want {
		t.Errorf("as one file:\n%s", got)
	}
}
