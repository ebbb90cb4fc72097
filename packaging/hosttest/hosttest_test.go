// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

func TestHostIsNotTheMachine(t *testing.T) {
	Need(t)
	if name, _ := os.Hostname(); name != Hostname {
		t.Errorf("host name %q", name)
	}
	dir, err := os.Getwd()
	if err != nil || filepath.Base(dir) != "hosttest" {
		t.Errorf("working directory %q, %v", dir, err)
	}
	if os.Getppid() != 1 {
		t.Errorf("parent is %d and not the host's init", os.Getppid())
	}
	if out := Run(t, "ip", "-brief", "link"); strings.Count(out, "\n") != 1 {
		t.Errorf("network devices beside loopback:\n%s", out)
	}
	// A file written here must not reach the lower layer: the overlay's root
	// says so itself.
	if mounts, _ := os.ReadFile("/proc/self/mounts"); !strings.HasPrefix(string(mounts), "castgate-host / overlay ") {
		t.Errorf("the root is no overlay:\n%s", mounts)
	}
}

func TestOrphansAreReaped(t *testing.T) {
	Need(t)
	pid := strings.TrimSpace(Run(t, "sh", "-c", "sh -c 'exec sleep 0.01' >/dev/null 2>&1 & echo $!"))
	WaitFor(t, "the orphan to be reaped", func() bool {
		_, err := os.Stat("/proc/" + pid)
		return err != nil
	})
}

// TestExitStatus runs this test binary a second time, on a host
// inside the host, where one test fails.
func TestExitStatus(t *testing.T) {
	Need(t)
	for _, tt := range []struct {
		status string
		want   int
	}{{"0", 0}, {"1", 1}} {
		got := nested(t, []string{"CASTGATE_HOSTTEST_FAIL=" + tt.status}, os.Args[0], "-test.run=TestFailsWhenTold")
		if got.Status != tt.want || strings.Contains(got.Stdout, "told to fail") != (tt.want == 1) {
			t.Errorf("want %d, got %+v", tt.want, got)
		}
	}
}

func TestFailsWhenTold(t *testing.T) {
	if os.Getenv("CASTGATE_HOSTTEST_FAIL") == "1" {
		t.Error("told to fail")
	}
}

func TestInstall(t *testing.T) {
	Install(t)
	Install(t) // harmless
	for _, tt := range directories {
		want := strings.TrimPrefix(tt.mode, "0") + " " + tt.owner + "\n"
		if got := Run(t, "stat", "-c", "%a %U:%G", tt.path); got != want {
			t.Errorf("%s: %q, want %q", tt.path, got, want)
		}
	}
	Config(t, "keys", "a: 1\n")
	if got := Run(t, "stat", "-c", "%a %U:%G", "/etc/castgate/keys.yaml"); got != "640 root:castgate-keys\n" {
		t.Errorf("keys.yaml: %q", got)
	}
}

func TestSshdAndSsh(t *testing.T) {
	key := NewKey(t, "ed25519")
	u := AddUser(t, "alice", "/bin/bash")
	u.Authorize(t, key)
	syslog := StartSyslog(t)
	s := StartSshd(t, "ClientAliveInterval 15", "Match User nobody", "ForceCommand false")
	got := Do(t, s.Ssh(key, "alice", nil, "cat; echo oops >&2; exit 7"), strings.NewReader("hello\n"))
	if want := (Result{"hello\n", "oops\n", 7}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.Log.Wait(t, "Accepted publickey for alice", key.Fingerprint)
	syslog.Wait(t, "session opened for user alice")
	if got := Do(t, s.Ssh(NewKey(t, "ed25519"), "alice", nil, "true"), nil); got.Status != 255 || !strings.Contains(got.Stderr, "Permission denied") {
		t.Errorf("another key: %+v", got)
	}
}

func TestTerminal(t *testing.T) {
	key := NewKey(t, "ed25519")
	u := AddUser(t, "alice", "/bin/bash")
	u.Authorize(t, key)
	s := StartSshd(t)
	term := StartTerminal(t, s.Ssh(key, "alice", nil), 91, 31)
	term.Type("stty size; tty\r")
	term.Expect("31 91")
	term.Expect("/dev/pts/")
	term.Resize(100, 40)
	term.Type("stty size\r")
	term.Expect("40 100")
	term.Type("exit 3\r")
	if got := term.Wait(); got.Status != 3 {
		t.Errorf("got %+v", got)
	}
}

func TestSshdConfigKeepsMatchLast(t *testing.T) {
	got := sshdConfig(7, "/k", "Banner none\nSubsystem sftp internal-sftp\nMatch User a\nForceCommand b")
	if strings.Count(got, "Subsystem") != 1 || strings.Index(got, "UsePAM") > strings.Index(got, "Match") || !strings.HasSuffix(got, "ForceCommand b\n") {
		t.Errorf("got\n%s", got)
	}
}
