// SPDX-License-Identifier: AGPL-3.0-or-later

package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// hintError is an error about the spool with what its administrator can do.
type hintError struct {
	error
	hint string
}

func (e *hintError) Unwrap() error { return e.error }
func (e *hintError) Hint() string  { return e.hint }

func hint(err error, path string) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &hintError{err, fmt.Sprintf("systemd-tmpfiles --create castgate.conf makes %s", path)}
	case errors.Is(err, fs.ErrPermission):
		return &hintError{err, fmt.Sprintf("%s and its directories belong to root:castgate, and castgate-wrap is setgid castgate: castgate check says what is wrong", path)}
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return &hintError{err, fmt.Sprintf("make room on the file system of %s, or raise the user's quota there", path)}
	}
	return err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
