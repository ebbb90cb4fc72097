// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// errBusy means that another process asked the same question for as long as
// this one could wait.
var errBusy = errors.New("another process is asking the same")

// lockPoll is how often a waiting process looks again: flock(2) can't be given
// a deadline without a signal or a thread that outlives it.
const lockPoll = 15 * time.Millisecond

// lock takes locks/<name>, and waits for it until ctx ends. The kernel gives it
// back however the process ends. Without a cache nothing is shared, so there is
// nothing to lock.
func (c *Cache) lock(ctx context.Context, name string) (unlock func(), err error) {
	if c == nil {
		return func() {}, nil
	}
	f, err := c.lockFile("locks/" + name)
	if err != nil {
		return func() {}, nil // a cache on a full or read-only disk costs calls, not logins
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
			return nil, &Fault{Class: Broken, Op: "ask GitHub", Err: errBusy}
		case <-time.After(lockPoll):
		}
	}
}

func (c *Cache) lockFile(name string) (*os.File, error) {
	f, err := c.root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err == nil {
		return f, nil
	}
	if err := c.mkdir("locks"); err != nil {
		return nil, err
	}
	f, err = c.root.OpenFile(name, os.O_RDONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, err
	}
	return f, c.own(f, 0o644)
}
