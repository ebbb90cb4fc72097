// SPDX-License-Identifier: AGPL-3.0-or-later

package spool

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Held says whether the writer of a recording still lives: it holds a lock on
// the file, under whatever name the file is. The lock that is tried here is
// let go at once.
func Held(f *os.File) bool {
	err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if err == nil {
		_ = unix.Flock(int(f.Fd()), unix.LOCK_UN)
	}
	return errors.Is(err, unix.EWOULDBLOCK)
}
