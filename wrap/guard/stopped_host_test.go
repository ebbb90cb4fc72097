// SPDX-License-Identifier: AGPL-3.0-or-later

package guard_test

import (
	"fmt"
	"os"
	"testing"

	"castgate/packaging/hosttest"
	"castgate/wrap/guard"
)

// TestStoppedSessionEnds: whoever stops sshd's process of their connection, or
// the recorder, and goes away does not keep their session from its end, nor
// what they leave behind from being swept.
func TestStoppedSessionEnds(t *testing.T) {
	const again = `setsid sh -c "while kill -STOP $it; do sleep 0.01; done" </dev/null >/dev/null 2>&1 & `
	const sshd, recorder = "it=$(($(ps -o ppid= -p $PPID))); ", "it=$PPID; "
	for name, script := range map[string]string{
		"sshd":                         sshd + "kill -STOP $it; ",
		"sshd, again and again":        sshd + again,
		"the recorder":                 recorder + "kill -STOP $it; ",
		"the recorder again and again": recorder + again,
	} {
		for _, options := range [][]string{{"-tt"}, {"-T"}} {
			t.Run(name+" "+options[0], func(t *testing.T) {
				h := start(t, "/bin/bash", forced, policy(guard.End))
				client := h.Ssh(h.key, "alice", options, leave+"echo rea''dy; until test -e go; do sleep 0.01; done; "+script+"cat")
				x := hosttest.StartTerminal(t, client, 80, 24)
				x.Expect("ready")
				h.user.Write(t, "go", "")
				f := facts(t, x.Output(), 1)
				hosttest.WaitFor(t, "a process to stop", func() bool {
					return exec("pgrep", "-u", "alice", "-r", "T").Run() == nil
				})
				_ = client.Process.Kill()
				h.log.Wait(t, "session ended", f.Session, "leftovers=end")
				if running("sleep 1000") || running("kill") {
					t.Error("left-overs run")
				}
				hosttest.WaitFor(t, "the connection's end", func() bool { return len(h.Monitors()) == 0 })
			})
		}
	}
}

// TestFrozenSessionEnds: a person's own systemd can put what runs as them into
// a cgroup that they may freeze.
func TestFrozenSessionEnds(t *testing.T) {
	h := start(t, "/bin/bash", forced, policy(guard.End))
	const group = "/sys/fs/cgroup/frozen"
	hosttest.Run(t, "mount", "-t", "cgroup2", "none", "/sys/fs/cgroup")
	t.Cleanup(func() { hosttest.Run(t, "sh", "-c", "rmdir "+group+"; umount /sys/fs/cgroup") })
	hosttest.Run(t, "mkdir", group)
	client := h.Ssh(h.key, "alice", []string{"-tt"}, leave+"cat")
	x := hosttest.StartTerminal(t, client, 80, 24)
	x.Expect("FACTS")
	x.Expect("\n")
	f := facts(t, x.Output(), 1)
	hosttest.Run(t, "sh", "-c", fmt.Sprintf("echo %d >%[2]s/cgroup.procs; echo 1 >%[2]s/cgroup.freeze", hosttest.Parent(f.PID), group))
	_ = client.Process.Kill()
	h.log.Wait(t, "session ended", f.Session, "leftovers=end")
	if running("sleep 1000") {
		t.Error("left-overs run")
	}
	hosttest.WaitFor(t, "the connection's end", func() bool { return len(h.Monitors()) == 0 })
}

// TestHeldConnection: the end of the recorder is the end of the session also
// when a child that it was about to start has the connection to the guard.
func TestHeldConnection(t *testing.T) {
	h := start(t, "/bin/bash", forced, policy(guard.End)+" LEAK=1")
	f := facts(t, h.do(t, nil, leave+"kill -9 $PPID").Stdout, 1)
	h.log.Wait(t, "session ended", f.Session, "leftovers=end")
	if running("sleep 1000") {
		t.Error("left-overs run")
	}
}

// leak passes the connection to the command, as a recorder that was killed
// between fork and exec has done.
func leak(conn *guard.Conn) []*os.File {
	if os.Getenv("LEAK") == "" {
		return nil
	}
	return []*os.File{os.NewFile(uintptr(conn.FD()), "guard")}
}
