// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"fmt"

	"castgate/packaging/hosttest"
)

const byWatch = "the guard continues it, then ends it; leftovers: end"

// stopped goes away from a session of which find names a process, while a
// program stops that one again and again.
func stopped(w *world, find func() int) verdict {
	client := w.server.Ssh(w.key, account, []string{"-tt"})
	x := hosttest.StartTerminal(w, client, 80, 24)
	x.Type("echo rea''dy\n")
	x.Expect("ready")
	pid := find()
	stop := w.as(fmt.Sprintf("while kill -STOP %d; do :; done", pid))
	x.Type("setsid sleep 1000.8 </dev/null >/dev/null 2>&1 &\n")
	hosttest.WaitFor(w, "the program", func() bool { return w.runs("sleep 1000.8") })
	if err := stop.Start(); err != nil {
		w.Fatal(err)
	}
	defer func() { _ = stop.Process.Kill(); _ = stop.Wait() }()
	hosttest.WaitFor(w, "the session to be stopped", func() bool { return w.stopped(pid) })
	_ = client.Process.Kill()
	return w.left("sleep 1000.8")
}

func (w *world) stopped(pid int) bool {
	return len(hosttest.Run(w, "sh", "-c", fmt.Sprintf("ps -o pid=,stat= -p %d | grep T || true", pid))) > 0
}

var stoppedSessions = []attack{
	{
		id: "538", what: "one's own sshd process, stopped for good before the client goes", by: byWatch, naive: works, guard: true,
		try: func(w *world) verdict {
			return stopped(w, func() int { return hosttest.Parent(w.recorder()) })
		},
	},
	{
		id: "539", what: "the recorder, stopped for good before the client goes", by: byWatch, naive: works, guard: true,
		try: func(w *world) verdict {
			return stopped(w, w.recorder)
		},
	},
}
