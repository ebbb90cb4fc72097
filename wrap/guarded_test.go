// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap_test

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"castgate/packaging/hosttest"
)

// session opens one on a terminal and waits for its shell.
func (h *host) session(t *testing.T) *hosttest.Terminal {
	t.Helper()
	x := hosttest.StartTerminal(t, h.Ssh(h.key, h.user.Name, []string{"-tt"}), 80, 24)
	x.Type("echo rea''dy\n")
	x.Expect("ready")
	return x
}

// TestGuardAway: whatever becomes of the guard, a session begins and
// goes on, and its header and the log say how it stood.
func TestGuardAway(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, later func(t *testing.T, g *hosttest.Guard)
		header        string
	}{
		{name: "there"},
		{name: "absent", before: func(_ *testing.T, g *hosttest.Guard) { g.Stop() }, header: "no answer"},
		{name: "hung", before: suspend, header: "no answer"},
		{name: "hangs", later: suspend},
		{name: "killed", later: func(_ *testing.T, g *hosttest.Guard) { _ = syscall.Kill(g.PID, syscall.SIGKILL) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, "/bin/bash")
			g := hosttest.StartGuard(t)
			if tt.before != nil {
				tt.before(t, g)
			}
			x := h.session(t)
			if tt.later != nil {
				tt.later(t, g)
			}
			x.Type("echo go''on; exit 6\n")
			x.Expect("goon")
			if r := x.Wait(); r.Status != 6 {
				t.Errorf("status %d", r.Status)
			}
			if s := one(t).Header.Session; tt.header == "" && s.Guard != "" || tt.header != "" && s.Guard == "" {
				t.Errorf("the header says of the guard: %q", s.Guard)
			}
		})
	}
}

// suspend is a guard that hangs: it holds its socket and does not answer.
func suspend(t *testing.T, g *hosttest.Guard) {
	_ = syscall.Kill(g.PID, syscall.SIGSTOP)
	t.Cleanup(func() { _ = syscall.Kill(g.PID, syscall.SIGCONT) })
}

// TestGuardIsUpgraded: the new one is called by the sessions of the old one,
// and sweeps up after them.
func TestGuardIsUpgraded(t *testing.T) {
	h := newHost(t, "/bin/bash")
	hosttest.Config(t, "wrap", "leftovers: end\nlimits: {free: 1MiB}\n")
	g := hosttest.StartGuard(t)
	x := h.session(t)
	g.Stop()
	h.log.Wait(t, "castgate-wrap", "guard left")
	hosttest.StartGuard(t)
	h.log.Wait(t, "castgate-guard", "guard back", "standing=direct")
	x.Type("(setsid sleep 1001.1 </dev/null >/dev/null 2>&1 &); echo star''ted\n")
	x.Expect("started")
	hosttest.WaitFor(t, "the left-over", func() bool { return leftover() })
	hosttest.Run(t, "pkill", "-KILL", "-x", "-u", h.user.Name, "castgate-wrap")
	x.Wait()
	line := h.log.Wait(t, "castgate-guard", "session ended")
	if !strings.Contains(line, "sleep") || leftover() {
		t.Errorf("log %q", line)
	}
	clear(t)
}

func leftover() bool { return exec.Command("pgrep", "-f", "^sleep 1001.1").Run() == nil }

// TestGuardComesLater: a session that began without it is known to it later.
func TestGuardComesLater(t *testing.T) {
	h := newHost(t, "/bin/bash")
	x := h.session(t)
	h.log.Wait(t, "castgate-wrap", "guard absent")
	hosttest.StartGuard(t)
	h.log.Wait(t, "castgate-guard", "guard back", "standing=direct")
	x.Type("exit 5\n")
	if r := x.Wait(); r.Status != 5 {
		t.Errorf("status %d", r.Status)
	}
	h.log.Wait(t, "castgate-guard", "session end")
	one(t)
}

// TestStoppedWhileUpgraded: who stops the sshd and the recorder of their
// session while there is no guard keeps it from its end no longer for it.
func TestStoppedWhileUpgraded(t *testing.T) {
	h := newHost(t, "/bin/bash")
	g := hosttest.StartGuard(t)
	client := h.Ssh(h.key, h.user.Name, []string{"-tt"})
	x := hosttest.StartTerminal(t, client, 80, 24)
	x.Type("echo rea''dy\n")
	x.Expect("ready")
	g.Stop()
	x.Type("it=$PPID; up=$(ps -o ppid= -p $it); setsid sh -c \"while kill -STOP $it $up; do sleep 0.01; done\" </dev/null >/dev/null 2>&1 &\n")
	hosttest.WaitFor(t, "a process to stop", func() bool {
		return exec.Command("pgrep", "-u", h.user.Name, "-r", "T", "castgate-wrap").Run() == nil
	})
	_ = client.Process.Kill()
	hosttest.StartGuard(t)
	hosttest.WaitFor(t, "the connection's end", func() bool { return len(h.Monitors()) == 0 })
	h.log.Wait(t, "castgate-guard", "session was stopped")
	clear(t)
}

// TestNoGuardAtTheEnd: without one the recorder itself does what it can.
func TestNoGuardAtTheEnd(t *testing.T) {
	h := newHost(t, "/bin/bash")
	hosttest.Config(t, "wrap", "leftovers: end\nlimits: {free: 1MiB}\n")
	g := hosttest.StartGuard(t)
	x := h.session(t)
	x.Type("(setsid sleep 1001.1 </dev/null >/dev/null 2>&1 &); echo star''ted\n")
	x.Expect("started")
	hosttest.WaitFor(t, "the left-over", func() bool { return leftover() })
	g.Stop()
	x.Type("exit 5\n")
	if r := x.Wait(); r.Status != 5 {
		t.Errorf("status %d", r.Status)
	}
	hosttest.WaitFor(t, "the left-over's end", func() bool { return !leftover() })
	one(t)
}

// TestGuardRequired: then there is no session without it.
func TestGuardRequired(t *testing.T) {
	h := newHost(t, "/bin/bash")
	hosttest.Config(t, "wrap", "guard: require\nlimits: {free: 1MiB}\n")
	if r := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, "echo in"), nil); r.Status != 254 || r.Stdout != "" {
		t.Errorf("without: %+v", r)
	}
	hosttest.StartGuard(t)
	if r := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, "echo in"), nil); r.Status != 0 || r.Stdout != "in\n" {
		t.Errorf("with: %+v", r)
	}
}

// TestGuardRequiredInVain: whoever is let in all the same is
// recorded all the same, and the header says what was wrong.
func TestGuardRequiredInVain(t *testing.T) {
	h := newHost(t, "/bin/bash")
	hosttest.Config(t, "wrap", "guard: require\non_failure: allow\nlimits: {free: 1MiB}\n")
	(&hosttest.User{Name: "root", Home: "/root"}).Authorize(t, h.key)
	in := func(name, says string) {
		t.Helper()
		r := hosttest.Do(t, h.Ssh(h.key, name, []string{"-q", "-tt"}, "echo in"), nil)
		if r.Status != 0 || !strings.Contains(r.Stdout, "in\r\n") {
			t.Errorf("%s: %+v", name, r)
		}
		rec := one(t)
		if s := rec.Header.Session; string(rec.Output) != r.Stdout || !strings.Contains(s.Guard, says) {
			t.Errorf("%s: the header says of the guard: %q; recorded %q", name, s.Guard, rec.Output)
		}
	}
	in(h.user.Name, "absent")
	in("root", "absent")
	g := hosttest.StartGuard(t)
	stopHelpers(t, g)
	in(h.user.Name, "too long")
	suspend(t, g)
	in(h.user.Name, "no answer")
	h.log.Wait(t, "guard absent", "does not answer")
}
