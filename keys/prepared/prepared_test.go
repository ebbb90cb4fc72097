// SPDX-License-Identifier: AGPL-3.0-or-later

package prepared

import (
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
func host(t testing.TB, n int) (config string, lines []Line) {
	t.Helper()
	dir := t.TempDir()
	config = filepath.Join(dir, "keys.yaml")
	put(t, config, fmt.Sprintf("github: {org: acme}\ncache: {dir: %q, ttl: 5m}\n", dir))
	for i := range n {
		// Lengths that differ, so that no line starts where another would.
		blob := base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%d%s", i*7919%100_003, strings.Repeat("x", i%300))))
		lines = append(lines, Line{"ssh-ed25519 " + blob, fmt.Sprint("u", i), int64(i + 1), []string{"", "restrict,pty", `from="a b"`}[i%3]})
	}
	id, err := ConfigID(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, Dir), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, account(config), string(Answer{"deploy", id, noon, noon.Add(time.Minute), lines}.Format()))
	return config, lines
}

func account(config string) string { return filepath.Join(filepath.Dir(config), "accounts", "deploy") }

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func ask(config, key string) (Answer, bool) {
	id, err := ConfigID(config)
	if err != nil {
		return Answer{}, false
	}
	return Find(filepath.Dir(config), "deploy", id, key, noon)
}

func TestEveryKeyIsFoundAndNoOther(t *testing.T) {
	for _, n := range []int{1, 2, 3, 100, 3000} {
		config, lines := host(t, n)
		for i, l := range lines {
			if n > 100 && i%97 != 0 && i != n-1 {
				continue
			}
			a, ok := ask(config, l.Key)
			if !ok || len(a.Lines) != 1 || a.Lines[0] != l || !a.From.Equal(noon) {
				t.Fatalf("of %d: %q gave %+v, %v", n, l.Key, a, ok)
			}
			for _, other := range []string{l.Key + "A", l.Key[1:], l.Key[:len(l.Key)-1], "~", "!"} {
				if a, ok := ask(config, other); ok {
					t.Fatalf("of %d: %q gave %+v", n, other, a)
				}
			}
		}
		if a, ok := ask(config, ""); !ok || !slices.Equal(a.Lines, lines) {
			t.Errorf("all of %d: got %d lines, %v", n, len(a.Lines), ok)
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
		{"an older castgate-keys'", func(c string) {
			put(t, account(c), strings.Replace(readFile(t, account(c)), "castgate-answer 2 ", "castgate-hot 1 ", 1))
		}},
		{"gone", func(c string) { _ = os.Remove(account(c)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer func(n time.Time) { noon = n }(noon)
			config, lines := host(t, 10)
			if _, ok := ask(config, lines[3].Key); !ok {
				t.Fatal("not answered before")
			}
			tt.spoil(config)
			if a, ok := ask(config, lines[3].Key); ok {
				t.Errorf("answered %q", a.Lines)
			}
		})
	}
}

func TestAnotherOwnersFileIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		hosttest.Skip(t, "only root can give files away")
	}
	config, lines := host(t, 1)
	if err := os.Chown(account(config), 4711, 4711); err != nil {
		t.Fatal(err)
	}
	if r, ok := ask(config, lines[0].Key); ok {
		t.Errorf("answered %q", r.Lines)
	}
}

func TestTheTypeMustMatch(t *testing.T) {
	config, lines := host(t, 1)
	if r, ok := ask(config, strings.Replace(lines[0].Key, "ssh-ed25519", "ssh-rsa", 1)); ok {
		t.Errorf("answered %q", r.Lines)
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
	config, lines := host(f, 20)
	good := readFile(f, account(config))
	f.Add([]byte(good))
	f.Add([]byte(strings.ReplaceAll(good, " ", "\n")))
	f.Add([]byte(good[:200] + good))
	f.Fuzz(func(t *testing.T, body []byte) {
		put(t, account(config), string(body))
		for _, l := range lines[:3] {
			if a, ok := ask(config, l.Key); ok && (len(a.Lines) != 1 || !strings.Contains(a.Lines[0].String(), l.Key+" ")) {
				t.Errorf("%q gave %q", l.Key, a.Lines)
			}
		}
		ask(config, "")
	})
}
