// SPDX-License-Identifier: AGPL-3.0-or-later

package spool

import (
	"errors"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"

	"castgate/wrap/hint"
)

// advise says what an administrator can do about an error of the spool at path.
func advise(err error, path string) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return hint.Addf(err, "systemd-tmpfiles --create castgate.conf makes %s", path)
	case errors.Is(err, fs.ErrPermission):
		return hint.Addf(err, "%s and its directories belong to root:castgate, and castgate-wrap is setgid castgate: castgate check says what is wrong", path)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return hint.Addf(err, "make room on the file system of %s, or raise the user's quota there", path)
	}
	return err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
