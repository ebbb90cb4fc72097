// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"errors"
	"io/fs"
	"syscall"
	"time"

	"castgate/wrap/spool"
)

// leave takes a delivered recording out of incoming/: away, or to kept/.
func (u *Uploader) leave(id string) error {
	err := u.spool.Remove
	if u.Config.Keep > 0 {
		err = u.spool.Keep
	}
	if err := err(id); !errors.Is(err, fs.ErrNotExist) { // that was before the last kill
		return err
	}
	return nil
}

// purge deletes what has been kept long enough.
func (u *Uploader) purge(now time.Time) error {
	err := u.spool.Names(spool.Kept, func(id string) error {
		info, err := u.spool.Stat(spool.Kept, id)
		if err != nil {
			return nil // gone already
		}
		st := info.Sys().(*syscall.Stat_t)
		moved := time.Unix(st.Ctim.Unix()) // the rename into kept/ set it
		if now.Sub(moved) < u.Config.Keep {
			return nil
		}
		if err := u.spool.RemoveKept(id); err != nil {
			u.complainOnce("can't remove a kept recording", id, err)
		}
		return nil
	}, nil)
	if errors.Is(err, fs.ErrNotExist) && u.Config.Keep == 0 {
		return nil // a spool of an older version
	}
	return err
}
