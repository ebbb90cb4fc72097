// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// step of a dialogue: wait for a text, then type.
type step struct{ expect, keys string }

const prompt = "ready% "

// busy is a command that says when it has the terminal: a key that comes before
// is the shell's, which ignores it.
const busy = "sh -c 'echo; exec sleep 100'\r"

// dialogues are sessions on a terminal that have to look the same every way.
var dialogues = []struct {
	name       string
	shell      string
	home       map[string]string // files of the account
	options    []string
	command    []string
	cols, rows uint16
	term       string
	steps      []step
	status     int
	loose      bool // programs that draw as they like: compare the end only
}{
	{name: "bash", steps: []step{{prompt, "echo $((6*7)); stty size\r"}, {prompt, "exit 3\r"}}, status: 3},
	{name: "dash", shell: "/bin/dash", steps: []step{{"$ ", "echo $((6*7))\r"}, {"42\r\n$ ", "exit 3\r"}}, status: 3},
	{name: "zsh", shell: "/bin/zsh", steps: []step{{prompt, "print $((6*7))\r"}, {"42", ""}, {prompt, "exit 3\r"}}, status: 3},
	{name: "fish", shell: "/usr/bin/fish", steps: []step{{"fish", ""}, {"> ", "math 6 x 7\r"}, {"42", ""}, {"> ", "exit 3\r"}}, status: 3, loose: true},
	{name: "mksh", shell: "/bin/mksh", steps: []step{{"$ ", "echo $((6*7))\r"}, {"\n42\r\n", "exit 3\r"}}, status: 3},
	{name: "tcsh", shell: "/bin/tcsh", steps: []step{{"> ", "@ x = 6 * 7; echo $x\r"}, {"\n42\r\n", ""}, {"> ", "exit 3\r"}}, status: 3},
	{name: "end of file", steps: []step{{prompt, "\x04"}}},
	{name: "last status is the shell's", steps: []step{{prompt, "false\r"}, {prompt, "exit\r"}}, status: 1},
	{name: "killed by itself", steps: []step{{prompt, "kill -KILL $$\r"}}, status: 255},
	{name: "hung up by itself", steps: []step{{prompt, "kill -HUP $$\r"}}, status: 255},
	{name: "interrupt", steps: []step{{prompt, busy}, {"100'\r\n\r\n", "\x03"}, {prompt, "echo $?\r"}, {"130\r\n", ""}, {prompt, "exit 0\r"}}},
	{name: "quit key", steps: []step{{prompt, "ulimit -c 0; " + busy}, {"100'\r\n\r\n", "\x1c"}, {prompt, "exit 0\r"}}},
	{
		name:  "job control",
		steps: []step{{prompt, "echo; sleep 100\r"}, {"sleep 100\r\n\r\n", "\x1a"}, {"Stopped", ""}, {prompt, "bg\r"}, {prompt, "jobs\r"}, {"Running", ""}, {prompt, "fg\r"}, {"sleep 100\r\n", "\x03"}, {prompt, "exit 0\r"}},
	},
	{name: "flow control", steps: []step{{prompt, "echo; cat\r"}, {"cat\r\n\r\n", "a\x13b\r"}, {"", "\x11"}, {"a", ""}, {"b\r\n", "\x04"}, {prompt, "exit\r"}}, loose: true},
	{name: "no echo", steps: []step{{prompt, "read -rs -p 'secret: ' x; echo; echo ${#x}\r"}, {"secret: ", "hunter2\r"}, {"7\r\n", ""}, {prompt, "exit\r"}}},
	{name: "erase and kill keys", steps: []step{{prompt, "echo; cat\r"}, {"cat\r\n\r\n", "abx\x7fc\r"}, {"\r\nabc\r\n", "junk\x15good\r"}, {"\r\ngood\r\n", "\x04"}, {prompt, "exit\r"}}},
	{name: "UTF-8 erase (IUTF8)", steps: []step{{prompt, "echo; cat\r"}, {"cat\r\n\r\n", "aä\x7fb\r"}, {"\r\nab\r\n", "\x04"}, {prompt, "exit\r"}}},
	{name: "window 1x1", cols: 1, rows: 1, command: []string{"stty size"}, options: []string{"-tt"}},
	{name: "window 1000x500", cols: 1000, rows: 500, command: []string{"stty size"}, options: []string{"-tt"}},
	{name: "window 0x0", command: []string{"stty size"}, options: []string{"-tt"}, cols: 0, rows: 0},
	{name: "terminal unknown", term: "no-such-terminal", steps: []step{{prompt, "echo $TERM\r"}, {"no-such-terminal\r\n", ""}, {prompt, "exit 0\r"}}},
	{name: "terminal unset", term: "-", steps: []step{{prompt, "echo [$TERM]\r"}, {prompt, "exit 0\r"}}},
	{name: "less", steps: []step{{prompt, "seq 1 500 | less\r"}, {"\n23", " "}, {"46", "G"}, {"500", "q"}, {prompt, "exit 0\r"}}},
	{name: "vim", steps: []step{{prompt, "vim -u NONE -c 'set nocp' text\r"}, {"text", "ihello\x1b:wq\r"}, {prompt, "cat text\r"}, {"hello\r\n", ""}, {prompt, "exit 0\r"}}, loose: true},
	{name: "tmux", steps: []step{{prompt, "tmux -f /dev/null new 'echo in tmux; read x; exit 0'\r"}, {"in tmux", "\r"}, {"[exited]", ""}, {prompt, "exit 0\r"}}, loose: true},
	{name: "screen", steps: []step{{prompt, "screen -c /dev/null sh -c 'echo in screen; read x'\r"}, {"in screen", "\r"}, {"terminating", ""}, {prompt, "exit 0\r"}}, loose: true},
	{name: "sudo", steps: []step{{prompt, "sudo id -un\r"}, {"\r\nroot\r\n", ""}, {prompt, "sudo -k; exit 0\r"}}},
	{name: "su asks on the terminal", steps: []step{{prompt, "su - nobody\r"}, {"Password: ", "wrong\r"}, {"failure", ""}, {prompt, "exit 0\r"}}},
	{
		name: "passwd", // there and back, so that every way finds the same password
		steps: []step{
			{prompt, "passwd\r"},
			{"Current password: ", oldPassword + "\r"},
			{"New password: ", newPassword + "\r"},
			{"new password: ", newPassword + "\r"},
			{"updated successfully", ""},
			{prompt, "passwd\r"},
			{"Current password: ", newPassword + "\r"},
			{"New password: ", oldPassword + "\r"},
			{"new password: ", oldPassword + "\r"},
			{"updated successfully", ""},
			{prompt, "exit 0\r"},
		},
	},
	{name: "ssh's own escape", steps: []step{{prompt, "\r~."}}, status: 255, loose: true},
	{name: "megabyte pasted in brackets", steps: []step{{prompt, "stty -echo raw; printf 'g%s' o; head -c " + strconv.Itoa(len(paste)) + " | sha256sum; stty sane\r"}, {"go", paste}, {sum(paste), ""}, {prompt, "exit 0\r"}}},
}

const oldPassword, newPassword = "Traum-Kahn-7", "Quittenbrot+9"

// paste is a megabyte as a terminal sends it when the shell asked for brackets.
var paste = "\x1b[200~" + strings.Repeat("pasted äö\n", 1<<20/12) + "\x1b[201~"

func sum(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// own is what is each session's own: its pty, its processes, the clock.
var own = regexp.MustCompile(`/dev/pts/\d+|\[\d+\] \d+|Last login: [^\r]*\r\n`)

func TestTerminalsAreTheSameEveryWay(t *testing.T) {
	m := newMatrix(t)
	hosttest.StartGuard(t) // it revokes the terminal
	m.user.Write(t, ".bashrc", "PS1='"+prompt+"'\n")
	m.user.Write(t, ".bash_profile", ". ~/.bashrc\nbind 'set enable-bracketed-paste off' 2>/dev/null\nunset HISTFILE\n")
	m.user.Write(t, ".zshrc", "PS1='ready%% '\nunsetopt prompt_sp\n")
	hosttest.Run(t, "sh", "-c", "echo '"+account+" ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/"+account+" && chmod 440 /etc/sudoers.d/"+account)
	hosttest.Run(t, "install", "-d", "-m", "777", "/run/screen")
	hosttest.Run(t, "sh", "-c", "echo "+account+":"+oldPassword+" | chpasswd")
	found := table{part: "2-terminals", title: "On a terminal"}
	for _, d := range dialogues {
		t.Run(d.name, func(t *testing.T) {
			m.t = t
			if d.shell == "" {
				d.shell = "/bin/bash"
			}
			m.as(d.shell)
			if d.cols == 0 && !strings.HasPrefix(d.name, "window") {
				d.cols, d.rows = 80, 24
			}
			var plain string
			l := line{what: d.name}
			for i, w := range m.ways[:3] {
				forget(t)
				cmd := m.ssh(w, d.options, d.command...)
				cmd.Env = environment(d.term)
				x := hosttest.StartTerminal(t, cmd, d.cols, d.rows)
				for _, s := range d.steps {
					x.Expect(s.expect)
					x.Type(s.keys)
				}
				end := x.Wait()
				if end.Status != d.status {
					t.Errorf("%s: status %d, want %d; it showed %s", w.name, end.Status, d.status, brief(end.Stdout))
				}
				if w.recorded && d.name != "ssh's own escape" {
					if rec := finished(t, 1)[0]; string(rec.output) != end.Stdout {
						t.Errorf("%s: recorded %s\nshown %s", w.name, brief(string(rec.output)), brief(end.Stdout))
					}
				}
				shown := own.ReplaceAllString(end.Stdout, "")
				if i == 0 {
					plain = shown
				}
				if !d.loose && shown != plain {
					t.Errorf("%s showed %s\nplain showed %s", w.name, brief(shown), brief(plain))
				}
				note := ""
				if d.loose {
					note = "by what was waited for and how it ended"
				}
				l.add(i, end.Status == d.status && (d.loose || shown == plain), note)
			}
			found.add(l)
		})
	}
	found.hold(t)
}

func environment(term string) []string {
	env := []string{"PATH=/usr/bin:/bin", "HOME=/root", "LANG=C.UTF-8", "LC_ALL=C.UTF-8"}
	switch term {
	case "-":
		return env
	case "":
		term = "xterm-256color"
	}
	return append(env, "TERM="+term)
}

// TestWindowChanges resizes the client's window and looks at it from inside.
func TestWindowChanges(t *testing.T) {
	m := newMatrix(t)
	hosttest.StartGuard(t)
	m.as("/bin/bash")
	for _, w := range m.ways {
		x := hosttest.StartTerminal(t, m.ssh(w, nil), 80, 24)
		x.Type("trap 'echo size $(stty size)' WINCH; echo wait\"ing\"\r")
		x.Expect("waiting")
		for _, size := range []struct {
			cols, rows uint16
			want       string
		}{{100, 40, "size 40 100"}, {1, 1, "size 1 1"}, {1000, 500, "size 500 1000"}} {
			x.Resize(size.cols, size.rows)
			hosttest.WaitFor(t, w.name+": "+size.want, func() bool {
				x.Type("\r") // bash runs traps between commands
				return strings.Contains(x.Output(), size.want)
			})
		}
		x.Type("exit 0\r")
		if got := x.Wait(); got.Status != 0 {
			t.Errorf("%s: %+v", w.name, got)
		}
	}
}
