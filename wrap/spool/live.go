// SPDX-License-Identifier: AGPL-3.0-or-later

package spool

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// LiveOf counts the recordings in live/ that belong to uid: its sessions.
func (d *Dir) LiveOf(uid int) (int, error) {
	f, err := d.root.Open(Live)
	if err != nil {
		return 0, advise(fmt.Errorf("list the spool: %w", err), d.Path)
	}
	defer f.Close()
	n := 0
	for {
		batch, err := f.Readdirnames(batchSize)
		for _, name := range batch {
			var st unix.Stat_t
			gone := unix.Fstatat(int(f.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
			if gone == nil && strings.HasSuffix(name, Suffix) && int(st.Uid) == uid {
				n++
			}
		}
		if len(batch) == 0 {
			return n, advise(ignoreEOF(err), d.Path)
		}
	}
}
