// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// maxMasters is how many of sshd's descriptors are looked at: it has some ten,
// and two or three for each further channel of the connection.
const maxMasters = 1024

var errNoMaster = errors.New("sshd's end of the terminal was not found")

// masterOf copies sshd's own end of the terminal whose session leader is pid
// (pidfd_getfd(2)). The recorder needs it for the moment of the hang-up: to
// hold back what the person types, which would be lost, and to open the
// terminal anew without asking for a name.
func masterOf(sshd process, leader int) (master int, err error) {
	pidfd, err := unix.PidfdOpen(sshd.pid, 0)
	if err != nil {
		return -1, fmt.Errorf("sshd: %w", err)
	}
	defer unix.Close(pidfd)
	if now, err := readProcess(sshd.pid); err != nil || !now.same(sshd) {
		return -1, errNoMaster // it has ended, and its pid may be another's
	}
	for n := range maxMasters {
		fd, err := unix.PidfdGetfd(pidfd, n, 0)
		if err == unix.EBADF {
			continue
		}
		if err != nil {
			return -1, fmt.Errorf("ask for sshd's end of the terminal: %w", err)
		}
		if leaderOf(fd) == leader {
			return fd, nil
		}
		_ = unix.Close(fd)
	}
	return -1, errNoMaster
}

// ends says that master and tty are the two ends of one terminal.
func ends(master, tty int) bool {
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	_, minor, ttyErr := statTerminal(tty)
	return err == nil && ttyErr == nil && uint32(number) == minor
}

// leaderOf returns the leader of the session that has a terminal as its
// controlling terminal; it is asked for at the master's end, where everybody
// may ask. It is 0 where there is none. A process leads one session, and a
// session has one terminal.
func leaderOf(master int) int {
	if _, err := unix.IoctlGetInt(master, unix.TIOCGPTN); err != nil {
		return 0 // not the master of a pty: TIOCGSID would tell of another's
	}
	leader, err := unix.IoctlGetInt(master, unix.TIOCGSID)
	if err != nil {
		return 0
	}
	return leader
}
