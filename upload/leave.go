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

// putAside moves a recording that will never be delivered to bad/, with the
// reason beside it. Nothing is deleted: it is evidence.
func (u *Uploader) putAside(id, why string) bool {
	return u.moveAside(id+spool.Suffix, why)
}

// putAsideStranger moves what is no recording out of incoming/: a path unit
// that watches the directory would start the uploader for it without end.
func (u *Uploader) putAsideStranger(name string) bool {
	return u.moveAside(name, "its name is not a recording's")
}

func (u *Uploader) moveAside(file, why string) bool {
	to, err := u.spool.MoveAside(file)
	if errors.Is(err, fs.ErrNotExist) {
		return true // moved before the last kill
	}
	if err == nil {
		err = u.spool.Explain(to, why)
	}
	if err != nil {
		u.complainOnce("can't put a file aside", file, err)
		return to != ""
	}
	u.aside.Add(1)
	u.Log.Error("put aside for good", "file", u.Config.Spool+"/"+spoolBad+"/"+to, "why", why)
	return true
}

// complainOnce logs what will be seen again at every pass, once.
func (u *Uploader) complainOnce(what, name string, err error) {
	if _, known := u.complained.LoadOrStore(what+"\x00"+name, true); !known {
		u.Log.Error(what, "name", name, "why", err)
	}
}
