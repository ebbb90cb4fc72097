// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"castgate/wrap/asciicast"
)

// terminal returns the file behind w when that is a terminal.
func terminal(w io.Writer) *os.File {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// rawOutput stops the terminal from adding CR to LF: a recording of a terminal
// has had it added already. With keys, the keyboard is read key by key, too.
func rawOutput(out *os.File, keys bool, newlines bool) (restore func(), err error) {
	fd := int(out.Fd())
	old, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	if keys {
		if _, err := term.MakeRaw(fd); err != nil {
			return nil, err
		}
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err == nil {
		if t.Oflag &^= unix.OPOST; newlines {
			t.Oflag |= unix.OPOST | unix.ONLCR
		}
		err = unix.IoctlSetTermios(fd, unix.TCSETS, t)
	}
	restore = func() { _ = term.Restore(fd, old) }
	if err != nil {
		restore()
		return nil, err
	}
	return restore, nil
}

// readKeys sends what the keys ask for until ctx ends. The read itself can't
// be ended; it goes with the program.
func readKeys(ctx context.Context, in io.Reader) <-chan asciicast.Action {
	actions := make(chan asciicast.Action)
	go func() {
		buf := make([]byte, 256)
		for {
			n, err := in.Read(buf)
			for _, a := range asciicast.ParseKeys(buf[:n]) {
				select {
				case actions <- a:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return actions
}
