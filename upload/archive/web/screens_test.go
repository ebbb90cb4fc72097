// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"castgate/upload/archive"
	"castgate/upload/archive/screen"
	"castgate/wrap/asciicast"
)

// screenAt is what the screen had at a time: each row's characters, "" for the
// second half of a wide one.
type screenAt struct {
	At   float64    `json:"at"`
	Rows [][]string `json:"rows"`
}

// TestBrowserShowsTheScreen compares the player in Chromium with the screen
// that the transcript is made by, cell by cell: played, sought, and opened at a
// moment; across sizes, wrapped lines and the borders of segments; and with
// what "castgate play -at" begins with.
func TestBrowserShowsTheScreen(t *testing.T) {
	if os.Getenv("CASTGATE_TEST_WEB") == "" {
		t.Skip("a browser and node are needed: make test-web")
	}
	s := newSample(t)
	type given struct {
		Name    string     `json:"name"`
		ID      string     `json:"id"`
		Moments []screenAt `json:"moments"`
	}
	var all []given
	add := func(name string, k *take) {
		moments := s.moments(k)
		k.at += time.Second // the last of them is before the end
		all = append(all, given{name, s.keep(k.end(0)), moments})
	}
	add("resize and reflow", s.reflow())
	add("odd characters and sequences", s.oddities())
	for _, p := range programs(t) {
		add(p.name, s.program(p))
	}
	input, err := json.Marshal(map[string]any{
		"url": s.page(tokenAuth(t, testToken)).URL, "token": testToken, "chromium": need(t, "chromium"), "recordings": all,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), need(t, "node"), "browser/screens.mjs")
	file := t.TempDir() + "/given"
	if err := os.WriteFile(file, input, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "CASTGATE_GIVEN="+file, "HOME="+t.TempDir())
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
}

// reflow is a line that wraps at 40 columns, a wider window, and then enough
// output for several segments.
func (s *sample) reflow() *take {
	k := s.take("bob", "web1", "bob-gh")
	k.header.Term.Cols, k.header.Term.Rows = 40, 5
	k.show(100*time.Millisecond, "0123456789012345678901234567890123456789wrapped\r\n")
	k.sized(time.Second, 80, 10).show(time.Second, "after")
	row := strings.Repeat("\x1b[31mred\x1b[m and a line that is rather longer than the window is wide ", 2)
	for i := range 20 {
		k.sized(time.Second, 60+i%3*10, 10+i%5)
		k.show(0, fmt.Sprintf("%d %s\x1b[1;%dHX\x1b[%d;1H", i, row, 60, 8))
		for range 20 { // in events, or there is no place to part at
			k.show(time.Millisecond, strings.Repeat(fmt.Sprintf("\x1b[2;3H%d %s\r\n", i, row), 25))
		}
	}
	return k
}

// oddities has what emulators differ about: widths, combining characters, what they
// do not know, and what is left open.
func (s *sample) oddities() *take {
	k := s.take("bob", "web1", "bob-gh")
	k.header.Term.Cols, k.header.Term.Rows = 40, 12
	for _, text := range []string{
		"漢字かな e\u0301 a\u0308\u0304\r\n", "👍🏽 👨\u200d👩\u200d👧 ❤\ufe0f 🇩🇪 ☺\r\n", "שלום עולם \u202eabc\u202c\r\n",
		strings.Repeat("x", 39) + "漢|\r\n", "\u0080\u009b31mC1\u009c\r\n", "\x1b[8;3;10tsmaller?\r\n", "\x1b(0lqqk\x1b(B\x1b[5b|\r\n",
		"\x1b[?1049h\x1b[2;5r\x1b[5;1Halternate\r\n\r\n", "\x1b[44m\x1b[2J\x1b[?6h\x1b[1;1Horigin", "\x1b[?1049l\x1b[mback",
		"\x1b#8", "\x1b[2J\x1b[3;3H\x1b[8mconcealed\x1b[m", "\x1b[4h\x1b[3;3Hins\x1b[4l", "\x1b[?7l\x1b[1;38Habcdef\x1b[?7h", "\x1b[3g\x1b[5;5H\x1bH\r\ttab",
		"\x1b[S\x1b[T\x1b[2L", "█▀▄░▒▓ ─│┌┐ \ue0b0\r\n", "\x1b]0;never ends", " and more of it\x1b\\ after", "\xff\xfe bytes",
	} {
		k.show(time.Second, text)
	}
	return k
}

// sized changes the window's size.
func (k *take) sized(after time.Duration, cols, rows int) *take {
	k.at += after
	k.events++
	k.out = k.enc.AppendResize(k.out, k.at, cols, rows)
	return k
}

// program is one that is run on a terminal: keys are typed when it waits, and
// the window's size changes between them.
type program struct {
	name string
	args []string
	keys []string
}

func programs(t *testing.T) (all []program) {
	t.Helper()
	var text strings.Builder
	for i := range 120 {
		fmt.Fprintf(&text, "line %d of the file, with 漢字 and é and a tab\t%s\n", i, strings.Repeat(" long", i%30))
	}
	file := t.TempDir() + "/text"
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []program{
		{"vim", []string{"vim.tiny", "-u", "NONE", file}, []string{"i", "hello wörld", "\x1b", "\x06", "\x06", "dd", "u", ":set number\r", "G", ":q!\r"}},
		{"less", []string{"less", file}, []string{" ", " ", "b", "j", "/line 90\n", "G", "g", "q"}},
		{"top", []string{"top", "-d", "60"}, []string{"1", "m", "t", "M", "q"}},
		{"tmux", []string{"tmux", "-f", "/dev/null", "new-session", "sh"}, []string{"echo hello\r", "\x02%", "seq 30\r", "\x02o", "less /etc/profile\r", "q", "exit\r", "exit\r"}},
		{"bash", []string{"bash", "--norc"}, []string{"echo " + strings.Repeat("0123456789", 9) + "\r", "ls -la --color=always /\r", "\x12ls\x07", "clear\r", "printf '\\033[44mblue\\033[K\\n'\r", "exit\r"}},
	} {
		if _, err := exec.LookPath(p.args[0]); err != nil {
			t.Fatalf("%s is not installed: make deps", p.args[0])
		}
		all = append(all, p)
	}
	return all
}

// quiet is how long a program must be silent to be taken for waiting. It sets
// how the keys fall, not what is right.
const quiet = 200 * time.Millisecond

// program records p. What it prints at once is an event, and a second lies
// between two of them.
func (s *sample) program(p program) *take {
	s.t.Helper()
	sizes := [][2]int{{100, 28}, {61, 20}, {120, 33}, {40, 10}, {100, 28}}
	k := s.take("bob", "web1", "bob-gh")
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Dir = s.t.TempDir()
	cmd.Env = []string{"TERM=xterm-256color", "LANG=C.UTF-8", "PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "TMUX_TMPDIR=" + cmd.Dir, "PS1=$ "}
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 100, Rows: 28})
	if err != nil {
		s.t.Fatal(err)
	}
	defer tty.Close()
	chunks := make(chan []byte, 100)
	go func() {
		defer close(chunks)
		for {
			buf := make([]byte, 64<<10)
			n, err := tty.Read(buf)
			if chunks <- buf[:n]; err != nil {
				return
			}
		}
	}()
	gather := func() (out []byte, over bool) {
		for {
			select {
			case c, ok := <-chunks:
				if out = append(out, c...); !ok {
					return out, true
				}
			case <-time.After(quiet):
				return out, false
			}
		}
	}
	defer func() { _ = cmd.Wait() }()
	for i, key := range append([]string{""}, p.keys...) {
		_, _ = tty.WriteString(key)
		out, over := gather()
		k.show(time.Second, string(out))
		if over {
			return k
		}
		size := sizes[i%len(sizes)]
		if i%2 == 1 {
			_ = pty.Setsize(tty, &pty.Winsize{Cols: uint16(size[0]), Rows: uint16(size[1])})
			k.sized(time.Second, size[0], size[1])
			out, _ := gather()
			k.show(0, string(out))
		}
	}
	_ = cmd.Process.Kill()
	return k
}

// sameInTheTerminal looks at what "castgate play -at" begins with.
func (s *sample) sameInTheTerminal(cast []byte, at time.Duration, want *screen.Screen) {
	s.t.Helper()
	keys := make(chan asciicast.Action, 1)
	keys <- asciicast.Action{Do: asciicast.Quit}
	var out bytes.Buffer
	p := asciicast.Player{
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(cast)), nil },
		Out:  &out, Start: at, Keys: keys, Speed: 1, Idle: time.Hour,
		Screen: func(cols, rows int) asciicast.Screen { return screen.New(cols, rows) },
	}
	if err := p.Play(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	got := screen.New(want.Size())
	_, _ = got.Write(out.Bytes())
	spelled := strings.NewReplacer("\u202e", "<U+202E>", "\u202c", "<U+202C>") // a terminal would turn the text
	text := want.Text()
	for i := range text {
		text[i] = spelled.Replace(text[i])
	}
	if g, w := got.Text(), text; !slices.Equal(g, w) {
		s.t.Errorf("at %v the terminal shows\n%q, want\n%q", at, g, w)
	}
}

// moments is the screen half a second after each event that nothing follows
// for longer: made from the recording itself.
func (s *sample) moments(k *take) (all []screenAt) {
	s.t.Helper()
	cast := k.cast(s.t)
	rec, err := archive.NewEvents(bytes.NewReader(cast))
	if err != nil {
		s.t.Fatal(err)
	}
	now := screen.New(rec.Header.Term.Cols, rec.Header.Term.Rows)
	last := time.Duration(0)
	for {
		ev, err := rec.Next()
		if at := last + 500*time.Millisecond; last > 0 && (err != nil || ev.Time > at+400*time.Millisecond) {
			s.sameInTheTerminal(cast, at, now)
			all = append(all, screenAt{at.Seconds(), now.Cells()})
		}
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			s.t.Fatal(err)
		}
		switch ev.Code {
		case asciicast.Output:
			_, _ = now.Write(ev.Data)
		case asciicast.Resize:
			cols, rows, _ := asciicast.ParseSize(ev.Text)
			now.Resize(cols, rows)
		}
		last = ev.Time
	}
}
