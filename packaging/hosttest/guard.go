// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"castgate/wrap/guard"
)

// GuardSocket is where the guard of StartGuard listens.
const GuardSocket = guard.Socket

// Guard is a running castgate-guard.
type Guard struct {
	PID     int
	process *exec.Cmd
	stop    sync.Once
}

// asService runs the guard as castgate-guard.service does: a user of its own
// and four capabilities. LISTEN_PID is the shell's, which both programs keep.
const asService = `LISTEN_PID=$$ exec setpriv --reuid castgate-guard --regid castgate --clear-groups --no-new-privs \
	--inh-caps -all,+chown,+kill,+sys_ptrace,+sys_tty_config \
	--ambient-caps -all,+chown,+kill,+sys_ptrace,+sys_tty_config \
	--bounding-set -all,+chown,+kill,+sys_ptrace,+sys_tty_config \
	/usr/lib/castgate/castgate-guard "$@"`

// StartGuard starts the guard on the socket that the recorder calls, passed as
// systemd would, until the test ends. More arguments are the guard's.
func StartGuard(t testing.TB, args ...string) *Guard {
	t.Helper()
	Install(t)
	group, err := user.LookupGroup("castgate")
	if err != nil {
		t.Fatal(err)
	}
	gid, _ := strconv.Atoi(group.Gid)
	socket, err := guard.Listen(GuardSocket, gid)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	g := &Guard{process: exec.Command("/bin/sh", append([]string{"-c", asService, "sh"}, args...)...)}
	g.process.Env = append(os.Environ(), "LISTEN_FDS=1")
	g.process.ExtraFiles = []*os.File{socket}
	g.process.Stderr = os.Stderr
	if err := g.process.Start(); err != nil {
		t.Fatal(err)
	}
	g.PID = g.process.Process.Pid
	t.Cleanup(func() { g.Stop(); _ = os.Remove(GuardSocket) })
	return g
}

// Stop ends the guard and returns its exit status.
func (g *Guard) Stop() int {
	g.stop.Do(func() {
		_ = g.process.Process.Signal(syscall.SIGTERM)
		_ = g.process.Wait()
	})
	return g.process.ProcessState.ExitCode()
}
