// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// terminal names a pseudo terminal of this host. Every instance of devpts
// counts from 0: the device number alone names one in each container.
type terminal struct {
	fsMajor, fsMinor uint32 // st_dev
	major, minor     uint32 // st_rdev
}

// Slaves of Unix98 ptys have the majors 136 to 143 (Documentation/admin-guide/devices.txt).
const ptsFirst, ptsLast = 136, 143

var errNotPTS = errors.New("not a pseudo terminal")

// statTerminal identifies the file behind dir and name, or behind the
// descriptor dir when name is empty. No file system is asked for news: a
// descriptor on a dead server must not hold the guard up.
func statTerminal(dir int, name string) (terminal, uint32, error) {
	flags := unix.AT_STATX_DONT_SYNC | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	var st unix.Statx_t
	if err := unix.Statx(dir, name, flags, unix.STATX_TYPE|unix.STATX_UID, &st); err != nil {
		return terminal{}, 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return terminal{}, 0, errNotPTS
	}
	return terminal{st.Dev_major, st.Dev_minor, st.Rdev_major, st.Rdev_minor}, st.Uid, nil
}

// take gives the outer terminal to root, so that nobody else opens it again
// by its name. fd must be a pseudo terminal that belongs to uid: a recorder
// can't have other files given away.
func take(fd int, uid uint32) (terminal, error) {
	tty, owner, err := statTerminal(fd, "")
	switch {
	case err != nil:
		return terminal{}, err
	case tty.major < ptsFirst || tty.major > ptsLast:
		return terminal{}, errNotPTS
	case owner != uid && owner != 0 && owner != uint32(os.Geteuid()):
		return terminal{}, fmt.Errorf("the terminal belongs to uid %d", owner)
	}
	// Changing the mode of another's file would need CAP_FOWNER; CAP_CHOWN
	// lets us own it for a moment.
	if err := unix.Fchown(fd, os.Geteuid(), -1); err != nil {
		return terminal{}, fmt.Errorf("chown: %w", err)
	}
	chmodErr := unix.Fchmod(fd, 0o600)
	if err := unix.Fchown(fd, 0, -1); err != nil {
		return terminal{}, fmt.Errorf("chown: %w", err)
	}
	if chmodErr != nil {
		return terminal{}, fmt.Errorf("chmod: %w", chmodErr)
	}
	return tty, nil
}
