// SPDX-License-Identifier: AGPL-3.0-or-later

// Package setgid knows what the set-group-ID bit of castgate-wrap gives and how
// it is given up. With it the process has the spool's group, which the recorded
// user has not: they can't reach the recordings, and can't trace or signal the
// recorder through a debugger. Nothing that the recorder starts for the user
// keeps that group; what it does on the user's behalf it does with theirs.
package setgid

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Modes of the recorder, the header's "mode".
const (
	Setgid = "setgid" // the recorded user can't reach the spool
	Plain  = "plain"  // they can: containers, nosuid mounts, development
)

// Mode says whether the setgid bit took effect. It does not on a nosuid mount,
// under no_new_privs, ptrace or a user namespace (execve(2)).
func Mode() string {
	if os.Getegid() != os.Getgid() {
		return Setgid
	}
	return Plain
}

// Unprivileged makes a child run with the caller's real ids. For a process that
// isn't root setgid(2) changes the effective group only; execve then copies it
// to the saved one, so that all four are the user's. The supplementary groups
// were the user's all along.
func Unprivileged() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{
		Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid()), NoSetGroups: true,
	}}
}

// Drop gives the group up for good, in every thread, and proves it.
func Drop() error {
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

// AsUser runs open with the file system group of the user, so that what it
// creates (the slave of a pty on a devpts without gid=) is not the spool's, and
// it sees what the user may.
func AsUser(open func() error) error {
	runtime.LockOSThread() // setfsgid(2) holds for one thread
	defer runtime.UnlockOSThread()
	if err := unix.Setfsgid(os.Getgid()); err != nil {
		return err
	}
	defer func() { _ = unix.Setfsgid(os.Getegid()) }()
	return open()
}
