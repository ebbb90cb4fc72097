// SPDX-License-Identifier: AGPL-3.0-or-later

package terminal

import (
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"castgate/wrap/setgid"
)

// openPty opens a pty whose slave is not the spool's. devpts is mounted with
// gid=tty nearly everywhere; without that a slave gets its opener's group.
func openPty() (master, slave *os.File, err error) {
	master, slave, err = pty.Open()
	if err != nil || setgid.Mode() == setgid.Plain {
		return master, slave, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(int(slave.Fd()), &st); err == nil && int(st.Gid) != os.Getegid() {
		return master, slave, nil
	}
	master.Close()
	slave.Close()
	if err == nil {
		err = setgid.AsUser(func() (err error) { master, slave, err = pty.Open(); return err })
	}
	return master, slave, err
}

func dupCloexec(f *os.File) (int, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	return fd, nil
}
