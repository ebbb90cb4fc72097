// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
	"castgate/wrap/guard"
)

// TestKeysBeforeTheRecorder types what the kernel makes signals of before the
// recorder can have started (534): the session may end, but no shell comes of
// it that is not recorded.
func TestKeysBeforeTheRecorder(t *testing.T) {
	for _, d := range []door{forceDoor, shellDoor} {
		for _, keys := range []string{"\x03\x03\x03", "\x1c\x1c\x1c", "\x1a\x1a\x1a", "\x03\x1c\x1a\x04"} {
			t.Run(fmt.Sprintf("%s/%q", d.name, keys), func(t *testing.T) {
				w := newWorld(t, d, options{})
				x := hosttest.StartTerminal(t, w.server.Ssh(w.key, account, []string{"-tt"}), 80, 24)
				x.Type(keys)
				x.Type("\necho SEC''RET; exit\n")
				if w.shows(x, "SECRET") && !w.recorded("SECRET") {
					t.Errorf("a shell that is not recorded: %q", x.Output())
				}
				if strings.Contains(x.Output(), "goroutine") {
					t.Errorf("a dump of stacks: %q", x.Output())
				}
			})
		}
	}
}

// TestSessionsCanBeMatched: what sshd logs of every session, and what its
// recording says, meet at the client's port (103). A session that no recording
// belongs to has been somewhere else.
func TestSessionsCanBeMatched(t *testing.T) {
	for _, d := range []door{forceDoor, shellDoor} {
		t.Run(d.name, func(t *testing.T) {
			w := newWorld(t, d, options{})
			w.ssh(nil, "true")
			all := w.finished()
			if len(all) != 1 {
				t.Fatalf("%d recordings", len(all))
			}
			for _, r := range all {
				f := strings.Fields(r.header.Session.Client)
				if len(f) != 2 || w.server.Log.Find("Starting session", account, "port "+f[1]) == "" {
					t.Errorf("client %q; sshd says:\n%s", f, strings.Join(w.server.Log.Lines(), "\n"))
				}
			}
		})
	}
}

// withHook puts the session hook into sshd's PAM stack.
func withHook(t *testing.T) {
	t.Helper()
	const stack = "/etc/pam.d/common-session"
	before, err := os.ReadFile(stack)
	if err != nil {
		t.Fatal(err)
	}
	line := "session optional pam_exec.so quiet /usr/lib/castgate/castgate-guard session-hook\n"
	if err := os.WriteFile(stack, append(before, line...), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(stack, before, 0o644); err != nil {
			t.Error(err)
		}
	})
}

// forger rewrites, as soon as it appears, every file that could say who came.
const forger = `
import ctypes, glob, sys, os
libc = ctypes.CDLL(None)
fd = libc.inotify_init()
libc.inotify_add_watch(fd, b"/tmp", 0x108)
libc.inotify_add_watch(fd, b"/run/castgate", 0x188)
print("watching", flush=True)
while os.read(fd, 4096):
    for name in glob.glob("/tmp/sshauth.*") + glob.glob("/run/castgate/[0-9]*"):
        try: open(name, "w").write("publickey " + sys.argv[1] + "\n")
        except OSError: pass
`

// TestWhoWasIt: on an account that two people share, every recording names the
// one whose key was accepted, with the guard and without it, while a program of
// the account forges what it can.
func TestWhoWasIt(t *testing.T) {
	for _, d := range []door{forceDoor, shellDoor, aloneDoor} {
		t.Run(d.name, func(t *testing.T) {
			w := newWorld(t, d, options{sshd: []string{"ExposeAuthInfo yes"}})
			withHook(t)
			other := hosttest.NewKey(t, "rsa")
			w.user.Authorize(t, w.key, other)
			text := w.key.Fingerprint + " octocat 583231 1 1700000000\n" + other.Fingerprint + " hubot 480938 2 1700000000\n"
			if err := os.WriteFile(guard.Logins, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			x := hosttest.StartTerminal(t, w.user.Command("/usr/bin/python3", "-c", forger, other.Line), 80, 24)
			x.Expect("watching")
			forged := 0
			const logins = 30
			for range logins {
				clear(t)
				r := w.ssh(nil, "cat $SSH_USER_AUTH")
				if strings.Contains(r.Stdout, strings.Fields(other.Line)[1]) {
					forged++
				}
				all := w.finished()
				if len(all) != 1 {
					t.Fatalf("%d recordings", len(all))
				}
				if s := all[0].header.Session; s.Login != "octocat" || s.LoginID != 583231 || s.Key != w.key.Fingerprint {
					t.Errorf("login %q with id %d, key %q", s.Login, s.LoginID, s.Key)
				}
			}
			if forged == 0 {
				t.Error("the forger forged nothing at all")
			}
			t.Logf("sshd's file was forged in %d of %d logins, the recording in none", forged, logins)
			clear(t)
			hosttest.Do(t, w.server.Ssh(other, account, nil, "true"), nil)
			if s := w.finished()[0].header.Session; s.Login != "hubot" {
				t.Errorf("the other's session: %q", s.Login)
			}
		})
	}
}
