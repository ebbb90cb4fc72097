// SPDX-License-Identifier: AGPL-3.0-or-later

package hot

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"castgate/packaging/hosttest"
)

var noon = time.Unix(1_800_000_000, 0)

// host writes a configuration and the file of account "deploy" with n keys.
func host(t testing.TB, n int) (config string, entries []Entry) {
	t.Helper()
	dir := t.TempDir()
	config = filepath.Join(dir, "keys.yaml")
	put(t, config, fmt.Sprintf("github: {org: acme}\ncache: {dir: %q, ttl: 5m}\n", dir))
	for i := range n {
		// Lengths that differ, so that no line starts where another would.
		blob := base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%d%s", i*7919%100_003, strings.Repeat("x", i%300))))
		entries = append(entries, Entry{
			Base64: blob, Login: fmt.Sprint("u", i), ID: int64(i + 1),
			Fingerprint: fmt.Sprint("SHA256:", i), Line: "restrict,pty ssh-ed25519 " + blob + " github:u",
		})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Base64, b.Base64) })
	id, err := ConfigID(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "accounts"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, account(config), string(Format("deploy", id, noon, noon.Add(time.Minute), entries)))
	return config, entries
}

func account(config string) string { return filepath.Join(filepath.Dir(config), "accounts", "deploy") }

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func ask(config, typ, b64 string) (Reply, bool) {
	return Answer([]string{"-config", config, "deploy", typ, b64}, "", "/nonexistent", noon)
}

func TestEveryKeyIsFoundAndNoOther(t *testing.T) {
	for _, n := range []int{1, 2, 3, 100, 3000} {
		config, entries := host(t, n)
		for i, e := range entries {
			if n > 100 && i%97 != 0 && i != n-1 {
				continue
			}
			r, ok := ask(config, "ssh-ed25519", e.Base64)
			if !ok || string(r.Lines) != e.Line+"\n" || r.Login != e.Login || r.ID != e.ID || r.Fingerprint != e.Fingerprint {
				t.Fatalf("of %d: %q gave %+v, %v", n, e.Base64, r, ok)
			}
			for _, other := range []string{e.Base64 + "A", e.Base64[1:], "", "~", "!"} {
				if r, ok := ask(config, "ssh-ed25519", other); ok && !slices.ContainsFunc(entries, func(e Entry) bool { return e.Base64 == other }) {
					t.Fatalf("of %d: %q gave %+v", n, other, r)
				}
			}
		}
		if r, ok := Answer([]string{"--config=" + config, "deploy"}, "", "/nonexistent", noon); !ok || strings.Count(string(r.Lines), "\n") != n {
			t.Errorf("all of %d: got %d lines, %v", n, strings.Count(string(r.Lines), "\n"), ok)
		}
	}
}

func TestOnlyAFreshOwnFileAnswers(t *testing.T) {
	later := func(string) { noon = noon.Add(time.Minute) }
	for _, tt := range []struct {
		name  string
		spoil func(config string)
	}{
		{"expired", later},
		{"from the future", func(string) { noon = noon.Add(-time.Second) }},
		{"configuration edited", func(c string) { put(t, c, readFile(t, c)+"\n") }},
		{"configuration's mode changed", func(c string) { _ = os.Chmod(c, 0o600) }},
		{"cut", func(c string) { s := readFile(t, account(c)); put(t, account(c), s[:len(s)-1]) }},
		{"longer", func(c string) { put(t, account(c), readFile(t, account(c))+"x") }},
		{"empty", func(c string) { put(t, account(c), "") }},
		{"of another account", func(c string) {
			put(t, account(c), strings.Replace(readFile(t, account(c)), " deploy ", " depl0y ", 1))
		}},
		{"writable by others", func(c string) { _ = os.Chmod(account(c), 0o666) }},
		{"a link", func(c string) {
			_ = os.Rename(account(c), account(c)+"2")
			_ = os.Symlink(account(c)+"2", account(c))
		}},
		{"gone", func(c string) { _ = os.Remove(account(c)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer func(n time.Time) { noon = n }(noon)
			config, entries := host(t, 10)
			if _, ok := ask(config, "ssh-ed25519", entries[3].Base64); !ok {
				t.Fatal("not answered before")
			}
			tt.spoil(config)
			if r, ok := ask(config, "ssh-ed25519", entries[3].Base64); ok {
				t.Errorf("answered %q", r.Lines)
			}
		})
	}
}

func TestAnotherOwnersFileIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		hosttest.Skip(t, "only root can give files away")
	}
	config, entries := host(t, 1)
	if err := os.Chown(account(config), 4711, 4711); err != nil {
		t.Fatal(err)
	}
	if r, ok := ask(config, "ssh-ed25519", entries[0].Base64); ok {
		t.Errorf("answered %q", r.Lines)
	}
}

func TestTheTypeMustMatch(t *testing.T) {
	config, entries := host(t, 1)
	if r, ok := ask(config, "ssh-rsa", entries[0].Base64); ok {
		t.Errorf("answered %q", r.Lines)
	}
}

func TestArguments(t *testing.T) {
	for _, tt := range []struct {
		args string
		ok   bool
	}{
		{"deploy", true},
		{"deploy ssh-rsa AAAA", true},
		{"-config x deploy", true},
		{"--config=x deploy", true},
		{"-config", false},
		{"-version deploy", false},
		{"refresh", false},
		{"explain deploy", false},
		{"explain", false},
		{"refresh ssh-rsa AAAA", true}, // sshd asks about an account of that name
		{"../deploy", false},
		{".hidden", false},
		{"a/b", false},
		{"deploy ssh-rsa", false},
		{"", false},
	} {
		if _, ok := parse(strings.Fields(tt.args), "/c"); ok != tt.ok {
			t.Errorf("%q: got %v", tt.args, ok)
		}
	}
}

func TestCacheDirs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	put(t, path, "# dir: /one\nuserdb: {dir: '/two', x: 1}\ncache:\n  dir: /three # here\n")
	if got := strings.Join(cacheDirs(path, "/four"), " "); got != "/one /two /three /four" {
		t.Errorf("got %q", got)
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// FuzzFile feeds damaged account files: whatever they hold, a line that comes
// out is the one that belongs to the key.
func FuzzFile(f *testing.F) {
	config, entries := host(f, 20)
	good := readFile(f, account(config))
	f.Add([]byte(good))
	f.Add([]byte(strings.ReplaceAll(good, " ", "\n")))
	f.Add([]byte(good[:200] + good))
	f.Fuzz(func(t *testing.T, body []byte) {
		put(t, account(config), string(body))
		for _, e := range entries[:3] {
			if r, ok := ask(config, "ssh-ed25519", e.Base64); ok && !strings.Contains(string(r.Lines), "ssh-ed25519 "+e.Base64+" ") {
				t.Errorf("%q gave %q", e.Base64, r.Lines)
			}
		}
		Answer([]string{"-config", config, "deploy"}, "", "/nonexistent", noon)
	})
}
