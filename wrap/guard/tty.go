// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Slaves of Unix98 ptys have the majors 136 to 143 (Documentation/admin-guide/devices.txt).
const ptsFirst, ptsLast = 136, 143

var errNotPTS = errors.New("not a pseudo terminal")

// errOthers says that somebody has given the terminal away: sshd makes it the
// user's, and a user can do it in a name space of their own.
var errOthers = errors.New("the terminal belongs to somebody else")

// statTerminal returns the owner and the number of the pseudo terminal behind fd. No file
// system is asked for news: a descriptor on a dead server must not hold the
// guard up.
func statTerminal(fd int) (owner, number uint32, err error) {
	const flags = unix.AT_EMPTY_PATH | unix.AT_STATX_DONT_SYNC | unix.AT_NO_AUTOMOUNT
	var st unix.Statx_t
	if err := unix.Statx(fd, "", flags, unix.STATX_TYPE|unix.STATX_UID, &st); err != nil {
		return 0, 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev_major < ptsFirst || st.Rdev_major > ptsLast {
		return 0, 0, errNotPTS
	}
	return st.Uid, st.Rdev_minor, nil
}

// take gives the outer terminal to root, so that nobody else opens it again
// by its name. fd must be a pseudo terminal that belongs to uid: a recorder
// can't have other files given away. It is the file that changes its owner, and
// no name: which instance of devpts it is on, or what its name means to the
// guard, does not matter.
func take(fd int, uid uint32) error {
	owner, _, err := statTerminal(fd)
	switch {
	case err != nil:
		return err
	case owner != uid && owner != 0 && owner != uint32(os.Geteuid()):
		return fmt.Errorf("%w, uid %d", errOthers, owner)
	}
	// Changing the mode of another's file would need CAP_FOWNER; CAP_CHOWN
	// lets us own it for a moment.
	if err := unix.Fchown(fd, os.Geteuid(), -1); err != nil {
		return fmt.Errorf("chown: %w", err)
	}
	chmodErr := unix.Fchmod(fd, 0o600)
	if err := unix.Fchown(fd, 0, -1); err != nil {
		return fmt.Errorf("chown: %w", err)
	}
	if chmodErr != nil {
		return fmt.Errorf("chmod: %w", chmodErr)
	}
	return nil
}
