// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Modes of the recorder, the header's "mode".
const (
	ModeSetgid = "setgid" // the recorded user can't reach the spool
	ModePlain  = "plain"  // he can: containers, nosuid mounts, development
)

// Mode says whether the setgid bit took effect. It does not on a nosuid mount,
// under no_new_privs, ptrace or a user namespace (execve(2)).
func Mode() string {
	if os.Getegid() != os.Getgid() {
		return ModeSetgid
	}
	return ModePlain
}

// unprivileged makes a child run with the caller's real ids. For a process that
// isn't root setgid(2) changes the effective group only; execve then copies it
// to the saved one, so that all four are the user's. The supplementary groups
// were the user's all along.
func unprivileged() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{
		Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid()), NoSetGroups: true,
	}}
}

// dropForExec gives the group up for good, in every thread, and proves it.
func dropForExec() error {
	gid := os.Getgid()
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return fmt.Errorf("give the spool's group up: %w", err)
	}
	var r, e, s int
	r, e, s = unix.Getresgid()
	if r != gid || e != gid || s != gid {
		return fmt.Errorf("give the spool's group up: the ids are still %d %d %d", r, e, s)
	}
	return nil
}

// asUser runs open with the file system group of the user, so that what it
// creates (the slave of a pty on a devpts without gid=) is not the spool's, and
// it sees what the user may.
func asUser(open func() error) error {
	runtime.LockOSThread() // setfsgid(2) holds for one thread
	defer runtime.UnlockOSThread()
	if err := unix.Setfsgid(os.Getgid()); err != nil {
		return err
	}
	defer func() { _ = unix.Setfsgid(os.Getegid()) }()
	return open()
}

// withTTOUBlocked runs f so that a recorder in a background process group may
// set fd's modes: with SIGTTOU blocked in this thread. It must not be ignored
// instead, for the user's shell would inherit that. sshd starts the recorder in
// the foreground, where nothing needs to be done.
func withTTOUBlocked(fd int, f func() error) error {
	if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err == nil && group == unix.Getpgrp() {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var set, old unix.Sigset_t
	set.Val[0] = 1 << (uint(unix.SIGTTOU) - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old); err != nil {
		return err
	}
	defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil) }()
	return f()
}

// raiseLimits lifts the soft limit on the size of files, which a start-up file
// may have lowered for its own recorder. Go has lifted that on descriptors.
func raiseLimits() {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_FSIZE, &l) == nil && l.Cur < l.Max {
		l.Cur = l.Max
		_ = unix.Setrlimit(unix.RLIMIT_FSIZE, &l)
	}
}

// minDescriptors is more than a session has open. With less Go's runtime may
// find none for itself, and end the process with a message of its own.
const minDescriptors = 24

func enoughDescriptors() error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err == nil && l.Cur < minDescriptors {
		return &adviceError{
			fmt.Errorf("only %d descriptors may be open", l.Cur),
			"something lowers the hard limit: `ulimit -n` in a start-up file, /etc/security/limits.conf, a unit's LimitNOFILE",
		}
	}
	return nil
}

// DieOf ends the process by a signal, so that sshd tells the client of an
// exit-signal (RFC 4254 section 6.10). No core is left. It returns only when
// the signal didn't end the process.
func DieOf(sig syscall.Signal) {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	runtime.LockOSThread()
	// The Go runtime has a handler for every signal; put the default back
	// (rt_sigaction(2) with an all-zero struct sigaction is SIG_DFL).
	var dfl [4]uintptr
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&dfl)), 0, 8, 0, 0)
	var set unix.Sigset_t
	set.Val[0] = 1 << (uint(sig) - 1)
	_ = unix.PthreadSigmask(unix.SIG_UNBLOCK, &set, nil)
	// To this thread: the process may have another one take a signal that dumps
	// core, and be through with exit(2) before that has happened.
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
}
