// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestEachCapability: what the guard does works with one capability, and not
// with all the others. What only a helper does is seen to fail here; that it
// works is TestLurkers'.
func TestEachCapability(t *testing.T) {
	needRoot(t)
	const alice = 12345
	_, tty := testPTY(t)
	cmd := exec.Command("sleep", "1000.1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: alice, Gid: alice}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	for _, tt := range []struct {
		name string
		need uint64
		do   func() error
	}{
		{"take", 1 << unix.CAP_CHOWN, func() error { return take(tty, alice) }},
		// Not SIGCONT, which anybody may send in their own session.
		{"signal", 1 << unix.CAP_KILL, func() error { return unix.PidfdSendSignal(pidfd, unix.SIGWINCH, nil, 0) }},
		{"copy", 1 << unix.CAP_SYS_PTRACE, func() error {
			n, err := unix.PidfdGetfd(pidfd, 0, 0)
			if err == nil {
				_ = unix.Close(n)
			}
			return err
		}},
		{"hang up", helpers, func() error {
			if _, _, errno := unix.Syscall(unix.SYS_VHANGUP, 0, 0, 0); errno != 0 {
				return errno
			}
			return nil
		}},
	} {
		if err := unix.Fchown(tty, alice, -1); err != nil {
			t.Fatal(err)
		}
		if err := with(t, needed&^tt.need, tt.do); err == nil {
			t.Errorf("%s: works without %#x", tt.name, tt.need)
		}
		if tt.need == helpers {
			continue // it would hang up the terminal that the test is run from
		}
		if err := with(t, tt.need, tt.do); err != nil {
			t.Errorf("%s: %v with %#x alone", tt.name, err, tt.need)
		}
	}
}

// with does do in a thread of its own that has no other capabilities.
func with(t *testing.T, caps uint64, do func() error) error {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this
		data := [2]unix.CapUserData{{Permitted: uint32(caps), Effective: uint32(caps)}}
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
			t.Error(err)
		}
		done <- do()
	}()
	return <-done
}
