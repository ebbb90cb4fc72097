// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"castgate/packaging/hosttest"
)

// left says whether a program of a session that has ended runs on.
func (w *world) left(words string) verdict {
	w.Helper()
	if !w.door.castgate || w.door.noGuard {
		if w.runs(words) {
			return works
		}
		return closed
	}
	w.log.Wait(w, "castgate-guard", "session ended", "leftovers=end")
	if w.runs(words) {
		return works
	}
	return closed
}

const bySweep = "leftovers: end; the guard's sweep"

var afterTheSession = []attack{
	{
		id: "514", what: "a program that outlives the session", by: bySweep, naive: works, guard: true,
		try: func(w *world) verdict {
			w.ssh(nil, "setsid nohup sleep 1000.8 </dev/null >/dev/null 2>&1 & sleep 0.1")
			return w.left("sleep 1000.8")
		},
	},
	{
		id: "515", what: "the same, after kill -9 of the recorder", by: bySweep, naive: works, guard: true,
		try: func(w *world) verdict {
			x := w.terminal()
			x.Type("(setsid nohup sleep 1000.8 </dev/null >/dev/null 2>&1 &); echo star''ted\n")
			x.Expect("started")
			hosttest.WaitFor(w, "the program", func() bool { return w.runs("sleep 1000.8") })
			_ = w.as(fmt.Sprintf("kill -9 %d", w.recorder())).Run()
			x.Wait()
			return w.left("sleep 1000.8")
		},
	},
	{
		id: "532", what: "a tmux left behind, attached later", by: "what it shows is recorded; " + bySweep, naive: seen,
		try: func(w *world) verdict {
			w.ssh(nil, "tmux new-session -d 'echo SEC''RET; exec sleep 1000.9'")
			if w.left("sleep 1000.9") == closed {
				return closed
			}
			x := hosttest.StartTerminal(w, w.server.Ssh(w.key, account, []string{"-tt"}, "tmux attach"), 80, 24)
			return w.judge(w.shows(x, "SECRET"), "SECRET")
		},
	},
	{
		id: "533", what: "a sshd of one's own, for later", by: bySweep + "; login shell", naive: works, guard: true,
		try: func(w *world) verdict {
			w.user.Write(w, "own/config", "Port 2299\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\nHostKey "+
				w.user.Home+"/own/key\nAuthorizedKeysFile "+w.user.Home+"/.ssh/authorized_keys\n")
			w.ssh(nil, "ssh-keygen -q -t ed25519 -N '' -f own/key; setsid /usr/sbin/sshd -f own/config </dev/null >/dev/null 2>&1; sleep 0.2")
			cmd := w.server.Ssh(w.key, account, nil, "echo SEC''RET")
			instead(cmd, fmt.Sprintf("Port=%d", w.server.Port), "Port=2299")
			instead(cmd, "StrictHostKeyChecking=yes", "StrictHostKeyChecking=no")
			if w.left("own/config") == works {
				hosttest.WaitFor(w, "it to listen", func() bool {
					conn, err := net.Dial("tcp", "127.0.0.1:2299")
					if err == nil {
						conn.Close()
					}
					return err == nil
				})
			}
			r := hosttest.Do(w, cmd, nil)
			return w.judge(r.Stdout == "SECRET\n", "SECRET")
		},
	},
	{id: "-", what: "a crontab", by: byCheck + "; cron.deny", naive: works, try: planted("/var/spool/cron/crontabs/"+account, "a crontab")},
	{id: "-", what: "an at job", by: byCheck + "; at.deny", naive: works, try: planted("/var/spool/cron/atjobs/a0000101b5c5f0", "1 at jobs wait")},
	{id: "-", what: "lingering (`loginctl enable-linger`)", by: byCheck, naive: works, try: planted("/var/lib/systemd/linger/"+account, "lingering services")},
}

const byCheck = "`castgate check` tells"

// planted is what crontab(1), at(1) and loginctl(1) leave for the account, and
// what an administrator is told of it. The daemons behind them are not ours to
// close, and a naive recorder tells nobody.
func planted(path, words string) func(w *world) verdict {
	return func(w *world) verdict {
		w.Cleanup(func() { _ = os.Remove(path) })
		hosttest.Run(w, "install", "-D", "-o", account, "-m", "600", "/dev/null", path)
		if !w.door.castgate {
			return works
		}
		out, _ := exec.Command("castgate", "check").CombinedOutput() // other findings are not this attack's
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "warn") && strings.Contains(line, words) {
				return seen
			}
		}
		w.Logf("castgate check said\n%s", out)
		return works
	}
}
