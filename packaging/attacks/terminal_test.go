// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"castgate/packaging/hosttest"
)

// recorders returns the pids of the account's recorders.
func (w *world) recorders() []string {
	w.Helper()
	name := "naive"
	if w.door.castgate {
		name = "castgate-wrap"
	}
	out, _ := exec.Command("pgrep", "-u", account, "-x", name).Output() // status 1: none
	return strings.Fields(string(out))
}

// recorder returns the pid of the only one.
func (w *world) recorder() int {
	w.Helper()
	all := w.recorders()
	if len(all) != 1 {
		w.Fatalf("recorders: %q", all)
	}
	pid, err := strconv.Atoi(all[0])
	if err != nil {
		w.Fatal(err)
	}
	return pid
}

// outer is the terminal that sshd made. The test reads it as root; a person
// tries the numbers.
func (w *world) outer() string {
	w.Helper()
	tty, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", w.recorder()))
	if err != nil {
		w.Fatal(err)
	}
	return tty
}

// shows waits for words on a terminal. That they never come can't be waited
// for: a second is enough where they are not expected to, and a busy machine
// gets more where they are.
func (w *world) shows(x *hosttest.Terminal, words string) bool { return w.showsTimes(x, words, 1) }

func (w *world) showsTimes(x *hosttest.Terminal, words string, times int) bool {
	patience := 5 * time.Second
	if w.door.castgate {
		patience = time.Second
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if strings.Count(x.Output(), words) >= times {
			return true
		}
	}
	return false
}

// python runs a script of the account's against a recorder, and says whether
// it ended well.
func (w *world) python(script string, args ...string) bool {
	w.Helper()
	out, err := w.user.Command("/usr/bin/python3", append([]string{"-c", script}, args...)...).CombinedOutput()
	w.Logf("the attack said %q, %v", out, err)
	return err == nil
}

const byExcl = "TIOCEXCL; the guard gives it to root"

var atTheTerminal = []attack{
	{
		id: "502", what: "stop the recorder, run a shell on the outer terminal", by: byExcl, naive: works, guard: true,
		try: func(w *world) verdict {
			x := w.terminal()
			script := fmt.Sprintf("kill -STOP %d; sh -c 'echo SEC''RET' <>%[2]s >&0 2>&0", w.recorder(), w.outer())
			out, _ := w.as(script).CombinedOutput()
			w.Logf("the attack said %q", out)
			return w.judge(w.shows(x, "SECRET"), "SECRET")
		},
	},
	{
		id: "503", what: "write to the outer terminal by its name", by: byExcl, naive: works, guard: true,
		try: func(w *world) verdict {
			x := w.terminal()
			out, _ := w.as("echo SECRET >" + w.outer()).CombinedOutput()
			w.Logf("the attack said %q", out)
			return w.judge(w.shows(x, "SECRET"), "SECRET")
		},
	},
	{
		id: "503", what: "write to it through `/proc/PID/fd`", by: "set-id: not dumpable", naive: works,
		try: func(w *world) verdict {
			x := w.terminal()
			out, _ := w.as(fmt.Sprintf("echo SECRET >/proc/%d/fd/0", w.recorder())).CombinedOutput()
			w.Logf("the attack said %q", out)
			return w.judge(w.shows(x, "SECRET"), "SECRET")
		},
	},
	{
		id: "504", what: "change the outer terminal's mode", by: "the guard gives it to root", naive: works, guard: true,
		try: func(w *world) verdict {
			x := w.terminal()
			defer x.Wait()
			defer x.Type("exit\n")
			if w.as("chmod 666 "+w.outer()).Run() != nil {
				return closed
			}
			return works
		},
	},
	{
		id: "511", what: "TIOCSTI and TIOCSCTTY on the outer terminal", by: "the kernel; " + byExcl, naive: closed, guard: true,
		try: func(w *world) verdict {
			x := w.terminal()
			done := w.python(`
import fcntl, os, sys, termios
os.setsid()
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
try: fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
except OSError: pass
for c in b"echo SEC''RET\n": fcntl.ioctl(fd, termios.TIOCSTI, bytes([c]))
`, w.outer())
			return w.judge(done && w.shows(x, "SECRET"), "SECRET")
		},
	},
	{
		id: "512", what: "the shell that stays between sshd and the recorder (dash)", by: "ForceCommand exec; login shell", naive: works,
		options: options{shell: "/bin/dash"},
		try: func(w *world) verdict {
			x := w.terminal()
			parent := strings.Fields(hosttest.Run(w, "ps", "-o", "ppid=,comm=", "-p", strconv.Itoa(w.recorder())))[0]
			if comm := hosttest.Run(w, "ps", "-o", "comm=", "-p", parent); strings.TrimSpace(comm) == "sshd" || strings.HasPrefix(comm, "sshd-session") {
				return closed
			}
			out, _ := w.as(fmt.Sprintf("kill -STOP %s; kill -STOP %d; echo SECRET >/proc/%[1]s/fd/0", parent, w.recorder())).CombinedOutput()
			w.Logf("the attack said %q", out)
			return w.judge(w.shows(x, "SECRET"), "SECRET")
		},
	},
	{
		id: "519", what: "SIGQUIT, for a dump of the recorder's stacks on the terminal", by: "set-id; the signal is ignored", naive: works,
		try: func(w *world) verdict {
			x := w.terminal()
			_ = w.as(fmt.Sprintf("kill -QUIT %d", w.recorder())).Run()
			return w.judge(w.shows(x, "goroutine"), "goroutine")
		},
	},
	{
		id: "531", what: "words put into one's own terminal's input (TIOCSTI), as if typed", by: "what comes of them is recorded", naive: seen,
		try: func(w *world) verdict {
			if hosttest.Run(w, "sysctl", "-n", "dev.tty.legacy_tiocsti") == "0\n" {
				return seen // the kernel refuses it, and the session shows that
			}
			x := w.terminal()
			x.Type(`python3 -c 'import fcntl, termios; [fcntl.ioctl(0, termios.TIOCSTI, bytes([c])) for c in b"echo SEC\x27\x27RET\n"]'` + "\n")
			return w.judge(w.shows(x, "SECRET"), "SECRET")
		},
	},
	{
		id: "535", what: "a window of 65534 x 65533, for the player's memory", by: "sizes are clamped to 1000 x 1000", naive: works,
		try: func(w *world) verdict {
			x := hosttest.StartTerminal(w, w.server.Ssh(w.key, account, []string{"-tt"}, "true"), 65534, 65533)
			x.Wait()
			for _, r := range w.finished() {
				if r.header.Term.Cols > 1000 || r.header.Term.Rows > 1000 {
					return works
				}
			}
			return closed
		},
	},
}

// try runs a command of the account's that may fail.
func (w *world) try(name string, args ...string) (string, bool) {
	w.Helper()
	cmd := w.user.Command(name, args...)
	if path, err := exec.LookPath(name); err == nil {
		cmd.Path = path
	}
	out, err := cmd.CombinedOutput()
	w.Logf("%s %q said %q, %v", name, args, out, err)
	return string(out), err == nil
}
