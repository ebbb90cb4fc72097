// SPDX-License-Identifier: AGPL-3.0-or-later

package terminal

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"castgate/wrap/record"
)

// Program is what a session runs.
type Program struct {
	Path string
	Argv []string
	Env  []string
	Dir  string              // "" for the recorder's own
	Attr syscall.SysProcAttr // Credential
}

// child is a running program.
type child struct {
	pid int
	end record.End
}

// start runs p with these descriptors as its 0, 1 and 2.
func (p Program) start(files [3]int, attr *syscall.SysProcAttr) (*child, error) {
	pid, err := syscall.ForkExec(p.Path, p.Argv, &syscall.ProcAttr{
		Dir: p.Dir, Env: p.Env,
		Files: []uintptr{uintptr(files[0]), uintptr(files[1]), uintptr(files[2])},
		Sys:   attr,
	})
	if err != nil {
		return nil, fmt.Errorf("run %q: %w", p.Path, err)
	}
	return &child{pid: pid}, nil
}

// reap collects every child that has ended: the program and, because the
// recorder is a subreaper, what the program left behind. It reports whether
// the program is among them.
func (c *child) reap() bool {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return c.end.Ended
		}
		if pid == c.pid {
			hangup := c.end.Hangup
			c.end = record.Exited(ws)
			c.end.Hangup = hangup
		}
	}
}

// graceAfterHangup is how long the recorder waits for a program to end after
// the client is gone; what ignores SIGHUP lives on, as under plain sshd.
const graceAfterHangup = 2 * time.Second

// await gives a program that was hung up a moment to end.
func (c *child) await(w *Waker) {
	deadline := time.Now().Add(graceAfterHangup)
	for !c.reap() && time.Now().Before(deadline) {
		fds := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
		_, _ = unix.Poll(fds, 50)
		if fds[0].Revents != 0 {
			w.take()
		}
	}
	if !c.end.Ended {
		c.end.Status = 128 + int(syscall.SIGHUP)
	}
}

// Reap collects the children that have ended. As a subreaper the recorder has
// also those that its program left behind.
func Reap() { (&child{}).reap() }
