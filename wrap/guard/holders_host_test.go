// SPDX-License-Identifier: AGPL-3.0-or-later

package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// lurkers are programs that have the outer terminal open before the recorder
// starts; bash runs ~/.bashrc before the forced command, which is what gives
// these their chance (attacks.md 101, 513).
var lurkers = map[string]string{
	"by its name":      `(setsid sleep 1000.1 <>$(tty) >/dev/null 2>&1 &)`,
	"as /dev/tty":      `(sleep 1000.1 9<>/dev/tty </dev/null >/dev/null 2>&1 &)`,
	"ignoring signals": `(trap '' HUP TERM INT; setsid sleep 1000.1 <>$(tty) >/dev/null 2>&1 &)`,
	"under a bind mount's name": `(unshare -Urm sh -c 'touch /tmp/x; mount --bind '$(tty)' /tmp/x; exec setsid sleep 1000.1 <>/tmp/x >/dev/null 2>&1' & )
		until pgrep -f 'sleep 1000.1' >/dev/null; do :; done`,
	// Its first thread has no descriptor left; another one, with a table of
	// its own, has.
	"in a thread's own table": `python3 -c '
import ctypes, os, threading, time
tty = os.open(os.ttyname(0), os.O_RDWR)
libc, kept = ctypes.CDLL(None), threading.Event()
def keep():
    libc.unshare(0x400)
    kept.set()
    time.sleep(1000.1)
if os.fork() == 0:
    os.setsid()
    threading.Thread(target=keep).start()
    kept.wait()
    os.closerange(0, 64)
    time.sleep(1000.1)
time.sleep(0.3)
'`,
}

const anyLurker = "1000.1"

func TestLurkerIsEnded(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	for name, script := range lurkers {
		t.Run(name, func(t *testing.T) {
			h.user.Write(t, ".bashrc", script+"\n")
			x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
			x.Expect("FACTS")
			x.Type("echo a''live\n")
			x.Expect("alive")
			f := facts(t, x.Output(), 1)
			if len(f.Holders) == 0 || f.Refuse != "" {
				t.Fatalf("facts %+v", f)
			}
			for _, holder := range f.Holders {
				if !holder.Ended || holder.UID != uint32(h.user.UID) {
					t.Errorf("holder %+v", holder)
				}
			}
			if running(anyLurker) {
				t.Error("it still runs")
			}
			x.Type("exit\n")
			x.Wait()
		})
	}
}

// TestLurkerThatHides keeps its descriptor on the way through a socket while
// the guard looks, and takes it out later.
func TestLurkerThatHides(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	h.user.Write(t, ".bashrc", `python3 -c '
import array, os, socket, time
tty = os.open(os.ttyname(0), os.O_RDWR)
a, b = socket.socketpair()
socket.send_fds(a, [b"x"], [tty])
if os.fork() == 0:
    os.setsid()
    os.close(tty)
    for fd in 0, 1, 2: os.close(fd)
    time.sleep(1)
    socket.recv_fds(b, 1, 1)
    time.sleep(1000.1)
'
`)
	x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
	x.Expect("FACTS")
	x.Expect("\n")
	f := facts(t, x.Output(), 1)
	h.log.Wait(t, "terminal held by another", f.Session, "ended=true")
	hosttest.WaitFor(t, "the lurker's end", func() bool { return !running(anyLurker) })
	x.Type("echo a''live; exit\n")
	x.Expect("alive")
	x.Wait()
}

// TestRootMayLook: an administrator's tool on the terminal is reported and
// left alone, and the session is not refused for it.
func TestRootMayLook(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	h.user.Write(t, ".bashrc", "touch /tmp/ready-$$; until test -e /tmp/go; do sleep 0.01; done\n")
	x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
	var tty string
	hosttest.WaitFor(t, "the terminal", func() bool {
		tty = strings.TrimSpace(hosttest.Run(t, "sh", "-c", "ps -u alice -o tty= | grep pts | head -1 || true"))
		return strings.HasPrefix(tty, "pts/")
	})
	root := hosttest.StartTerminal(t, exec("sh", "-c", "exec sleep 1000.2 9<>/dev/"+tty), 80, 24)
	hosttest.WaitFor(t, "root's program", func() bool { return runs("sleep 1000.2") })
	hosttest.Run(t, "touch", "/tmp/go")
	x.Expect("FACTS")
	x.Expect("\n")
	f := facts(t, x.Output(), 1)
	if len(f.Holders) != 1 || f.Holders[0].UID != 0 || f.Holders[0].Ended || f.Refuse != "" {
		t.Errorf("facts %+v", f)
	}
	if !runs("sleep 1000.2") {
		t.Error("root's program was ended")
	}
	root.Type("\x03")
}

// TestDaemonsAreNotEnded: a lurker may pass the terminal to the bus or to
// another of the host's daemons. That one is not to be killed for it; the
// session is what is in doubt.
func TestDaemonsAreNotEnded(t *testing.T) {
	runs := func() bool { return exec("pgrep", "-U", "101", "-x", "-f", "sleep 1000.3").Run() == nil }
	h := start(t, "/bin/bash", forced)
	h.user.Write(t, ".bashrc", "touch /tmp/ready-$$; until test -e /tmp/go; do sleep 0.01; done\n")
	hosttest.Run(t, "rm", "-f", "/tmp/go")
	x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
	var tty string
	hosttest.WaitFor(t, "the terminal", func() bool {
		tty = strings.TrimSpace(hosttest.Run(t, "sh", "-c", "ps -u alice -o tty= | grep pts | head -1 || true"))
		return strings.HasPrefix(tty, "pts/")
	})
	daemon := hosttest.StartTerminal(t, exec("sh", "-c", "exec setpriv --reuid 101 --regid 101 --clear-groups sleep 1000.3 9<>/dev/"+tty), 80, 24)
	hosttest.WaitFor(t, "the daemon", func() bool { return runs() })
	hosttest.Run(t, "touch", "/tmp/go")
	x.Expect("FACTS")
	x.Expect("\n")
	f := facts(t, x.Output(), 1)
	if len(f.Holders) != 1 || f.Holders[0].UID != 101 || f.Holders[0].Ended || f.Refuse == "" {
		t.Errorf("facts %+v", f)
	}
	if !runs() {
		t.Error("the daemon was ended")
	}
	daemon.Type("\x03")
}

// TestManyTablesHoldNobodyUp: a program with as many tables of descriptors as
// its owner may have, each full, costs a login no more than the time of a look.
func TestManyTablesHoldNobodyUp(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	crowd := hosttest.StartTerminal(t, h.user.Command("/usr/bin/python3", "-c", `
import ctypes, os, threading, time
libc = ctypes.CDLL(None)
for _ in range(1000): os.open("/dev/null", os.O_RDONLY)
threading.stack_size(65536)
def keep():
    libc.unshare(0x400)
    time.sleep(1000.1)
for _ in range(2000): threading.Thread(target=keep, daemon=True).start()
print("crowded", flush=True)
time.sleep(1000.1)
`), 80, 24)
	crowd.Expect("crowded")
	x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
	x.Expect("FACTS")
	x.Expect("\n")
	f := facts(t, x.Output(), 1)
	if doubt := fmt.Sprintf("in time among the processes and open files of uid %d", h.user.UID); !f.TTYTaken || !strings.HasSuffix(f.Refuse, doubt) {
		t.Errorf("facts %+v", f)
	}
	h.log.Wait(t, "doubt=", f.Session)
}

// TestAnothersDescriptors: who fills the host with descriptors and logs in all
// the time is told of, and keeps nobody else from the guard's answer.
func TestAnothersDescriptors(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	bob := hosttest.AddUser(t, "bob", "/bin/bash")
	bob.Authorize(t, h.key)
	doubt := fmt.Sprintf(" %d", bob.UID) // where others work, root's are not always searched in time
	hosttest.Crowd(t, bob, h.Sshd, h.key)
	x := hosttest.StartTerminal(t, h.Ssh(h.key, "bob", []string{"-tt"}), 80, 24)
	x.Expect("FACTS")
	x.Expect("\n")
	if f := facts(t, x.Output(), 1); !strings.HasSuffix(f.Refuse, doubt) {
		t.Errorf("bob's own: %+v", f)
	}
	for range 30 {
		x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}, "true"), 80, 24)
		if f := facts(t, x.Wait().Stdout, 1); !f.TTYTaken || f.Refuse != "" || !strings.HasSuffix(f.Doubt, doubt) {
			t.Fatalf("alice's: %+v", f)
		}
	}
}

// TestLurkerBehindItsCrowd: a lurker whose owner has so many descriptors that
// the look does not come to it in time is found when it does.
func TestLurkerBehindItsCrowd(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	hosttest.ManyFiles(t, h.user, 150_000)
	h.user.Write(t, ".bashrc", lurkers["by its name"]+"\n")
	x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
	x.Expect("FACTS")
	x.Expect("\n")
	f := facts(t, x.Output(), 1)
	if f.Refuse == "" || f.Doubt == "" {
		t.Errorf("facts %+v", f)
	}
	h.log.Wait(t, "terminal held by another", f.Session, "ended=true")
	hosttest.WaitFor(t, "the lurker's end", func() bool { return !running(anyLurker) })
}

// TestNextOnTheSameTerminal: the watch's look, which takes long where somebody
// has many files open, is about sessions that may have ended meanwhile. The next
// login gets the same terminal, and is not taken for an intruder there.
func TestNextOnTheSameTerminal(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	hosttest.ManyFiles(t, h.user, 60_000)
	for range 3 {
		// Ends while the watch, which comes every five seconds, is at it.
		h.do(t, []string{"-tt"}, "sleep 5.3")
		if r := h.do(t, []string{"-tt"}, "exit 7"); r.Status != 7 {
			t.Fatalf("the next: %+v", r)
		}
	}
	if line := h.log.Find("terminal held by another"); line != "" {
		t.Errorf("log %q", line)
	}
}
