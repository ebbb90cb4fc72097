// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"castgate/wrap/terminal"
)

// process minds castgate-once's own process, which is number 1 in many
// containers: a signal does only what is asked for here, and whoever loses his
// parent becomes its child and must be waited for.
type process struct {
	stop chan syscall.Signal // the first signal that ends it

	mu     sync.Mutex
	others bool            // somebody else waits for a child: it must not be taken from him
	wake   *terminal.Waker // a session's loop, which reaps by itself
}

func mindProcess() *process {
	p := &process{stop: make(chan syscall.Signal, 1)}
	ch := make(chan os.Signal, 16)
	// PIPE and XFSZ are caught so that a log that nobody reads any more, or that
	// has reached the limit on a file's size, is a failed write with its message.
	// Caught, not ignored: the shell would inherit that.
	signal.Notify(ch, unix.SIGCHLD, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGPIPE, unix.SIGXFSZ)
	go func() {
		for sig := range ch {
			switch sig {
			case unix.SIGCHLD:
				p.child()
			case unix.SIGPIPE, unix.SIGXFSZ:
			default:
				select {
				case p.stop <- sig.(syscall.Signal):
				default:
				}
			}
		}
	}()
	return p
}

// child is called when one has ended.
func (p *process) child() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.wake != nil:
		p.wake.Child()
	case !p.others:
		reap()
	}
}

// whileOthersWait runs f, which waits for children of its own.
func (p *process) whileOthersWait(f func() error) error {
	p.mu.Lock()
	p.others = true
	p.mu.Unlock()
	err := f()
	p.mu.Lock()
	p.others = false
	p.mu.Unlock()
	p.child() // those that f was not interested in
	return err
}

// handOver lets a session's loop reap from now on.
func (p *process) handOver(w *terminal.Waker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake = w
}

func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err != syscall.EINTR && pid <= 0 {
			return
		}
	}
}
