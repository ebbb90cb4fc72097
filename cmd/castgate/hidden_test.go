// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"castgate/upload/archive/archivetest"
)

// What an unfinished title hides is in text and search with its mark, alone with
// -hidden, left out with -visible, and shown by play -hidden.
func TestHiddenText(t *testing.T) {
	f := newFixture(t)
	r := archivetest.Recording{User: "mallory", Host: "web2", Start: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), Output: []string{
		"before\r\n\x1b]0;syncing", "\r\nrm -rf /srv\r\n", "$ ", "\x1b[31mafter\r\n",
	}}
	m, _, err := r.Write(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	id := m.Session.ID
	complaint := "castgate: 3 lines of text were written into control strings and not shown\n" +
		"castgate: hint: castgate play -hidden shows it, castgate text -hidden lists it\n"
	for _, tt := range []struct {
		args      []string
		code      int
		out, errs string
	}{
		{[]string{"text", id}, 0, "[00:00] before\n[00:00 control string] 0;syncing\n[00:01 control string] rm -rf /srv\n[00:02 control string] $ \n[00:03] after\n", ""},
		{[]string{"text", "-hidden", "-plain", id}, 0, "0;syncing\nrm -rf /srv\n$ \n", ""},
		{[]string{"text", "-hidden", "-json", id}, 0, `{"at":0,"kind":"string","hidden":"control string","text":"0;syncing"}` + "\n" +
			`{"at":1,"kind":"string","hidden":"control string","text":"rm -rf /srv"}` + "\n" + `{"at":2,"kind":"string","hidden":"control string","text":"$ "}` + "\n", ""},
		{[]string{"play", id}, 0, "before\r\n\x1b[31mafter\r\n", complaint},
		{[]string{"play", "-hidden", id}, 0, "before\r\n<OSC>0;syncing\r\nrm -rf /srv\r\n$ \x1b[31mafter\r\n", ""},
		{[]string{"search", "-visible", "rm -rf"}, 1, "", ""},
	} {
		if code, out, errs := f.run(t, tt.args...); code != tt.code || out != tt.out || errs != tt.errs {
			t.Errorf("%q: %d\n got %q %q\nwant %q %q", tt.args, code, out, errs, tt.out, tt.errs)
		}
	}
	if code, out, _ := f.run(t, "search", "rm -rf"); code != 0 || !strings.HasPrefix(out, id) || !strings.HasSuffix(out, "\n    [00:01 control string] rm -rf /srv\n") {
		t.Errorf("search: %d %q", code, out)
	}
}

// What is no recording fails with its reason, whatever the command; what is one
// of another kind is read.
func TestFilesOfOthers(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	file := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for content, want := range map[string]string{"": "the file is empty", "hello\n": "not asciicast's", "hello": "does not begin with {", "\xff\xfe{\x00": "UTF-16"} {
		p := file("other.cast", content)
		for _, args := range [][]string{{"text"}, {"play"}, {"export"}, {"export", "-format", "v2"}, {"export", "-format", "txt"}} {
			if code, out, errs := f.run(t, append(args, p)...); code != 1 || out != "" || !strings.Contains(errs, want) {
				t.Errorf("%q of %q: %d %q %q, want %q", args, content, code, out, errs, want)
			}
		}
	}
	const v1 = `{"version": 1, "width": 80, "height": 24, "stdout": [[1.5, "hello\r\n"]]}`
	var packed strings.Builder
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(v1))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{file("v1.json.cast", "\ufeff"+v1), file("v1.cast.gz", packed.String())} {
		if code, out, errs := f.run(t, "text", p); code != 0 || out != "[00:01] hello\n" {
			t.Errorf("%s: %d %q %q", p, code, out, errs)
		}
		want := `{"version":3,"term":{"cols":80,"rows":24}}` + "\n" + `[1.500000, "o", "hello\r\n"]` + "\n"
		if code, out, errs := f.run(t, "export", p); code != 0 || out != want {
			t.Errorf("%s: %d %q %q", p, code, out, errs)
		}
	}
}
