// SPDX-License-Identifier: AGPL-3.0-or-later

package files

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// ErrBusy means that another process held a lock for as long as this one could
// wait.
var ErrBusy = errors.New("another process is asking the same")

// lockPoll is how often a waiting process looks again: flock(2) can't be given
// a deadline without a signal or a thread that outlives it.
const lockPoll = 15 * time.Millisecond

// Lock takes locks/<name>, and waits for it until ctx ends. The kernel gives it
// back however the process ends. Where nothing can be written, nothing is shared,
// so there is nothing to lock.
func (d *Dir) Lock(ctx context.Context, name string) (unlock func(), err error) {
	if d == nil {
		return func() {}, nil
	}
	f, err := d.lockFile("locks/" + name)
	if err != nil {
		return func() {}, nil // a full or read-only disk costs calls, not logins
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return func() {}, nil
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ErrBusy
		case <-time.After(lockPoll):
		}
	}
}

func (d *Dir) lockFile(name string) (*os.File, error) {
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err == nil {
		return f, nil
	}
	if err := d.mkdir("locks"); err != nil {
		return nil, err
	}
	f, err = d.root.OpenFile(name, os.O_RDONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, err
	}
	return f, d.own(f, 0o644)
}
