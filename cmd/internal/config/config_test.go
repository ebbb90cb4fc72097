// SPDX-License-Identifier: AGPL-3.0-or-later

package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type sample struct {
	Teams    []string `yaml:"teams"`
	Accounts map[string]struct {
		Logins []string
	}
	Cache struct {
		MaxStale time.Duration `yaml:"max_stale"`
	}
	Stream bool
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	s := sample{Teams: []string{"default"}}
	s.Cache.MaxStale = time.Hour
	path := write(t, "accounts: {first.last: {logins: [a, b]}}\nstream: yes\ncache: {max_stale: 24h}\n")
	if err := Load(path, &s); err != nil {
		t.Fatal(err)
	}
	if s.Teams[0] != "default" || !s.Stream || s.Cache.MaxStale != 24*time.Hour {
		t.Errorf("got %+v", s)
	}
	if got := s.Accounts["first.last"].Logins; len(got) != 2 {
		t.Errorf("a dotted account name was split: %+v", s.Accounts)
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want, hint string }{
		{"unknown key", "temas: [a]\n", `key "temas" is not known`, `did you mean "teams"?`},
		{"unknown key with an empty map", "temas: {}\n", `key "temas" is not known`, `did you mean "teams"?`},
		{"unknown key with nothing", "cache:\n  max_stole:\n", `key "max_stole" is not known`, `did you mean "max_stale"?`},
		{"unknown nested key", "cache: {max_stole: 1h}\n", `key "max_stole" is not known`, `did you mean "max_stale"?`},
		{"wrong type", "cache: {max_stale: soon}\n", "max_stale", ""},
		{"neither yes nor no", "stream: maybe\n", "neither yes nor no", ""},
		{"a list as a text", "teams: a,b\n", `key "teams": "a,b" is one text, not a list`, "a list is written [a, b]"},
		{"a list with spaces", "teams: a b\n", `key "teams": "a b" is one text`, "a list is written [a, b]"},
		{"a list as a text, below", "accounts: {deploy: {logins: \"a, b\"}}\n", `"a, b" is one text`, "a list is written [a, b]"},
		{"the same key twice", "teams: [a]\nteams: [b]\n", `"teams" already defined at line 1`, "YAML"},
		{"twice, in another case", "teams: [a]\nTeams: [b]\n", `key "teams" is there already, as "Teams"`, ""},
		{"twice, below", "accounts: {deploy: {logins: [a]}, Deploy: {logins: [b]}}\n", `key "deploy" is there already, as "Deploy"`, ""},
		{"not YAML", "teams: [a\n", "line 1", "indentation"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Load(write(t, tt.text), &sample{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			}
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Hint(), tt.hint) {
				t.Errorf("got hint %q, want %q", e.Hint(), tt.hint)
			}
		})
	}
}

func TestLoadRefusesFilesOthersMayWrite(t *testing.T) {
	path := write(t, "")
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Load(path, &sample{}); err == nil || !strings.Contains(err.Error(), "may be written by others") {
		t.Errorf("got %v", err)
	}
}

func TestLoadMissing(t *testing.T) {
	err := Load(filepath.Join(t.TempDir(), "no.yaml"), &sample{})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}
