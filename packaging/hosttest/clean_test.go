// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// used makes a host look like a machine where castgate is installed and used,
// beside what else an administrator does.
const used = `set -e
cp /etc/pam.d/sshd /etc/castgate/pam.d-sshd.before
echo 'session optional pam_exec.so quiet /usr/lib/castgate/castgate-guard session-hook' | tee -a /etc/pam.d/sshd >>/etc/pam.d/common-session
mkdir -p /etc/ssh/sshd_config.d /etc/systemd/system/sockets.target.wants
echo 'ForceCommand /usr/bin/castgate-wrap' >/etc/ssh/sshd_config.d/10-castgate.conf
echo 'AuthorizedKeysCommand /usr/bin/castgate-keys' >>/etc/ssh/sshd_config
echo 'echo the machine speaks' >/etc/ssh/sshrc
ln -sf /usr/lib/systemd/system/castgate-guard.socket /etc/systemd/system/sockets.target.wants/castgate-guard.socket
echo LC_ALL=xx >/etc/environment
usermod --shell /usr/bin/castgate-wrap alice
usermod --shell /usr/bin/castgate-wrap games
echo root castgate 2755 /usr/bin/castgate-wrap >>/var/lib/dpkg/statoverride
printf '\nPackage: castgate\nStatus: install ok installed\nVersion: 1\n\n' >>/var/lib/dpkg/status
echo 'echo the machine speaks' >/root/.profile
`

// odd is an environment that no test may mind.
var odd = []string{
	"CASTGATE_SESSION=01935b7e", "SSH_ORIGINAL_COMMAND=x", "SSH_CONNECTION=::1 1 ::1 22", "PAGER=false",
	"TZ=Pacific/Chatham", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8", "BASH_ENV=/root/.profile", "HOME=/var/empty", "USER=alice", "TMPDIR=/var/tmp",
	"GIT_TEST_ASSUME_DIFFERENT_OWNER=1", // somebody's clone, tested by root
}

// TestWhereCastgateIsInstalled makes this host a machine that has everything:
// castgate, its accounts, a guard, a recording. What runs there begins clean.
func TestWhereCastgateIsInstalled(t *testing.T) {
	Install(t)
	StartGuard(t)
	logInOnce(t)
	Run(t, "sh", "-c", used)
	t.Cleanup(func() {
		Run(t, "sh", "-c", "cp /etc/castgate/pam.d-sshd.before /etc/pam.d/sshd; rm -f /etc/castgate/pam.d-sshd.before /etc/ssh/sshrc /etc/environment")
	})
	t.Run("a host", func(t *testing.T) {
		got := nested(t, append(odd, "CASTGATE_HOSTTEST_USED=1"), os.Args[0], "-test.run=^TestFoundClean$")
		if got.Status != 0 {
			t.Errorf("%s%s", got.Stdout, got.Stderr)
		}
	})
	// Those that know where castgate's files are, without a network.
	t.Run("unit tests", func(t *testing.T) {
		Slow(t)
		t.Chdir("../..")
		got := nested(t, odd, "go", "test", "-vet=off", "-count=1", "./cmd/...", "./keys/...", "./upload/archive", "./wrap/spool")
		if got.Status != 0 {
			t.Errorf("%s%s", got.Stdout, got.Stderr)
		}
	})
}

// logInOnce leaves a recording of alice's in the spool.
func logInOnce(t *testing.T) {
	t.Helper()
	key := NewKey(t, "ed25519")
	AddUser(t, "alice", "/bin/bash", "--groups", "castgate-people,tty").Authorize(t, key)
	s := StartSshd(t, "ForceCommand exec /usr/bin/castgate-wrap", "SetEnv HOME=/usr/lib/castgate/home")
	if got := Do(t, s.Ssh(key, "alice", nil, "true"), nil); got.Status != 0 {
		t.Fatalf("%+v", got)
	}
	WaitFor(t, "a recording in the spool", func() bool {
		found, _ := filepath.Glob("/var/spool/castgate/incoming/*.cast")
		return len(found) > 0
	})
}

// TestFoundClean is that second host.
func TestFoundClean(t *testing.T) {
	if os.Getenv("CASTGATE_HOSTTEST_USED") == "" {
		t.Skip("TestWhereCastgateIsInstalled runs it")
	}
	for _, pattern := range []string{"/etc/castgate*", "/var/cache/castgate*", "/var/lib/castgate*", "/var/log/castgate*", "/var/spool/castgate*", "/run/castgate/*", "/usr/*bin/castgate*", "/usr/lib/castgate*", "/etc/ssh/sshd_config.d/*", "/etc/ssh/sshrc", "/etc/systemd/system/*/castgate*", "/home/*", "/root/.profile"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			t.Errorf("found %q", found)
		}
	}
	for _, file := range []string{"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/pam.d/sshd", "/etc/pam.d/common-session", "/etc/ssh/sshd_config", "/etc/environment", "/var/lib/dpkg/statoverride", "/var/lib/dpkg/status"} {
		text, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		for _, word := range []string{"castgate", "alice", "LC_ALL"} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s names %q", file, word)
			}
		}
	}
	if u, err := user.Lookup("games"); err != nil || u.Uid != "5" {
		t.Errorf("the distribution's accounts: %v, %v", u, err)
	}
	if _, err := net.Dial("unix", GuardSocket); err == nil {
		t.Error("the machine's guard answers")
	}
	if got := syscall.Umask(0o022); got != 0o022 {
		t.Errorf("umask %o", got)
	}
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); slices.Contains([]string{"CASTGATE_SESSION", "SSH_ORIGINAL_COMMAND", "TZ", "LC_ALL", "BASH_ENV"}, name) {
			t.Errorf("environment: %s", kv)
		}
	}
	if got := Do(t, exec.Command("sh", "-c", "kill -HUP $$"), nil); got.Status != 128+int(syscall.SIGHUP) {
		t.Errorf("SIGHUP is ignored: %+v", got)
	}
	Install(t)
	AddUser(t, "alice", "/bin/bash")
	if info, err := os.Stat("/root"); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("/root: %v, %v", info.Mode(), err)
	}
}

// nested runs a command that knows nothing of this host, with an odd umask and
// deaf to hang-ups: a test binary that makes a host makes one inside this one.
func nested(t *testing.T, env []string, command ...string) Result {
	t.Helper()
	cmd := exec.Command("unshare", append([]string{
		"--mount", "--pid", "--fork", "--mount-proc", "sh", "-c",
		"rmdir " + markerDir + "; umask 077; trap '' HUP; exec \"$@\"", "sh",
	}, command...)...)
	cmd.Env = append(os.Environ(), env...)
	defer func() {
		if err := os.MkdirAll(markerDir, 0o755); err != nil {
			t.Fatal(err)
		}
	}()
	return Do(t, cmd, nil)
}
