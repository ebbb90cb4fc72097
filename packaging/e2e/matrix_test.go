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

// row is one kind of session that has to be the same every way.
type row struct {
	name       string
	shell      string   // the account's; default bash
	options    []string // of ssh
	command    string
	stdin      string
	same       *regexp.Regexp // what differs from session to session, and is cut out
	unrecorded bool           // by ForceCommand: sshd starts it with the shell
	noisy      bool           // the shell that sshd starts for ForceCommand complains on stderr
	want       string         // a part of stdout that proves the row does what it says
	status     int
}

var big = strings.Repeat("0123456789abcdef\x00\xff\r\n\x1b[31m", 100_000)

// commands are sessions that need no dialogue.
var commands = []row{
	{name: "status 0", command: "true"},
	{name: "status 7", command: "exit 7", status: 7},
	{name: "status 255", command: "exit 255", status: 255},
	{name: "not executable", command: "/etc/passwd", status: 126},
	{name: "not found", command: "/no/such/program", status: 127},
	{name: "not found in path", command: "no-such-program", status: 127},
	{name: "death by TERM", command: "kill -TERM $$", status: 255},
	{name: "death by KILL", command: "kill -KILL $$", status: 255},
	{name: "death by SEGV", command: "kill -SEGV $$", status: 255},
	{name: "stdout and stderr apart", command: "echo out; echo err >&2", want: "out\n"},
	{name: "stdin to its end", command: "cat", stdin: "a\nb", want: "a\nb"},
	{name: "binary both ways", command: "cat", stdin: big, want: big},
	{name: "binary on stderr", command: "cat >&2", stdin: big},
	{name: "unread stdin", command: "true", stdin: big},
	{name: "half-closed stdin", command: "cat >/dev/null; sleep 0.2; echo late", stdin: "x", want: "late\n"},
	{name: "stdout closed early", command: "exec >&-; echo err >&2; sleep 0.1; exit 3", status: 3},
	{name: "SIGPIPE inside", command: "yes | head -n 3", want: "y\ny\ny\n"},
	{name: "no stdin (-n)", options: []string{"-n"}, command: "cat; echo end", stdin: "never read", want: "end\n"},
	{name: "no terminal (-T)", options: []string{"-T"}, command: "tty; test -t 0 || echo none", want: "none\n"},
	{name: "shell without terminal (-T)", options: []string{"-T"}, stdin: "echo $((6*7))\nexit 4\n", want: "42\n", status: 4},
	{name: "terminal (-tt)", options: []string{"-tt"}, command: "test -t 0 && test -t 1 && test -t 2 && echo all; exit 5", want: "all\r\n", status: 5},
	{name: "terminal modes", options: []string{"-tt"}, command: "stty -a", want: "speed"},
	{name: "terminal, binary", options: []string{"-tt"}, command: "stty raw; head -c 300000 /dev/zero | tr '\\0' '\\377'"},
	{name: "terminal, death by signal", options: []string{"-tt"}, command: "kill -INT $$", status: 255},
	{name: "quotes", command: `printf '%s|' "a b" 'c"d' e\ f '$HOME' "` + "`echo g`" + `"`, want: "a b|c\"d|e f|$HOME|g|"},
	{name: "newlines", command: "echo a\necho b\n\necho 'c\nd'", want: "a\nb\nc\nd\n"},
	{name: "UTF-8", command: "echo äöü €𝄞 日本", want: "äöü €𝄞 日本\n"},
	{name: "not UTF-8", command: "printf '%s' '\xff\xfe\x80'", want: "\xff\xfe\x80"},
	{name: "only spaces", command: "  "},
	{name: "64 KiB command line", command: "echo " + strings.Repeat("x", 64<<10) + " | wc -c", want: "65537\n"},
	{name: "127 kB command line", command: ": " + strings.Repeat("x", 127_000) + "; echo long", want: "long\n"},
	{name: "background job left", command: "sleep 100 >/dev/null 2>&1 </dev/null & echo left", want: "left\n"},
	{name: "identity", command: "id; id -G; groups; umask; pwd; ulimit -a", want: "uid="},
	{name: "signals", command: "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"},
	{name: "no new descriptors", command: "ls /proc/self/fd", want: "0\n1\n2\n3\n"},
	{
		name: "environment", command: "env | grep -v '^CASTGATE_SESSION=' | sort", want: "SHELL=/bin/bash\n",
		same: regexp.MustCompile(`SSH_(CLIENT|CONNECTION)=.*|XDG_SESSION_ID=.*|SHLVL=.*|_=.*|SSH_ORIGINAL_COMMAND=.*|OLDPWD=.*`),
	},
	{name: "LC_ALL that does not exist", options: []string{"-o", "SetEnv=LC_ALL=xx_YY"}, command: "echo $LC_ALL", want: "xx_YY\n", noisy: true},
	{name: "LANG=C", options: []string{"-o", "SetEnv=LANG=C"}, command: "echo ä; locale 2>/dev/null | head -n 1", want: "LANG=C"},
	{name: "TERM as sent", options: []string{"-tt", "-o", "SetEnv=TERM=vt220"}, command: "echo $TERM", want: "vt220\r\n"},
	{name: "TERM empty", options: []string{"-tt", "-o", "SetEnv=TERM="}, command: "echo [$TERM]"},
	{name: "no /dev/tty", command: "setsid -w sh -c 'echo x >/dev/tty'", status: 2},
	{name: "dash", shell: "/bin/dash", command: "echo $0; exit 9", status: 9},
	{name: "zsh", shell: "/bin/zsh", command: "print -r -- $ZSH_VERSION; exit 9", status: 9},
	{name: "fish", shell: "/usr/bin/fish", command: "echo $FISH_VERSION; exit 9", status: 9},
	{name: "mksh", shell: "/bin/mksh", command: "echo $KSH_VERSION; exit 9", status: 9},
	{name: "tcsh", shell: "/bin/tcsh", command: "echo $tcsh; exit 9", status: 9},
	{name: "fish, death by signal", shell: "/usr/bin/fish", command: "kill -TERM $fish_pid", status: 255},
	{name: "dash, death by signal", shell: "/bin/dash", command: "sh -c 'kill -TERM $PPID'; sleep 9", status: 255},
	{name: "shell that can't run", shell: "/usr/sbin/nologin", command: "echo never", status: 1, unrecorded: true},
	{name: "pipelining as ansible does it", command: `/bin/sh -c 'echo ~ && sleep 0'; /usr/bin/python3 && sleep 0`, stdin: "import json,sys\nprint(json.dumps({'changed': False}))\n", want: `{"changed": false}`},
	{name: "module run as ansible does it", options: []string{"-tt"}, command: `/bin/sh -c '/usr/bin/python3 -c "print(42)" && sleep 0'`, want: "42\r\n"},
}

func TestCommandsAreTheSameEveryWay(t *testing.T) {
	m := newMatrix(t)
	found := table{part: "1-commands", title: "Commands"}
	for _, r := range commands {
		t.Run(r.name, func(t *testing.T) {
			m.t = t
			if r.shell == "" {
				r.shell = "/bin/bash"
			}
			m.as(r.shell)
			var first hosttest.Result
			l := line{what: r.name}
			for i, w := range m.ways[:3] {
				got := m.command(t, w, r)
				if r.noisy {
					got.Stderr = ""
				}
				if i == 0 {
					first = got
				}
				if got.Status != r.status || !strings.Contains(got.Stdout, r.want) {
					t.Errorf("%s: status %d, want %d; stdout %s, want %s", w.name, got.Status, r.status, brief(got.Stdout), brief(r.want))
				}
				if got != first {
					t.Errorf("%s: %s\nplain: %s", w.name, show(got), show(first))
				}
				l.add(i, got == first, r.note(w))
			}
			found.add(l)
		})
	}
	found.hold(t)
}

// note says what there is to say about a row beside that it is the same.
func (r row) note(w way) string {
	switch {
	case r.noisy && w.name == "forced":
		return "but its shell warns twice: sshd starts ForceCommand with it"
	case r.unrecorded:
		return "unrecorded: nothing runs"
	}
	return ""
}

// command runs one row one way, and compares what came with what was recorded.
func (m *matrix) command(t *testing.T, w way, r row) hosttest.Result {
	t.Helper()
	forget(t)
	var command []string
	if r.command != "" {
		command = []string{r.command}
	}
	got := hosttest.Do(t, m.ssh(w, r.options, command...), strings.NewReader(r.stdin))
	if w.recorded && !r.unrecorded {
		rec := finished(t, 1)[0]
		// Both streams are recorded as they come, so only one alone can be compared.
		if got.Stderr == "" && string(rec.output) != got.Stdout || got.Stdout == "" && !r.noisy && string(rec.output) != got.Stderr {
			t.Errorf("%s: recorded %s, shown %s", w.name, brief(string(rec.output)), show(got))
		}
		if want := strconv.Itoa(got.Status); rec.exit != want && (got.Status != 255 || rec.exit == "0" || rec.exit == "") {
			t.Errorf("%s: recorded exit %q, want %s", w.name, rec.exit, want)
		}
	}
	if r.same != nil {
		got.Stdout = r.same.ReplaceAllString(got.Stdout, "")
	}
	return got
}

func show(r hosttest.Result) string {
	return fmt.Sprintf("status %d\n  stdout %s\n  stderr %s", r.Status, brief(r.Stdout), brief(r.Stderr))
}

func brief(s string) string {
	if len(s) <= 2000 {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%d bytes %x: %q...", len(s), sha256.Sum256([]byte(s)), s[:60])
}
