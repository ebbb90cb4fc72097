// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockPath can be opened, and so locked, by root alone.
const lockPath = "/run/castgate/enable.lock"

var errNotAlone = errors.New("another castgate enable or disable is at work")

// alone keeps two from changing the door at once: the one that fails would take
// back what the other has put in. The kernel gives the lock back however this ends.
func alone() (unlock func(), err error) {
	if err := publicDir(filepath.Dir(lockPath)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(lockPath, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, errNotAlone
	}
	return func() { _ = f.Close() }, nil
}
