// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"castgate/packaging/hosttest"
)

// quiet is how long a program must be silent to be taken for waiting. It sets
// how the keys fall, not what is right: whatever was recorded is compared.
const quiet = 150 * time.Millisecond

// record runs a program on a terminal and returns what it printed. Each key is
// sent when the program waits.
func record(t *testing.T, cols, rows int, keys []string, program string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		hosttest.Skip(t, program+" is not installed")
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{
		"TERM=xterm-256color", "LANG=C.UTF-8", "PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir,
		"TMUX_TMPDIR=" + cmd.Dir, "PS1=$ ",
	}
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(cols), Rows: uint16(rows)})
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	chunks := make(chan []byte)
	go func() {
		defer close(chunks)
		for {
			buf := make([]byte, 64<<10)
			n, err := tty.Read(buf)
			if n > 0 {
				chunks <- buf[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	var out bytes.Buffer
	silent := 0
	for {
		select {
		case c, ok := <-chunks:
			if !ok {
				_ = cmd.Wait()
				return out.Bytes()
			}
			out.Write(c)
			silent = 0
		case <-time.After(quiet):
			if len(keys) > 0 {
				_, _ = tty.WriteString(keys[0])
				keys = keys[1:]
			} else if silent++; silent > 100 {
				_ = cmd.Process.Kill()
				t.Errorf("%s did not end", program)
			}
		}
	}
}

func TestAgainstXtermOnRealPrograms(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "text")
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, "line %d of the file, with 漢字 and é and a tab\t%s\n", i, strings.Repeat(" long", i%30))
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	progress := `for i in 10 40 70 100; do printf '\r[%-10s] %d%%' "$(printf '%*s' $((i/10)) '' | tr ' ' '#')" $i; done; echo; echo done`
	docker := `printf 'layer 1: waiting\nlayer 2: waiting\n'; for i in 1 2 3; do printf '\033[2A\033[Klayer 1: %d\n\033[Klayer 2: %d\n' $i $i; done`
	colours := `ls --color=always -la / /etc; printf '\033[38;5;208mfg\033[48;2;1;2;3mbg\033[0m\n'`
	rubbedOut := map[string]string{"shell": "secret", "a password at the wrong prompt": "hunter", "and in the terminal's own line": "hunter"}
	for _, tt := range []struct {
		name string
		keys []string
		args []string
		show []string // must be in the transcript
	}{
		{"less", []string{" ", " ", "b", "j", "j", "k", "/line 150\n", "G", "g", "q"}, []string{"less", file}, []string{"line 0 of", "line 36 of", "line 150 of", "line 199 of"}},
		{"vim", []string{"i", "hello wörld", "\x1b", "\x06", "\x06", "dd", "u", "5x", ":set number\r", "G", ":q!\r"}, []string{"vim.tiny", "-u", "NONE", file}, []string{"hello wörldline 0", "199 line 198 of"}},
		{"less with colours", []string{" ", " ", "b", "/zcat\n", "q"}, []string{"sh", "-c", "ls --color=always -la /usr/bin | less -R"}, []string{"total", "zcat"}},
		{"top", []string{"", " ", "1", "q"}, []string{"top"}, []string{"PID USER"}},
		{"tmux", []string{"echo hello\r", "\x02%", "seq 30\r", "\x02o", "less /etc/profile\r", "q", "exit\r", "exit\r"}, []string{"tmux", "-f", "/dev/null", "new-session", "sh"}, []string{"hello", "/etc/profile"}},
		{"progress bar", nil, []string{"sh", "-c", progress}, []string{"[##########] 100%", "done"}},
		{"lines written over", nil, []string{"sh", "-c", docker}, []string{"layer 1: 3", "layer 2: 3"}},
		{"colours", nil, []string{"sh", "-c", colours}, []string{"passwd", "fgbg"}},
		{"shell", []string{"echo secret\b\b\b\b\b\bpublic\r", "clear\r", "\x0c", "ls -la /\r", "\x12cl\x07", "exit\r"}, []string{"bash", "--norc"}, []string{"$ echo public", "$ exit"}},
		{"a password at the wrong prompt", []string{"hunter2", "\x7f\x7f\x7f\x7f\x7f\x7f\x7f", "swordfish\x15", "letmein\x17", "exit\r"}, []string{"sh", "-c", "stty sane; exec bash --norc"}, []string{"$ exit"}},
		{"and in the terminal's own line", []string{"hunter2", "\x7f\x7f\x7f\x7f\x7f\x7f\x7f", "hunter\x15", "hunter\x17", "exit\r"}, []string{"sh", "-c", "stty sane; read line; echo got $line"}, []string{"got exit"}},
		{"hidden", nil, []string{"sh", "-c", `printf 'first plan'; sleep .2; printf '\r\033[Ksecond plan\r'; sleep .2; printf 'harmless...\n\033[8mthird\033[m \033[?1049hfourth\033[?1049l fi\033[1mf\033]0;x\007th\n'`}, []string{"first plan", "second plan", "third", "fourth", "fifth"}},
		{"long lines", nil, []string{"cat", file}, []string{"line 29 of the file, with 漢字 and é and a tab   long" + strings.Repeat(" long", 28)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := record(t, 80, 24, tt.keys, tt.args[0], tt.args[1:]...)
			// After each eighth of it: the alternate screen is seen from within.
			var streams []stream
			for i := 1; i <= 8; i++ {
				streams = append(streams, stream{Cols: 80, Rows: 24, Parts: []part{{Data: out[:len(out)*i/8]}}, name: fmt.Sprintf("%s %d/8", tt.name, i)})
			}
			compare(t, streams, true)
			all := strings.Join(transcript(80, 24, string(out)), "\n")
			for _, want := range tt.show {
				if !strings.Contains(all, want) {
					t.Errorf("%q is not in the transcript:\n%s", want, all)
				}
			}
			if word := rubbedOut[tt.name]; word != "" {
				checkRubbedOut(t, all, word)
			}
		})
	}
}

// checkRubbedOut wants a word in lines that say that it was hidden, and in no
// others.
func checkRubbedOut(t *testing.T, transcript, word string) {
	t.Helper()
	found := false
	for line := range strings.Lines(transcript) {
		if !strings.Contains(line, word) {
			continue
		}
		found = true
		if _, kind, _ := strings.Cut(line, " "); !strings.HasPrefix(kind, "erased/rubbed out ") && !strings.HasPrefix(kind, "erased/erased ") {
			t.Errorf("%q is among what was to see: %s", word, line)
		}
	}
	if !found {
		t.Errorf("%q is not in the transcript:\n%s", word, transcript)
	}
}
