// SPDX-License-Identifier: AGPL-3.0-or-later

package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func parsed(t *testing.T, text string) (Config, error) {
	t.Helper()
	c := Defaults()
	return c, parse([]byte(text), &c)
}

func TestShippedConfigIsTheDefaults(t *testing.T) {
	text, err := os.ReadFile("../../packaging/etc/wrap.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := Config{}
	if err := parse(text, &c); err != nil {
		t.Fatal(err)
	}
	d := Defaults()
	if c.Policy != d.Policy || c.Spool != d.Spool || c.Guard != d.Guard || c.Plain != d.Plain {
		t.Errorf("got %+v, want %+v", c, d)
	}
}

func TestRules(t *testing.T) {
	c, err := parsed(t, `
on_failure: deny
rules:
  - groups: [auditors]
    record: {input: echoed}
  - users: [backup]
    record: {commands: metadata}
    notice: ""
    on_failure: allow
    limits: {session: 1MiB}
`)
	if err != nil {
		t.Fatal(err)
	}
	audit := c.For("alice", []string{"users", "auditors"})
	if audit.Record.Input != "echoed" || audit.Record.Commands != "yes" || audit.OnFailure != "deny" {
		t.Errorf("auditors: %+v", audit)
	}
	backup := c.For("backup", nil)
	if backup.Record.Commands != "metadata" || backup.Record.Input != "no" || backup.Notice != "" || backup.OnFailure != "allow" ||
		backup.Limits.Session != 1<<20 || backup.Limits.Free != 256<<20 {
		t.Errorf("backup: %+v", backup)
	}
	if other := c.For("bob", []string{"users"}); other != c.Policy {
		t.Errorf("bob: %+v", other)
	}
	if both := c.For("backup", []string{"auditors"}); both.Record.Commands != "yes" {
		t.Errorf("the first rule that matches wins: %+v", both)
	}
}

func TestConfigRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"recrod: {}":                               `line 1: key "recrod" is not known`,
		"record: {imput: all}":                     `key "imput" is not known`,
		"record: {input: some}":                    `record.input: "some" is none of no, echoed, all`,
		"limits: {free: 10 potatoes}":              "is no size",
		"limits: {free: -1}":                       "is no size",
		"limits: {session: 99999999TiB}":           "is no size",
		"limits: {sessions_per_user: 0}":           "locks everybody out",
		"guard: maybe":                             `guard: "maybe"`,
		"spool: here":                              "not an absolute path",
		"shells: {a: zsh}":                         "not an absolute path",
		"rules: [{record: {input: all}}]":          "rule 1: it names neither users nor groups",
		"rules: [{users: [a], record: {in: all}}]": `key "in" is not known`,
		"rules: [{users: [a], leftovers: end}]":    `key "leftovers" is not known`,
		"plain: perhaps":                           "line 1",
		"a: [":                                     "line 1",
		"rules: [{users: [~]}]":                    "want a text",
		"limits: {free: 1KiBMiB}":                  "is no size",
	} {
		if _, err := parsed(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// TestUnknownKeysGetAHint: the one that was meant, at any depth, as in the other files.
func TestUnknownKeysGetAHint(t *testing.T) {
	for text, want := range map[string]string{
		"recrod: {}":                                  `did you mean "record"?`,
		"record: {imput: all}":                        `did you mean "input"?`,
		"rules: [{usres: [a]}]":                       `did you mean "users"?`,
		"limits: {sesions_per_user: 1}":               `did you mean "sessions_per_user"?`,
		"limits: {colour: 1}":                         "castgate-wrap.yaml(5) lists the keys",
		"rules: [{users: [a], limits: {free: lots}}]": "castgate-wrap.yaml(5) lists the keys",
	} {
		path := filepath.Join(t.TempDir(), "wrap.yaml")
		if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		var h interface{ Hint() string }
		if !errors.As(err, &h) || h.Hint() != want {
			t.Errorf("%s: got %v with hint %v, want %q", text, err, h, want)
		}
	}
}

// TestFaultyConfigKeepsItsVerdicts: a mistake in the file must not let in
// unrecorded those whom a rule refuses, nor lock out those whom one lets in.
func TestFaultyConfigKeepsItsVerdicts(t *testing.T) {
	for text, want := range map[string]string{
		"on_failure: allow\nrecrd: {input: no}\nrules:\n  - users: [eve]\n    on_failure: deny\n":                           "deny",
		"on_failure: allow\nguard: yes\nrules:\n  - users: [eve]\n    on_failure: deny\n":                                   "deny",
		"on_failure: allow\nrules:\n  - users: [bob]\n    record: {input: maybe}\n  - users: [eve]\n    on_failure: deny\n": "deny",
		"limits: {fre: 1}\nrules:\n  - users: [eve]\n    on_failure: allow\n":                                               "allow",
		"rules:\n  - notice: [x]\n    on_failure: deny\n    users: [eve]\non_failure: allow\n":                              "deny",
	} {
		c, err := parsed(t, text)
		if err == nil {
			t.Errorf("%q: no error", text)
		}
		if got := c.For("eve", nil).OnFailure; got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestConfigOfOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "wrap.yaml")
	if c, err := Read(path); err != nil || c.OnFailure != "deny" {
		t.Errorf("no file: %+v, %v", c, err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err != nil {
		t.Errorf("root's file: %v", err)
	}
	for _, spoil := range []func() error{
		func() error { return os.Chmod(path, 0o664) },
		func() error { return os.Chown(path, 1, 1) },
		func() error { return os.Chmod(dir, 0o777) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "others than root") {
			t.Errorf("got %v", err)
		}
		_, _, _ = os.Chmod(path, 0o644), os.Chown(path, 0, 0), os.Chmod(dir, 0o755)
	}
}

// FuzzConfig: whatever is accepted gives everybody a policy that is sound, and
// what is refused says where.
func FuzzConfig(f *testing.F) {
	shipped, err := os.ReadFile("../../packaging/etc/wrap.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(shipped))
	f.Add("rules: [{users: [a], record: {input: all}}]")
	f.Add("limits: {free: 1GiB}\nshells: {a: /bin/sh}")
	f.Add("rules:\n- groups: [wheel]\n  notice: |\n    two\n    lines\n  on_failure: allow\n")
	f.Add("notice: &x b\nspool: *x\n---\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse([]byte(text))
		if err != nil {
			if said := err.Error(); said == "" || strings.Contains(said, "\n") || strings.Contains(said, "yaml: ") {
				t.Errorf("%q is refused with %q", text, said)
			}
			return
		}
		names := []string{"root"}
		for _, r := range c.Rules {
			names = append(names, r.Users...)
		}
		for _, name := range names {
			p := c.For(name, []string{"wheel"})
			if err := p.validate(); err != nil {
				t.Errorf("%q was accepted and gives %s %v", text, name, err)
			}
		}
		if again, err := Parse([]byte(text + "\nspool: relative\n")); err == nil {
			t.Errorf("%q makes a fault after it pass: %+v", text, again)
		}
	})
}
