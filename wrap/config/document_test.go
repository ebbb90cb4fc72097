// SPDX-License-Identifier: AGPL-3.0-or-later

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFormsOfYAML: what people write by hand means what YAML says.
func TestFormsOfYAML(t *testing.T) {
	for text, want := range map[string]string{
		"notice: b # comment\n":              "b",
		"notice: b#no comment\n":             "b#no comment",
		"---\nnotice: b\n":                   "b",
		"--- # mark\nnotice: b":              "b",
		"\ufeffnotice: b\n":                  "b",
		"notice: b\r\nguard: no\r\n":         "b",
		"notice:   b   \n":                   "b",
		"notice: it's \"fine\"\n":            `it's "fine"`,
		"notice: 'it''s'\n":                  "it's",
		`notice: "\x41\u00e9\t"`:             "Aé\t",
		"notice: http://example.org/#x\n":    "http://example.org/#x",
		"notice: 0x10\n":                     "0x10",
		"notice: 1_000\n":                    "1_000",
		"notice: yes\n":                      "yes",
		"notice: \"~\"\n":                    "~",
		"notice: ''\n":                       "",
		"notice:\n":                          "This session is recorded.",
		"notice: ~\n":                        "This session is recorded.",
		"# nothing\n":                        "This session is recorded.",
		"":                                   "This session is recorded.",
		"null\n":                             "This session is recorded.",
		"notice: |\n  one\n  two\n":          "one\ntwo\n",
		"notice: |-\n  # no comment\n":       "# no comment",
		"notice: >-\n  one\n  two\n":         "one two",
		"{notice: b}\n":                      "b",
		"{\"notice\":b}\n":                   "b",
		"notice: b\nrules: [\n # none\n ]\n": "b",
	} {
		c, err := parsed(t, text)
		if err != nil || c.Notice != want {
			t.Errorf("%q: got %q, %v, want %q", text, c.Notice, err, want)
		}
	}
}

// TestRefusedYAML: what is no YAML, and what has no place in this file, by line.
func TestRefusedYAML(t *testing.T) {
	for text, want := range map[string]string{
		"notice: &x b":                                    "line 1: anchors",
		"notice: b\nspool: *x":                            "unknown anchor",
		"notice: &x b\nspool: *x":                         "line 1: anchors",
		"notice: b\nspool: !!str /x":                      "line 2: tags",
		"notice: !x b":                                    "line 1: tags",
		"notice: b\n---\nspool: /x":                       "line 2: one document",
		"notice: b\nnotice: c":                            `line 2: key "notice" is there already, on line 1`,
		"notice: b\n\"notice\": b":                        `line 2: key "notice" is there already, on line 1`,
		"record: {su: no,\n su: yes}":                     `line 2: key "su" is there already, on line 1`,
		"rules:\n- users: [a]\n  record: {}\n  users: []": `line 4: key "users" is there already, on line 2`,
		"shells:\n  a: /bin/sh\n  a: /bin/bash":           `line 3: key "a" is there already, on line 2`,
		"on_failure: deny\non_failure: allow":             "is there already",
		"<<: {notice: b}":                                 `line 1: key "<<" is not known`,
		"? [a]\n: b":                                      "can't be a key",
		"[a]":                                             "line 1: want KEY: VALUE",
		"- a":                                             "line 1: want KEY: VALUE",
		"a":                                               "line 1: want KEY: VALUE",
		"notice: [b":                                      "line 1",
		"notice: \"b":                                     "line 1",
		"notice: b: c":                                    "line 1",
		"record:\n\tsu: no":                               "line 2",
		"record:\n    su: no\n  input: all":               "line 2",
		"notice: @b":                                      "line 1",
		"notice: \x01":                                    "control characters",
		"notice: \xff":                                    "not UTF-8",
		"\xff\xfen\x00":                                   "not UTF-8",
		"notice: [b]":                                     "line 1: want a text",
		"notice: {a: b}":                                  "line 1: want a text",
		"shells: [a]":                                     "line 1: want names with texts",
		"rules: a":                                        "line 1: want a list",
		"guard: no\nrecord: all":                          "line 2: want keys with values",
		"plain: \"no\"":                                   "line 1",
		"limits: {sessions_per_user: many}":               "line 1",
		strings.Repeat("[", 100_000):                      "exceeded max depth",
	} {
		if c, err := parsed(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %+v, %v; want %q", text, c, err, want)
		}
	}
}

// TestNoBombs: a file says no more than can be read in it, and not much.
func TestNoBombs(t *testing.T) {
	laughs := "a: &a [ha]\n"
	for c := 'b'; c < 'z'; c++ {
		laughs += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "]\n"
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		laughs:                                   "anchors and aliases",
		strings.Repeat("#\n", maxConfig/2):       "",
		strings.Repeat("#\n", maxConfig/2) + "#": "larger than",
	} {
		path := filepath.Join(dir, "wrap.yaml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes, %.20q: %v, want %q", len(text), text, err, want)
		}
	}
}
