// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"fmt"

	"golang.org/x/sys/unix"

	"castgate/wrap/hint"
)

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
		return hint.Add(
			fmt.Errorf("only %d descriptors may be open", l.Cur),
			"something lowers the hard limit: `ulimit -n` in a start-up file, /etc/security/limits.conf, a unit's LimitNOFILE",
		)
	}
	return nil
}
