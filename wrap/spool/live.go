// SPDX-License-Identifier: AGPL-3.0-or-later

package spool

import (
	"fmt"
	"strings"
	"syscall"
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
		batch, err := f.ReadDir(batchSize)
		for _, e := range batch {
			info, gone := e.Info()
			if gone == nil && strings.HasSuffix(e.Name(), Suffix) && int(info.Sys().(*syscall.Stat_t).Uid) == uid {
				n++
			}
		}
		if len(batch) == 0 {
			return n, advise(ignoreEOF(err), d.Path)
		}
	}
}
