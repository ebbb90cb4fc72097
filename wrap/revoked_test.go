// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"castgate/packaging/hosttest"
)

// TestTypedAhead: what the client sends before the recorder has the terminal
// reaches the shell, although a hang-up of the terminal forgets it.
func TestTypedAhead(t *testing.T) {
	h := newHost(t, "/bin/bash")
	hosttest.StartGuard(t)
	const lines = 400
	var script, want strings.Builder
	for n := range lines {
		fmt.Fprintf(&script, "echo %d >>typed\n", n)
		fmt.Fprintf(&want, "%d\n", n)
	}
	script.WriteString("exit 3\n")
	for range 10 {
		r := hosttest.Do(t, h.Ssh(h.key, h.user.Name, []string{"-tt"}), strings.NewReader(script.String()))
		if r.Status != 3 {
			t.Errorf("status %d", r.Status)
		}
		name := filepath.Join(h.user.Home, "typed")
		if got, err := os.ReadFile(name); err != nil || string(got) != want.String() {
			t.Fatalf("%v, the shell got:\n%s", err, got)
		}
		_ = os.Remove(name)
		if s := one(t).Header.Session; s.Guard != "" {
			t.Errorf("the header says of the guard: %q", s.Guard)
		}
	}
}

// TestHalfALineTypedAhead: a line that is not complete when the recorder comes,
// typed at a terminal that has modes of its own, which are kept.
func TestHalfALineTypedAhead(t *testing.T) {
	h := newHost(t, "/bin/bash")
	hosttest.StartGuard(t)
	x := hosttest.StartTerminal(t, h.Ssh(h.key, h.user.Name, nil), 80, 24)
	x.Type("stty -a | grep -o '.iu''tf8'; echo ha") // IUTF8 is no default of the kernel's
	x.Expect("recorded.")
	x.Type("lf; exit 4\r")
	r := x.Wait()
	if r.Status != 4 || !strings.Contains(r.Stdout, " iutf8\r\n") || !strings.Contains(r.Stdout, "\nhalf\r\n") {
		t.Errorf("%+v", r)
	}
}

// TestShownBefore: what sshd shows before the recorder comes is not lost, more
// of it than the terminal's buffer holds.
func TestShownBefore(t *testing.T) {
	h := newHost(t, "/usr/bin/castgate-wrap") // with a forced command sshd shows none
	h.Sshd = hosttest.StartSshd(t, "PrintMotd yes")
	hosttest.StartGuard(t)
	motd := strings.Repeat(strings.Repeat("message of the day ", 10)+"\n", 300)
	if err := os.WriteFile("/etc/motd", []byte(motd), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		r := hosttest.StartTerminal(t, h.Ssh(h.key, h.user.Name, []string{"-tt"}), 80, 24)
		r.Type("exit\n")
		shown := strings.ReplaceAll(r.Wait().Stdout, "\r\n", "\n")
		if !strings.Contains(shown, motd) {
			t.Fatalf("%d bytes of %d are shown", len(shown), len(motd))
		}
	}
}

// helpers lists the processes that the guard has for hanging terminals up.
func helpers(t *testing.T, g *hosttest.Guard) []string {
	t.Helper()
	out, _ := exec.Command("pgrep", "-P", strconv.Itoa(g.PID)).Output() // status 1: none
	return strings.Fields(string(out))
}

// stopHelpers has them hang.
func stopHelpers(t *testing.T, g *hosttest.Guard) {
	t.Helper()
	hosttest.WaitFor(t, "a helper", func() bool { return len(helpers(t, g)) > 0 })
	hosttest.Run(t, append([]string{"kill", "-STOP"}, helpers(t, g)...)...)
}

// TestHelperHangs: a terminal that can't be hung up costs one login a moment,
// and nobody else anything. The header says so; where the guard is required the
// session is refused.
func TestHelperHangs(t *testing.T) {
	h := newHost(t, "/bin/bash")
	other := hosttest.AddUser(t, "other", "/bin/bash")
	other.Authorize(t, h.key)
	g := hosttest.StartGuard(t)
	stop := func() { stopHelpers(t, g) }
	login := func(name string) (hosttest.Result, string) {
		t.Helper()
		x := hosttest.StartTerminal(t, h.Ssh(h.key, name, []string{"-tt"}), 80, 24)
		x.Type("exit 6\n")
		r := x.Wait()
		return r, one(t).Header.Session.Guard
	}
	stop()
	if r, says := login(h.user.Name); r.Status != 6 || !strings.Contains(says, "takes too long") {
		t.Errorf("status %d, the header says of the guard: %q", r.Status, says)
	}
	for _, name := range []string{other.Name, h.user.Name} {
		if r, says := login(name); r.Status != 6 || says != "" {
			t.Errorf("%s: status %d, the header says of the guard: %q", name, r.Status, says)
		}
	}
	// One that was killed is no loss.
	hosttest.Run(t, append([]string{"kill", "-KILL"}, helpers(t, g)...)...)
	if r, says := login(other.Name); r.Status != 6 || says != "" {
		t.Errorf("after a kill: status %d, the header says of the guard: %q", r.Status, says)
	}
	hosttest.Config(t, "wrap", "guard: require\nlimits: {free: 1MiB}\n")
	stop()
	r := hosttest.Do(t, h.Ssh(h.key, h.user.Name, []string{"-tt"}, "echo in"), nil)
	if r.Status != 254 || strings.Contains(r.Stdout, "in\r\n") {
		t.Errorf("required: %+v", r)
	}
}

// TestGuardKilledAnyTime: a guard that is killed while it has a terminal in
// hand leaves a session that works, window and all.
func TestGuardKilledAnyTime(t *testing.T) {
	h := newHost(t, "/bin/bash")
	for i := range 12 {
		g := hosttest.StartGuard(t)
		hosttest.WaitFor(t, "a helper", func() bool { return len(helpers(t, g)) > 0 })
		x := hosttest.StartTerminal(t, h.Ssh(h.key, h.user.Name, []string{"-tt"}), 80, 24)
		for begun := false; !begun; { // the guard is called next
			files, _ := filepath.Glob("/var/spool/castgate/live/*.cast")
			begun = len(files) > 0
		}
		time.Sleep(time.Duration(i) * 300 * time.Microsecond)
		_ = syscall.Kill(g.PID, syscall.SIGKILL)
		x.Type("trap 'echo wi''nch' WINCH; echo rea''dy\n")
		x.Expect("ready")
		x.Resize(90, 30)
		x.Type("stty size; exit 6\n")
		x.Expect("30 90")
		if r := x.Wait(); r.Status != 6 {
			t.Errorf("status %d", r.Status)
		}
		t.Logf("the header says of the guard: %q", one(t).Header.Session.Guard)
		g.Stop()
	}
}

// TestDisguisedTerminal: a lurker that has the terminal under another line
// discipline when the recorder looks at it can't pass it off as none, and use it
// later on past the recorder.
func TestDisguisedTerminal(t *testing.T) {
	h := newHost(t, "/bin/bash")
	h.Sshd = hosttest.StartSshd(t, "ForceCommand exec /usr/bin/castgate-wrap") // with their own HOME: bash runs their .bashrc before
	hosttest.StartGuard(t)
	h.user.Write(t, "lurker.py", `
import errno, fcntl, os, struct, time
tty = os.open(os.ttyname(0), os.O_RDWR | os.O_NOCTTY)
def discipline(n): fcntl.ioctl(tty, 0x5423, struct.pack("i", n)) # TIOCSETD
discipline(27) # N_NULL
if os.fork(): os._exit(0)
os.setsid()
for fd in 0, 1, 2: os.close(fd)
while not os.path.exists("go"): time.sleep(0.01)
try:
    discipline(0)
    os.write(tty, b"SEC" b"RET")
    said = "written"
except OSError as e: said = errno.errorcode[e.errno]
with open("said.new", "w") as f: f.write(said)
os.rename("said.new", "said")
`)
	h.user.Write(t, ".bashrc", "test -e lurks || { touch lurks; python3 lurker.py; }\n")
	r := hosttest.Do(t, h.Ssh(h.key, h.user.Name, []string{"-tt"}, "cd; touch go; until test -e said; do sleep 0.01; done; cat said; exit 5"), nil)
	if r.Status != 5 || strings.Contains(r.Stdout, "SECRET") || !strings.Contains(r.Stdout, "EIO") {
		t.Errorf("%+v", r)
	}
	if s := one(t).Header.Session; !s.TTY || s.Guard != "" {
		t.Errorf("the header says: tty %v, of the guard %q", s.TTY, s.Guard)
	}
}
