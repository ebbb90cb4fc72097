// SPDX-License-Identifier: AGPL-3.0-or-later

package guard_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
	"castgate/wrap/guard"
)

// hooked enables the shipped PAM profile, as its man page says.
func hooked(t *testing.T) {
	t.Helper()
	const stack, profile = "/etc/pam.d/common-session", "/usr/share/pam-configs/castgate"
	if before := read(t, stack); strings.Contains(before, "castgate") {
		t.Fatalf("the hook is there already:\n%s", before)
	}
	t.Setenv("DEBIAN_FRONTEND", "noninteractive")
	hosttest.Run(t, "install", "-m", "644", "../../packaging/pam/castgate", profile)
	hosttest.Run(t, "pam-auth-update", "--package")
	if strings.Contains(read(t, stack), "castgate") {
		t.Fatal("installing the profile is enough to enable it")
	}
	hosttest.Run(t, "pam-auth-update", "--enable", "castgate")
	if after := read(t, stack); !strings.Contains(after, "castgate-guard session-hook") {
		t.Fatalf("pam-auth-update did not add the hook:\n%s", after)
	}
	t.Cleanup(func() {
		hosttest.Run(t, "pam-auth-update", "--package", "--remove", "castgate")
		hosttest.Run(t, "rm", profile)
		if strings.Contains(read(t, stack), "castgate") {
			t.Error("the hook stays after its removal")
		}
	})
}

// TestWhoWasIt: two people share an account; each session says whose it was.
func TestWhoWasIt(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	hooked(t)
	other := hosttest.NewKey(t, "rsa")
	unknown := hosttest.NewKey(t, "ecdsa")
	h.user.Authorize(t, h.key, other, unknown)
	logins := fmt.Sprintf("%s octocat 583231\n%s hubot 480938\n", h.key.Fingerprint, other.Fingerprint)
	if err := os.WriteFile(guard.Logins, []byte(logins), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key   *hosttest.Key
		login string
		id    int64
	}{{h.key, "octocat", 583231}, {other, "hubot", 480938}, {unknown, "", 0}} {
		r := hosttest.Do(t, h.Ssh(c.key, "alice", nil, "ls -l /run/castgate; (: >/run/castgate/$PPID) 2>&1; true"), nil)
		f := facts(t, r.Stdout, 1)
		if f.Key != c.key.Fingerprint || f.Login != c.login || f.LoginID != c.id {
			t.Errorf("key %s, login %q: got %s, %q with id %d", c.key.Fingerprint, c.login, f.Key, f.Login, f.LoginID)
		}
		if !strings.Contains(r.Stdout, "-rw-r----- 1 root castgate") || !strings.Contains(r.Stdout, "Permission denied") {
			t.Errorf("the record: %q", r.Stdout)
		}
	}
	hosttest.WaitFor(t, "the records to go", func() bool {
		left, _ := filepath.Glob("/run/castgate/[0-9]*")
		return len(left) == 0
	})
}

// TestForgeryByInotify is the forgery that succeeds
// 30 of 30 times against whoever believes SSH_USER_AUTH: a program of the same
// account rewrites sshd's file before anybody reads it.
func TestForgeryByInotify(t *testing.T) {
	h := start(t, "/bin/bash", forced, "ExposeAuthInfo yes")
	hooked(t)
	liar := hosttest.NewKey(t, "ed25519")
	logins := fmt.Sprintf("%s octocat 583231\n%s admin 1\n", h.key.Fingerprint, liar.Fingerprint)
	if err := os.WriteFile(guard.Logins, []byte(logins), 0o644); err != nil {
		t.Fatal(err)
	}
	h.user.Write(t, "forge.py", `
import ctypes, glob, os, sys
libc = ctypes.CDLL(None)
fd = libc.inotify_init()
libc.inotify_add_watch(fd, b"/tmp", 0x100 | 0x8)
libc.inotify_add_watch(fd, b"/run/castgate", 0x100 | 0x80 | 0x8)
print("watching", flush=True)
while os.read(fd, 4096):
    for name in glob.glob("/tmp/sshauth.*") + glob.glob("/run/castgate/[0-9]*"):
        try: open(name, "w").write("publickey " + sys.argv[1] + "\n")
        except OSError: pass
`)
	forger := hosttest.StartTerminal(t, h.user.Command("/usr/bin/python3", "forge.py", liar.Line), 80, 24)
	forger.Expect("watching")
	forged, believed := 0, 0
	for range 30 {
		r := h.do(t, nil, "cat $SSH_USER_AUTH")
		if strings.Contains(r.Stdout, strings.Fields(liar.Line)[1]) {
			forged++
		}
		if f := facts(t, r.Stdout, 1); f.Login != "octocat" || f.Key != h.key.Fingerprint {
			believed++
		}
	}
	if believed != 0 {
		t.Errorf("%d of 30 sessions carry the forged name", believed)
	}
	if forged == 0 {
		t.Error("not one of sshd's own files was forged: the attack does not work as tried")
	}
	t.Logf("SSH_USER_AUTH forged in %d of 30 sessions, the record in %d", forged, believed)
}

// TestHookNeverBreaksALogin: it is optional, bounded, and exits 0.
func TestHookNeverBreaksALogin(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	hooked(t)
	hosttest.Run(t, "mv", "/run/castgate", "/run/castgate.away")
	t.Cleanup(func() {
		_ = os.Remove("/run/castgate")
		hosttest.Run(t, "mv", "/run/castgate.away", "/run/castgate")
	})
	if err := os.WriteFile("/run/castgate", nil, 0o644); err != nil { // in the way
		t.Fatal(err)
	}
	if r := h.do(t, nil, "true"); !strings.Contains(r.Stdout, "recorder: connect to guard") {
		t.Errorf("got %+v", r)
	}
	h.log.Wait(t, "castgate-guard", "session hook", "open_session")
	for _, args := range [][]string{{"session-hook"}, {"-group", "nosuchgroup", "session-hook"}} {
		cmd := exec(append([]string{"/usr/lib/castgate/castgate-guard"}, args...)...)
		cmd.Env = []string{"PAM_SERVICE=sshd", "PAM_TYPE=open_session", "PAM_USER=alice"}
		if r := hosttest.Do(t, cmd, nil); r.Status != 0 || r.Stdout != "" {
			t.Errorf("%v: %+v", args, r)
		}
	}
}
