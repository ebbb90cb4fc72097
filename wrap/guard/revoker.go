// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A terminal is hung up by a process that has it as its controlling terminal
// (vhangup(2)). That is a helper of the guard's, with one capability: the
// kernel waits, with no end and no signal, for whoever is just writing to the
// terminal, and a lurker can see to it that this takes for ever (its bytes are
// on a file system of its own). What waits then is one helper and one login,
// and not the guard.

// Revoker is the argument that makes castgate-guard such a helper; its
// requests come through descriptor 3.
const Revoker = "revoker"

// What a helper answers: vhangup is done, or the number of the error.
const revoked = 0

const (
	maxIdle     = 4                      // helpers that are kept for the next logins; some 3 MB each
	maxRevokers = 32                     // at once, those that hang among them
	revokeTime  = 200 * time.Millisecond // it takes less than one
)

// revokers are the helpers.
type revokers struct {
	mu    sync.Mutex
	idle  []*revoker
	total int
	hangs map[uint32]int // for whom a helper hangs, by uid
	users turns          // one terminal of each user's at a time
}

// revoker is the guard's side of one helper.
type revoker struct {
	process *os.Process
	conn    *os.File
}

var (
	errLate     = errors.New("it takes too long")
	errHangs    = errors.New("an earlier terminal of this account is still being hung up")
	errRevokers = errors.New("too many terminals are being hung up")
)

// revoke hangs the terminal up. What takes too long goes on by itself, and
// meanwhile nothing more of this kind is begun for its uid: nobody has all the
// helpers hang by logging in often enough at once.
func (r *revokers) revoke(tty int, uid uint32) (err error) {
	defer r.users.take(uid)()
	for range maxIdle + 1 { // of those that were idle all may have been killed
		h, takeErr := r.take(uid)
		if takeErr != nil {
			return takeErr
		}
		var errno unix.Errno
		errno, err = h.ask(tty)
		switch {
		case err == nil && errno == revoked:
			r.put(h)
			return nil
		case err == nil:
			r.put(h)
			return errno
		case errors.Is(err, errLate):
			r.abandon(h, uid)
			return err
		}
		r.drop(h)
	}
	return fmt.Errorf("helper: %w", err)
}

// take returns a helper that has nothing to do.
func (r *revokers) take(uid uint32) (*revoker, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hangs[uid] > 0 {
		return nil, errHangs
	}
	if n := len(r.idle); n > 0 {
		h := r.idle[n-1]
		r.idle = r.idle[:n-1]
		return h, nil
	}
	if r.total >= maxRevokers {
		return nil, errRevokers
	}
	h, err := startRevoker()
	if err == nil {
		r.total++
	}
	return h, err
}

// ready has a helper wait for the first login.
func (r *revokers) ready() error {
	h, err := r.take(nobody)
	if err == nil {
		r.put(h)
	}
	return err
}

func (r *revokers) put(h *revoker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.idle) < maxIdle {
		r.idle = append(r.idle, h)
		return
	}
	r.total--
	go h.end()
}

// drop forgets a helper that has ended.
func (r *revokers) drop(h *revoker) {
	h.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total--
}

// abandon forgets a helper that does not answer. Killed, it ends when the
// kernel lets it.
func (r *revokers) abandon(h *revoker, uid uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hangs == nil {
		r.hangs = map[uint32]int{}
	}
	r.hangs[uid]++
	go func() {
		r.drop(h)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.hangs[uid]--; r.hangs[uid] == 0 {
			delete(r.hangs, uid)
		}
	}()
}

// stop ends the helpers that have nothing to do; the others end by themselves.
func (r *revokers) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.idle {
		h.end()
	}
	r.total -= len(r.idle)
	r.idle = nil
}

func (h *revoker) end() {
	_ = h.conn.Close()
	_ = h.process.Kill()
	_, _ = h.process.Wait()
}

// startRevoker starts a helper: this program, as the leader of a session
// without a terminal.
func startRevoker() (*revoker, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("start helper: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "requests")
	defer theirs.Close()
	conn, err := pollable(pair[0], "helper")
	if err != nil {
		return nil, fmt.Errorf("start helper: %w", err)
	}
	p, err := os.StartProcess("/proc/self/exe", []string{"castgate-guard", Revoker}, &os.ProcAttr{
		Env:   []string{},
		Files: []*os.File{nil, nil, os.Stderr, theirs},
		Sys:   &syscall.SysProcAttr{Setsid: true, AmbientCaps: []uintptr{unix.CAP_SYS_TTY_CONFIG}},
	})
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start helper: %w", err)
	}
	return &revoker{process: p, conn: conn}, nil
}

// ask has the helper hang tty up, and returns its answer. An error is one of
// talking to the helper.
func (h *revoker) ask(tty int) (unix.Errno, error) {
	_ = h.conn.SetDeadline(time.Now().Add(revokeTime))
	if err := send(h.conn, []byte{'?'}, tty); err != nil {
		return 0, err
	}
	answer, fds, err := receive(h.conn, 1)
	closeAll(fds)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, errLate
	case err != nil:
		return 0, err
	}
	return unix.Errno(answer[0]), nil
}

// ServeRevoker is what a helper does until the guard hangs up. Signals of the
// terminal must be ignored: for a moment it is this process's own.
func ServeRevoker() error {
	if err := confine(helpers, helpers); err != nil {
		return err
	}
	conn, err := pollable(firstFD, "requests")
	if err != nil {
		return err
	}
	unix.CloseOnExec(firstFD)
	for {
		_, fds, err := receive(conn, 1)
		if err != nil || len(fds) != 1 {
			closeAll(fds)
			return nil // the guard has ended
		}
		errno := hangUp(fds[0])
		closeAll(fds)
		if err := send(conn, []byte{byte(errno)}, -1); err != nil {
			return nil
		}
	}
}

// hangUp makes every descriptor that is open on tty useless. It fails with
// EPERM where a session has the terminal.
func hangUp(tty int) unix.Errno {
	if err := unix.IoctlSetInt(tty, unix.TIOCSCTTY, 0); err != nil {
		return errnoOf(err)
	}
	// Left by whoever had it before, it would keep the recorder out.
	_ = unix.IoctlSetInt(tty, unix.TIOCNXCL, 0)
	if _, _, errno := unix.Syscall(unix.SYS_VHANGUP, 0, 0, 0); errno != 0 {
		_ = unix.IoctlSetInt(tty, unix.TIOCNOTTY, 0)
		return errno
	}
	return revoked
}

func errnoOf(err error) unix.Errno {
	errno := unix.EIO
	_ = errors.As(err, &errno)
	return errno
}
