// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Program is what a session runs.
type Program struct {
	Path string
	Argv []string
	Env  []string
	Dir  string              // "" for the recorder's own
	Attr syscall.SysProcAttr // Credential
}

// End is how a session ended.
type End struct {
	Status int            // exit status; 128+n after signal n
	Signal syscall.Signal // 0 when the program exited by itself
	Hangup bool           // the client went away first
	Ended  bool           // the program has ended; else it was left behind
}

// child is a running program.
type child struct {
	pid int
	end End
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
			c.end = endOf(ws)
			c.end.Hangup = hangup
		}
	}
}

func endOf(ws syscall.WaitStatus) End {
	if ws.Signaled() {
		return End{Status: 128 + int(ws.Signal()), Signal: ws.Signal(), Ended: true}
	}
	return End{Status: ws.ExitStatus(), Ended: true}
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

// NotRun is the status of a command that can't be run, as a shell reports it.
func NotRun(err error) int {
	if errors.Is(err, os.ErrNotExist) {
		return 127
	}
	return 126
}
