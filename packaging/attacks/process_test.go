// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"fmt"
	"strconv"
	"strings"

	"castgate/packaging/hosttest"
)

// against runs a Python script of the account's with the recorder's pid as its
// argument; it ends well when it got what it wanted.
func against(script string) func(w *world) verdict {
	return func(w *world) verdict {
		w.terminal()
		if w.python("import ctypes, os, sys\npid = int(sys.argv[1])\nlibc = ctypes.CDLL(None, use_errno=True)\n"+script, strconv.Itoa(w.recorder())) {
			return works
		}
		return closed
	}
}

const bySetID = "set-id: not dumpable"

var atTheProcess = []attack{
	{
		id: "501", what: "kill -9 of the recorder", by: "the session ends with it; what was shown is there", naive: seen,
		try: func(w *world) verdict {
			x := w.terminal()
			x.Type("echo SEC''RET\n")
			x.Expect("SECRET")
			_ = w.as(fmt.Sprintf("kill -9 %d", w.recorder())).Run()
			x.Wait()
			for _, r := range w.recordings() {
				if !r.exit && strings.Contains(r.output, "SECRET") {
					return seen
				}
			}
			return works
		},
	},
	{
		id: "505", what: "ptrace of the recorder", by: bySetID, naive: works,
		try: against("if libc.ptrace(16, pid, 0, 0): sys.exit(1)\nos.waitpid(pid, 0x40000000)\nlibc.ptrace(17, pid, 0, 0)\n"),
	},
	{
		id: "506", what: "its memory (`/proc/PID/mem`)", by: bySetID, naive: works,
		try: against("open(f'/proc/{pid}/mem', 'r+b').close()\n"),
	},
	{
		id: "508", what: "a descriptor of its own (pidfd_getfd)", by: bySetID, naive: works,
		try: against("fd = libc.syscall(434, pid, 0)\nsys.exit(libc.syscall(438, fd, 0, 0) < 0)\n"),
	},
	{
		id: "509", what: "a limit on the size of its files (prlimit)", by: "set-id: another group", naive: works,
		try: func(w *world) verdict {
			w.terminal()
			if _, ok := w.try("prlimit", "--fsize=0", "--pid", strconv.Itoa(w.recorder())); ok {
				return works
			}
			return closed
		},
	},
	{
		id: "523", what: "the client dies without a word", by: "the session ends with the connection", naive: seen,
		try: func(w *world) verdict {
			cmd := w.server.Ssh(w.key, account, []string{"-tt"})
			x := hosttest.StartTerminal(w, cmd, 80, 24)
			x.Type("echo SEC''RET; exec sleep 1000.7\n")
			x.Expect("SECRET")
			hosttest.WaitFor(w, "the program", func() bool { return w.runs("sleep 1000.7") })
			_ = cmd.Process.Kill()
			x.Wait()
			hosttest.WaitFor(w, "the session's end", func() bool { return !w.runs("castgate-wrap") && !w.runs("naive") })
			return w.judge(true, "SECRET")
		},
	},
}
