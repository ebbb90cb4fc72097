// SPDX-License-Identifier: AGPL-3.0-or-later

package guard_test

import (
	"strings"
	"testing"

	"castgate/packaging/hosttest"
	"castgate/wrap/guard"
)

// lurkers have the outer terminal open before the recorder starts; bash runs
// ~/.bashrc before the forced command, which is what gives these their chance.
// Each tries to write when the shell has made the file "go".
const lurker = `
import array, ctypes, errno, fcntl, os, socket, sys, threading, time
tty = os.open(os.ttyname(0), os.O_RDWR | os.O_NOCTTY)

def lurk(write):
    open("lurks", "w").close()
    while not os.path.exists("go"): time.sleep(0.01)
    try: said = str(write())
    except OSError as e: said = errno.errorcode[e.errno]
    with open("said.new", "w") as f: f.write(said)
    os.rename("said.new", "said")
    time.sleep(1000.1)
def held(): lurk(lambda: os.write(tty, b"SECRET\r\n"))
def in_flight():
    a, b = socket.socketpair()
    socket.send_fds(a, [b"x"], [tty])
    os.close(tty)
    lurk(lambda: os.write(socket.recv_fds(b, 1, 1)[1][0], b"SECRET\r\n"))
def of_a_thread():
    def keep():
        ctypes.CDLL(None).unshare(0x400)
        kept.set()
        held()
    kept = threading.Event()
    threading.Thread(target=keep).start()
    kept.wait()
    os.close(tty)
    time.sleep(1000.1)
if os.fork() == 0:
    os.setsid()
    for fd in 0, 1, 2: os.close(fd)
    globals()[sys.argv[1]]()
while not os.path.exists("lurks"): time.sleep(0.01)
`

func TestLurkers(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	h.user.Write(t, "lurker.py", lurker)
	for _, kind := range []string{"held", "in_flight", "of_a_thread"} {
		t.Run(kind, func(t *testing.T) {
			hosttest.Run(t, "sh", "-c", "cd "+h.user.Home+" && rm -f lurks go said")
			h.user.Write(t, ".bashrc", "python3 lurker.py "+kind+"\n")
			x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
			x.Expect("FACTS")
			x.Type("cd; touch go; until test -e said; do sleep 0.01; done; cat said; echo; exit 7\n")
			r := x.Wait()
			if f := facts(t, r.Stdout, 1); !f.TTYRevoked || f.Doubt != "" || f.Refuse != "" || len(f.Holders) != 0 {
				t.Errorf("facts %+v", f)
			}
			if r.Status != 7 || strings.Contains(r.Stdout, "SECRET") || !strings.Contains(r.Stdout, "EIO") {
				t.Errorf("%+v", r)
			}
			if !running("lurker.py " + kind) {
				t.Error("the lurker is not there any more: it had its descriptor closed")
			}
		})
	}
}

// TestThief: a process that takes the terminal as its own in the moment in
// which the recorder has given it up is ended and named, and the terminal
// revoked all the same.
func TestThief(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	h.user.Write(t, "thief.py", `
import errno, fcntl, os, signal, time
tty = os.open(os.ttyname(0), os.O_RDWR | os.O_NOCTTY)
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for fd in 0, 1, 2: os.close(fd)
    while True:
        try: fcntl.ioctl(tty, 0x540E, 0); time.sleep(1000.1)
        except OSError as e:
            if e.errno == errno.EIO: os._exit(0)
`)
	h.user.Write(t, ".bashrc", "python3 thief.py\n")
	stolen := 0
	for range 20 {
		x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
		x.Expect("FACTS")
		x.Type("exit 7\n")
		r := x.Wait()
		f := facts(t, r.Stdout, 1)
		if r.Status != 7 || !f.TTYRevoked || f.Refuse != "" {
			t.Fatalf("%+v, facts %+v", r, f)
		}
		for _, holder := range f.Holders {
			stolen++
			if !holder.Ended || holder.UID != uint32(h.user.UID) || !strings.HasPrefix(holder.Comm, "python") {
				t.Errorf("holder %+v", holder)
			}
		}
	}
	if stolen == 0 {
		t.Error("the thief was never fast enough: nothing was tried")
	}
}

// TestShellBetween: where a shell stays between sshd and the recorder the
// terminal is that shell's as well. It is not revoked, and that is said.
func TestShellBetween(t *testing.T) {
	h := start(t, "/bin/dash", "ForceCommand "+recorderPath+"; true")
	x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
	x.Expect("FACTS")
	x.Type("echo a''live; exit\n")
	x.Expect("alive")
	if f := facts(t, x.Wait().Stdout, 1); f.Standing != guard.Behind || !f.TTYTaken || f.TTYRevoked || !strings.Contains(f.Doubt, "stands between") {
		t.Errorf("facts %+v", f)
	}
}

// TestAnotherTerminal: one that the person's shell has put into the place of
// sshd's, or made somebody else's, is no reason to leave sshd's to others.
func TestAnotherTerminal(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	h.user.Write(t, "other.py", `
import os, time
m, s = os.openpty()
if os.fork() == 0:
    os.setsid()
    for fd in 0, 1, 2: os.close(fd)
    time.sleep(1000.1)
print(os.ttyname(s))
`)
	for _, tt := range []struct{ bashrc, says string }{
		{"exec <$(python3 other.py)", "another than sshd's"},
		{"touch wait; while test -e wait; do sleep 0.01; done", "somebody else, uid 12345"},
	} {
		h.user.Write(t, ".bashrc", tt.bashrc+"\n")
		x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
		if strings.Contains(tt.bashrc, "wait") { // what a name space of alice's would do
			hosttest.Run(t, "sh", "-c", "cd "+h.user.Home+"; until test -e wait; do sleep 0.01; done; chown 12345 $(find /dev/pts -user alice); rm wait")
		}
		x.Expect("FACTS")
		x.Expect("\n")
		if f := facts(t, x.Output(), 1); f.TTYRevoked || !strings.Contains(f.Refuse, tt.says) {
			t.Errorf("%q: facts %+v", tt.bashrc, f)
		}
		x.Type("exit\n")
	}
}

// TestKilledGivingUp: a recorder that is killed after it has given the terminal
// up, and before the guard hears of it, does not leave it to a lurker.
func TestKilledGivingUp(t *testing.T) {
	h := start(t, "/bin/bash", forced, "SetEnv KILLED=yes")
	h.user.Write(t, "lurker.py", lurker)
	h.user.Write(t, ".bashrc", "python3 lurker.py held\n")
	x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
	h.log.Wait(t, "castgate-guard", "refused", "did not wait")
	hosttest.Run(t, "sh", "-c", "cd "+h.user.Home+"; touch go; until test -e said; do sleep 0.01; done; grep -qx EIO said")
	if out := x.Output(); strings.Contains(out, "SECRET") {
		t.Errorf("shown: %q", out)
	}
}
