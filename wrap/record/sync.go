// SPDX-License-Identifier: AGPL-3.0-or-later

package record

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// syncEvery is how long written data may wait for fdatasync(2). With the time
// that the sync itself takes it keeps the promise of one second.
const syncEvery = 500 * time.Millisecond

// syncer makes what was written durable, in a thread of its own: nothing that
// happens on a disk is felt at the keyboard.
type syncer struct {
	kick    chan struct{}
	dirty   atomic.Bool
	failure atomic.Pointer[error]
}

// written asks for a sync of fd. The first time it starts the thread; full is
// asked there whether there is room for more, failed is told of a failure.
func (s *syncer) written(fd int, full func() error, failed func()) {
	if s.dirty.Swap(true) {
		return
	}
	if s.kick == nil {
		s.kick = make(chan struct{}, 1)
		go s.run(fd, full, failed)
	}
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *syncer) run(fd int, full func() error, failed func()) {
	for range s.kick {
		time.Sleep(syncEvery)
		s.dirty.Store(false)
		if err := syncOnce(fd, full); err != nil {
			s.failure.Store(&err)
			if failed != nil {
				failed()
			}
			return
		}
	}
}

func syncOnce(fd int, full func() error) error {
	if err := fsync(fd, unix.Fdatasync); err != nil {
		return fmt.Errorf("sync the recording: %w", err)
	}
	if full != nil {
		return full()
	}
	return nil
}

// fsync ignores what can't be synced: a pipe, a socket.
func fsync(fd int, how func(int) error) error {
	for {
		err := how(fd)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EROFS), errors.Is(err, unix.ENOTSUP):
			return nil
		}
		return err
	}
}
