// SPDX-License-Identifier: AGPL-3.0-or-later

package guard_test

import (
	"strings"
	"testing"

	"castgate/packaging/hosttest"
	"castgate/wrap/guard"
)

// leave starts a program that outlives its session in every way that needs no
// other daemon's help.
const leave = `(setsid nohup sleep 1000.3 </dev/null >/dev/null 2>&1 &); sleep 1000.4 </dev/null >/dev/null 2>&1 & `

func policy(p string) string { return "SetEnv LEFTOVERS=" + p }

func TestLeftoversAreEnded(t *testing.T) {
	h := start(t, "/bin/bash", forced, policy(guard.End))
	r := h.do(t, nil, leave+"exit 5")
	f := facts(t, r.Stdout, 1)
	if r.Status != 5 {
		t.Errorf("status %d: the sweep must not disturb sshd", r.Status)
	}
	line := h.log.Wait(t, "session ended", f.Session)
	if !strings.Contains(line, "sleep") || !strings.Contains(line, "ended=2") || running("sleep 1000") {
		t.Errorf("log %q", line)
	}
}

func TestLeftoversAfterAKilledRecorder(t *testing.T) {
	h := start(t, "/bin/bash", forced, policy(guard.End))
	f := facts(t, h.do(t, nil, leave+"kill -9 $PPID").Stdout, 1)
	h.log.Wait(t, "session ended", f.Session, "leftovers=end")
	if running("sleep 1000") {
		t.Error("left-overs run")
	}
}

func TestLeftoversAreListed(t *testing.T) {
	h := start(t, "/bin/bash", forced, policy(guard.List))
	f := facts(t, h.do(t, nil, leave).Stdout, 1)
	line := h.log.Wait(t, "session ended", f.Session)
	if !strings.Contains(line, "sleep") || !running("sleep 1000.3") {
		t.Errorf("log %q", line)
	}
}

func TestLeftoversAreKept(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	f := facts(t, h.do(t, nil, leave).Stdout, 1)
	h.log.Wait(t, "session ended", f.Session, "leftovers=keep")
	if !running("sleep 1000.3") {
		t.Error("the left-over was ended")
	}
}

// TestLastChannelSweeps: what one channel left is another's neighbour until
// the last of them ends; what a channel still runs is never a left-over.
func TestLastChannelSweeps(t *testing.T) {
	h := start(t, "/bin/bash", forced, policy(guard.End))
	control := []string{"-o", "ControlPath=" + t.TempDir() + "/c"}
	first := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", append(control, "-M", "-tt")), 80, 24)
	first.Expect("FACTS")
	first.Expect("\n")
	f := facts(t, first.Output(), 1)
	second := facts(t, h.do(t, control, leave).Stdout, 1)
	if second.Audit != f.Audit || second.MonitorPID != f.MonitorPID || second.Standing != guard.Direct {
		t.Errorf("first %+v, second %+v", f, second)
	}
	h.log.Wait(t, "session ended", second.Session, "another channel")
	if !running("sleep 1000.3") {
		t.Error("swept while a channel was open")
	}
	first.Type("exit 3\n")
	if r := first.Wait(); r.Status != 3 {
		t.Errorf("status %d", r.Status)
	}
	h.log.Wait(t, "session ended", f.Session, "leftovers=end")
	if running("sleep 1000") {
		t.Error("left-overs run")
	}
}

// TestAnotherLoginIsNotSwept: the same account, another connection.
func TestAnotherLoginIsNotSwept(t *testing.T) {
	h := start(t, "/bin/bash", forced, policy(guard.End))
	other := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
	other.Expect("FACTS")
	f := facts(t, h.do(t, nil, leave).Stdout, 1)
	h.log.Wait(t, "session ended", f.Session, "ended=2")
	other.Type("exit 4\n")
	if r := other.Wait(); r.Status != 4 {
		t.Errorf("status %d", r.Status)
	}
}

// TestForkBombIsSwept: a bomb that keeps its account's limit of processes full
// does not outrun the sweep.
func TestForkBombIsSwept(t *testing.T) {
	h := start(t, "/bin/bash", forced, policy(guard.End))
	bomb := `python3 -c '
import os, resource, signal, time
resource.setrlimit(resource.RLIMIT_NPROC, (150, 150))
for s in signal.SIGHUP, signal.SIGTERM, signal.SIGINT: signal.signal(s, signal.SIG_IGN)
if os.fork(): os._exit(0)
os.setsid()
open("bomb.started", "w").close()
while True:
    try: os.fork()
    except OSError: pass
' </dev/null >/dev/null 2>&1; until test -e bomb.started; do sleep 0.01; done; kill -9 $PPID`
	f := facts(t, h.do(t, nil, bomb).Stdout, 1)
	line := h.log.Wait(t, "session ended", f.Session)
	if strings.Contains(line, "not all") || running("bomb.started") {
		t.Errorf("log %q", line)
	}
}

// TestShellThatStaysIsSwept: dash stays between sshd and the recorder; stopped
// while its recorder is killed, it would be an unrecorded shell (512).
func TestShellThatStaysIsSwept(t *testing.T) {
	h := start(t, "/bin/dash", "ForceCommand "+recorderPath+"; sleep 1000.5", policy(guard.End))
	x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
	x.Expect("FACTS")
	x.Type("kill -9 $PPID\n")
	x.Wait()
	f := facts(t, x.Output(), 1)
	h.log.Wait(t, "session ended", f.Session, "dash")
	if running("sleep 1000.5") {
		t.Error("the shell goes on")
	}
}

// TestRootIsNeverSwept: what an administrator starts with sudo is the host's.
func TestRootIsNeverSwept(t *testing.T) {
	h := start(t, "/bin/bash", forced, policy(guard.End))
	hosttest.Run(t, "sh", "-c", "install -m 4755 $(command -v setpriv) /usr/bin/as-root")
	f := facts(t, h.do(t, nil, "(setsid as-root --reuid 0 sleep 1000.6 </dev/null >/dev/null 2>&1 &); sleep 0.1").Stdout, 1)
	line := h.log.Wait(t, "session ended", f.Session)
	if !strings.Contains(line, "left=1") || !runs("sleep 1000.6") {
		t.Errorf("log %q", line)
	}
}

// TestWithoutAuditSession: UsePAM no sets no audit session id, and so descent
// is all there is.
func TestWithoutAuditSession(t *testing.T) {
	h := start(t, "/bin/bash", forced, "UsePAM no", policy(guard.End))
	f := facts(t, h.do(t, nil, "(sleep 1000.3 </dev/null >/dev/null 2>&1 &); sleep 6; kill -9 $PPID").Stdout, 1)
	if f.Audit != guard.AuditUnset {
		hosttest.Skip(t, "this machine's sshd runs in an audit session already")
	}
	h.log.Wait(t, "session ended", f.Session, "ended=")
	if running("sleep 1000.3") {
		t.Error("the left-over runs")
	}
}
