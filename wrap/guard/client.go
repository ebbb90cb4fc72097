// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is the recorder's end of a connection to the guard.
type Conn struct {
	fd       int
	deadline time.Time
	mu       sync.Mutex // between Say, Ended and Close
	lines    bool       // the guard takes the session's lines
}

// errTimeout is a guard that is stopped or hangs.
var errTimeout = errors.New("the guard does not answer")

// retryConnect is how long to wait when the guard's backlog is full.
const retryConnect = 10 * time.Millisecond

// Connect calls the guard that listens at path. timeout is all the time that
// Connect and Hello may take together: a guard that is absent, stopped or
// hangs delays a login by no more.
func Connect(path string, timeout time.Duration) (*Conn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("connect to guard: %w", err)
	}
	c := &Conn{fd: fd, deadline: time.Now().Add(timeout)}
	for {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		switch {
		case err == nil:
			return c, nil
		case err == unix.EINTR:
		case err == unix.EAGAIN && time.Until(c.deadline) > retryConnect:
			// unix(7): the backlog is full; there is nothing to poll for.
			time.Sleep(retryConnect)
		default:
			_ = c.Close()
			return nil, fmt.Errorf("connect to guard %q: %w", path, err)
		}
	}
}

// Hello tells the guard about this session, with tty as its outer terminal
// (-1: it has none), and returns what the guard knows. After an error the
// connection is closed and the guard has forgotten the session. Otherwise it
// must be held for the session's life: its end starts the sweep.
//
// With give, the guard may revoke the terminal: give is called with its master,
// which is the caller's from then on, and gives the terminal up.
func (c *Conn) Hello(h Hello, tty int, give func(master int) error) (Facts, error) {
	h.Revoke = give != nil && tty >= 0
	facts, err := c.hello(h, tty, give)
	if err != nil {
		_ = c.Close()
		return Facts{}, fmt.Errorf("ask guard: %w", err)
	}
	return facts, nil
}

func (c *Conn) hello(h Hello, tty int, give func(master int) error) (Facts, error) {
	msg, err := h.encode()
	if err != nil {
		return Facts{}, err
	}
	if err := c.send(msg, tty); err != nil {
		return Facts{}, err
	}
	answer, fds, err := c.receive()
	if err == nil && h.Revoke && len(answer) == 1 && answer[0] == offered && len(fds) == 1 {
		word := byte(given)
		if give(fds[0]) != nil {
			word = kept
		}
		fds = nil
		if err := c.send([]byte{word}, -1); err != nil {
			return Facts{}, err
		}
		answer, fds, err = c.receive()
	}
	closeAll(fds)
	if err != nil {
		return Facts{}, err
	}
	facts, err := decodeFacts(answer)
	if err != nil {
		return Facts{}, err
	}
	c.lines = facts.Lines
	return facts, c.send([]byte{started}, -1)
}

// send sends a packet, and with it a descriptor unless that is negative.
func (c *Conn) send(packet []byte, pass int) error {
	var rights []byte
	if pass >= 0 {
		rights = unix.UnixRights(pass)
	}
	return c.wait(unix.POLLOUT, func() error {
		return unix.Sendmsg(c.fd, packet, rights, nil, unix.MSG_NOSIGNAL)
	})
}

func (c *Conn) receive() (packet []byte, fds []int, err error) {
	buf, oob := make([]byte, maxFacts+1), make([]byte, unix.CmsgSpace(4*maxFDs))
	var n, oobn int
	err = c.wait(unix.POLLIN, func() (err error) {
		n, oobn, _, _, err = unix.Recvmsg(c.fd, buf, oob, unix.MSG_CMSG_CLOEXEC)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if n == 0 {
		return nil, nil, errors.New("the guard hung up")
	}
	return buf[:n], passed(oob[:oobn]), nil
}

// wait does op as soon as the socket is ready for it, or fails at the deadline.
func (c *Conn) wait(events int16, op func() error) error {
	for {
		err := op()
		if err != unix.EAGAIN && err != unix.EINTR {
			return err
		}
		left := time.Until(c.deadline)
		if left <= 0 {
			return errTimeout
		}
		fds := []unix.PollFd{{Fd: int32(c.fd), Events: events}}
		_, err = unix.Poll(fds, int(left.Milliseconds())+1)
		if err != nil && err != unix.EINTR {
			return err
		}
	}
}

// Announce makes the kernel send SIGIO to this process when the connection
// ends (fcntl(2), F_SETOWN and O_ASYNC): nobody has to wait for it.
func (c *Conn) Announce() error {
	if _, err := unix.FcntlInt(uintptr(c.fd), unix.F_SETOWN, unix.Getpid()); err != nil {
		return fmt.Errorf("watch guard: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(c.fd), unix.F_SETFL, unix.O_NONBLOCK|unix.O_ASYNC); err != nil {
		return fmt.Errorf("watch guard: %w", err)
	}
	return nil
}

// Ended says that the guard has hung up: it was stopped or upgraded, and will
// not see this session's end.
func (c *Conn) Ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended()
}

func (c *Conn) ended() bool {
	if c.fd < 0 {
		return true // poll(2) ignores it
	}
	fds := []unix.PollFd{{Fd: int32(c.fd)}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 // POLLHUP comes unasked
}

// errMute is a guard from before there were lines.
var errMute = errors.New("the guard takes no lines")

// Say has the guard write a line into the log. It never waits: where the guard
// is behind or gone, the recorder says it itself.
func (c *Conn) Say(l Line) error {
	if !c.lines {
		return errMute
	}
	packet, err := l.encode()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended() {
		return unix.EPIPE
	}
	return unix.Sendmsg(c.fd, packet, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
}

// FD is the connection's descriptor. It is close-on-exec.
func (c *Conn) FD() int { return c.fd }

// Close ends the connection, and with it the session as the guard sees it.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return nil
	}
	fd := c.fd
	c.fd = -1
	return unix.Close(fd)
}
