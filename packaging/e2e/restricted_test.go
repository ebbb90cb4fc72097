// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
	"castgate/packaging/restrictions"
)

// castgateSshd is a throwaway host's sshd with the whole snippet.
type castgateSshd struct {
	*hosttest.Sshd
	t    *testing.T
	conf string
}

func (s *castgateSshd) Write(name, text string, mode os.FileMode) {
	s.t.Helper()
	if err := os.MkdirAll("/root/.ssh", 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
}

// Configure puts what is no Match first, where no line of the snippet beats it.
func (s *castgateSshd) Configure(lines string) {
	s.t.Helper()
	all := []string{lines, s.conf}
	if strings.HasPrefix(lines, "Match") {
		all = []string{s.conf, lines}
	}
	s.Sshd = hosttest.StartSshd(s.t, all...)
	hosttest.Run(s.t, "chmod", "a+rX", s.Conf, filepath.Dir(s.Conf), filepath.Dir(filepath.Dir(s.Conf))) // as Debian has it
}

func TestRestrictedKeys(t *testing.T) {
	hosttest.Install(t)
	restrictions.Try(t, func(t *testing.T) restrictions.Host { return &castgateSshd{t: t, conf: snippet(t)} })
}

// TestRestrictedKeysInDoubt: which key it is, the session hook says or sshd's
// note for root. Where neither does and a key is restricted, nobody gets in by
// any; where none is, root's key stays the way in.
func TestRestrictedKeysInDoubt(t *testing.T) {
	hosttest.Install(t)
	syslog := hosttest.StartSyslog(t)
	free, bound := hosttest.NewKey(t, "ed25519"), hosttest.NewKey(t, "rsa")
	lines := map[string]string{"free": free.Line + "\n", "both": `command="echo only-this" ` + bound.Line + "\n" + free.Line + "\n"}
	user := hosttest.AddUser(t, "backup0", "/bin/bash")
	for _, tt := range []struct {
		name, account, file string
		note, hook          bool
		free, bound         int // statuses; 9 is the free key's command's
	}{
		{"root, neither", "root", "both", false, false, 254, 254},
		{"root, neither, nothing restricted", "root", "free", false, false, 9, 255},
		{"root, sshd's note", "root", "both", true, false, 9, 0},
		{"root, the hook", "root", "both", false, true, 9, 0},
		{"another account, neither", "backup0", "both", true, false, 254, 254},
		{"another account, nothing restricted", "backup0", "free", true, false, 9, 255},
		{"another account, the hook", "backup0", "both", true, true, 9, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &castgateSshd{t: t, conf: snippet(t)}
			if !tt.note {
				h.conf = snippet(t, "ExposeAuthInfo yes", "ExposeAuthInfo no")
			}
			if tt.hook {
				withHook(t)
			}
			h.Write("/root/.ssh/authorized_keys", lines[tt.file], 0o600)
			user.Write(t, ".ssh/authorized_keys", lines[tt.file])
			h.Configure("Match User backup0\n    AuthorizedKeysFile .ssh/authorized_keys")
			for key, want := range map[*hosttest.Key]int{free: tt.free, bound: tt.bound} {
				got := hosttest.Do(t, h.Ssh(key, tt.account, nil, "echo free; exit 9"), nil)
				if out := map[int]string{9: "free\n", 0: "only-this\n"}[want]; got.Status != want || got.Stdout != out {
					t.Errorf("got %+v, want status %d", got, want)
				}
				if want == 254 {
					syslog.Wait(t, "session refused", "restricts a key", "hint=")
				}
			}
		})
	}
}

// TestOwnFileRestrictsNobody: what stands in a file that sshd does not read is
// no restriction, whoever wrote it.
func TestOwnFileRestrictsNobody(t *testing.T) {
	hosttest.Install(t)
	key := hosttest.NewKey(t, "ed25519")
	hosttest.AddUser(t, "backup0", "/bin/bash").Write(t, ".ssh/authorized_keys", `command="echo only-this" `+key.Line+"\n")
	const keys = "/etc/castgate/emergency"
	if err := os.WriteFile(keys, []byte(key.Line+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	hosttest.Config(t, "keys", "github: {org: octo-org, token_file: /etc/castgate/github-token}\nemergency: {backup0: "+keys+"}\n")
	conf := snippet(t)
	sshd := hosttest.StartSshd(t, conf)
	hosttest.Run(t, "chmod", "a+rX", sshd.Conf, filepath.Dir(sshd.Conf), filepath.Dir(filepath.Dir(sshd.Conf))) // as Debian has it
	for _, hook := range []bool{false, true} {
		if hook {
			withHook(t)
		}
		if got := hosttest.Do(t, sshd.Ssh(key, "backup0", nil, "echo free; exit 9"), nil); got.Status != 9 || got.Stdout != "free\n" {
			t.Errorf("hook %v: %+v\n%s", hook, got, strings.Join(sshd.Log.Lines(), "\n"))
		}
	}
}

// TestRestrictedShells: a shell that refuses is asked, whatever is transferred,
// also where the recorder stands in its place in passwd.
func TestRestrictedShells(t *testing.T) {
	hosttest.Install(t)
	hosttest.Config(t, "wrap", "notice: \"\"\nshells: {backup0: /bin/rbash}\n")
	key := hosttest.NewKey(t, "ed25519")
	hosttest.AddUser(t, "backup0", recorder).Authorize(t, key)
	sshd := hosttest.StartSshd(t, snippet(t, userKeys...))
	for command, want := range map[string]string{
		"cd /":                         "rbash: line 1: cd: restricted",
		"/usr/bin/scp -f /etc/motd":    "restricted",
		"scp -f /etc/issue >>out":      "restricted",
		"/usr/lib/openssh/sftp-server": "restricted",
	} {
		got := hosttest.Do(t, sshd.Ssh(key, "backup0", nil, command), nil)
		if got.Status == 0 || !strings.Contains(got.Stderr, want) {
			t.Errorf("%q: %+v", command, got)
		}
	}
}

// withHook puts the session hook into sshd's PAM stack until the test ends.
func withHook(t *testing.T) {
	t.Helper()
	const stack = "/etc/pam.d/sshd"
	before, err := os.ReadFile(stack)
	if err != nil {
		t.Fatal(err)
	}
	line := "session optional pam_exec.so quiet /usr/lib/castgate/castgate-guard session-hook\n"
	if err := os.WriteFile(stack, append(before[:len(before):len(before)], line...), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(stack, before, 0o644); err != nil {
			t.Error(err)
		}
	})
}

// TestRestrictedKeysAreTheSameEveryWay: the command of a key finds what the client
// asked for, as rrsync(1) and gitolite want it, and nothing where it asked for nothing.
func TestRestrictedKeysAreTheSameEveryWay(t *testing.T) {
	m := newMatrix(t)
	forget(t)
	m.as("/bin/bash")
	withHook(t)
	m.user.Write(t, ".ssh/authorized_keys", `command="echo asked ${SSH_ORIGINAL_COMMAND-nothing}; exit 6" `+m.key.Line+"\n")
	for _, command := range [][]string{nil, {"rsync --server --sender . 'a b'"}, {"scp -f x"}} {
		var plain hosttest.Result
		for i, w := range m.ways {
			got := hosttest.Do(t, m.ssh(w, []string{"-T"}, command...), nil)
			if i == 0 {
				plain = got
			}
			want := "asked " + strings.Join(append(command, "nothing")[:1], "") + "\n"
			if got != plain || got.Status != 6 || got.Stdout != want {
				t.Errorf("%s: %s\nplain: %s", w.name, show(got), show(plain))
			}
		}
	}
	finished(t, 9)
}
