// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"castgate/packaging/hosttest"
)

// chunks writes random bytes, and letters of every width, in random pieces.
const chunks = `import os, random, time, tty
tty.setraw(1)
r = random.Random(7)
for _ in range(400):
    piece = r.randbytes(r.randint(1, 300)) if r.random() < .1 else "aäß€日本𝄞\x1b[1mß\x1b[0m\r\n".encode()[r.randint(0, 9):] * 9
    for at in range(0, len(piece), 7): os.write(1, piece[at:at + 7])
    time.sleep(r.random() / 500)
`

// TestPlayersTakeARecording holds a session of random bytes in random pieces,
// reads its recording back to the byte, and gives it to those who play it: the
// rules by which an asciinema server takes a file, asciinema-player, and, as
// v2, the asciinema of the distribution.
func TestPlayersTakeARecording(t *testing.T) {
	m := newMatrix(t)
	m.as("/bin/bash")
	m.user.Write(t, "chunks.py", chunks)
	for _, w := range m.ways[1:3] {
		forget(t)
		x := hosttest.StartTerminal(t, m.ssh(w, []string{"-tt"}, "python3 chunks.py; exit 3"), 80, 24)
		shown := x.Wait().Stdout
		hosttest.WaitFor(t, "the recording", func() bool { return len(in(t, "incoming")) == 1 })
		path := in(t, "incoming")[0]
		if rec := readRecording(t, path); string(rec.output) != shown || len(shown) < 20_000 || rec.exit != "3" {
			t.Errorf("%s: shown %s, recorded %s, exit %q", w.name, brief(shown), brief(string(rec.output)), rec.exit)
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strict(t, string(file), 3)
		if got := underNode(t, path); got != text {
			t.Errorf("%s: asciinema-player shows %s, the file has %s", w.name, brief(got), brief(text))
		}
		v2 := filepath.Join(t.TempDir(), "v2.cast")
		hosttest.Run(t, "castgate", "export", "-format", "v2", "-o", v2, path)
		cat := exec.Command("asciinema", "cat", v2)
		cat.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+t.TempDir())
		if file, err = os.ReadFile(v2); err != nil {
			t.Fatal(err)
		}
		// A chunk that is mostly binary has no text in v3, and what is text of it in v2.
		if got, want := onRawTerminal(t, cat), strict(t, string(file), 2); got != want || len(want) < len(text) {
			t.Errorf("%s: asciinema cat shows %s, the file has %s", w.name, brief(got), brief(want))
		}
	}
}

// onRawTerminal runs cmd on a terminal that changes nothing of its output:
// asciinema insists on one.
func onRawTerminal(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	raw := exec.Command("sh", append([]string{"-c", `stty raw -echo; exec "$@"`, "sh"}, cmd.Args...)...)
	raw.Env = cmd.Env
	got := hosttest.StartTerminal(t, raw, 80, 24).Wait()
	if got.Status != 0 {
		t.Fatalf("%q: %s", cmd.Args, show(got))
	}
	return got.Stdout
}

// underNode is what asciinema-player hands to its terminal.
func underNode(t *testing.T, path string) string {
	t.Helper()
	dist, err := filepath.Abs("../../upload/archive/web/node_modules/asciinema-player/dist")
	if err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if _, missing := os.Stat(dist); err != nil || missing != nil {
		hosttest.Skip(t, "node or asciinema-player is missing: make test-web gets them")
	}
	got := hosttest.Do(t, exec.Command(node, "player.mjs", dist, path), nil)
	if got.Status != 0 || got.Stderr != "" {
		t.Fatalf("asciinema-player: %s", show(got))
	}
	return got.Stdout
}

var envKey = regexp.MustCompile(`^[A-Z0-9_]+$`)

// strict holds a file against all that an asciinema server refuses, and returns
// the text of its output events.
func strict(t *testing.T, file string, version int) (text string) {
	t.Helper()
	if !utf8.ValidString(file) || !strings.HasSuffix(file, "\n") {
		t.Fatal("not whole lines of UTF-8")
	}
	lines := strings.Split(strings.TrimSuffix(file, "\n"), "\n")
	var header struct {
		Version       int
		Term          struct{ Cols, Rows int }
		Width, Height int // v2 has no term
		Theme         any
		Env           map[string]string
	}
	if err := json.Unmarshal([]byte(lines[0]), &header); err != nil {
		t.Fatalf("header: %v", err)
	}
	cols, rows := header.Term.Cols+header.Width, header.Term.Rows+header.Height
	if header.Version != version || cols < 1 || cols > 720 || rows < 1 || rows > 200 || header.Theme != nil {
		t.Errorf("header %s", lines[0])
	}
	for key := range header.Env {
		if !envKey.MatchString(key) {
			t.Errorf("header: env has %q", key)
		}
	}
	events := 0
	for i, line := range lines[1:] {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var interval float64
		var code, data string
		ev := []any{&interval, &code, &data}
		if err := json.Unmarshal([]byte(line), &ev); err != nil || len(ev) != 3 || interval < 0 || !strings.Contains("oirmx", code) {
			t.Fatalf("line %d: %q, %v", i+2, line, err)
		}
		events++
		if code == "o" {
			text += data
		}
	}
	if events == 0 {
		t.Errorf("no events in %d lines", len(lines))
	}
	return text
}
