// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Surrender is the recorder's part in having its outer terminal, descriptors
// 0 to 2, revoked (secure.go): Give it up, and take it Back.
//
// A hang-up resets the terminal's modes and forgets what was typed and has not
// been read. sshd is kept from writing meanwhile, so that nothing is lost, and
// the modes are put back.
type Surrender struct {
	// Typed is what the person had typed by then. It is for the program.
	Typed []byte

	offered     bool
	master, old int // old is a second descriptor of descriptor 0's file
	modes       *unix.Termios
}

// Give is for Conn.Hello. The master is closed in Back, which must be called
// whatever happens.
func (s *Surrender) Give(master int) (err error) {
	s.offered, s.master = true, master
	if s.old, err = unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3); err != nil {
		return fmt.Errorf("copy the terminal's descriptor: %w", err)
	}
	if s.modes, err = unix.IoctlGetTermios(0, unix.TCGETS); err != nil {
		return fmt.Errorf("ask for the terminal's modes: %w", err)
	}
	if err := unix.IoctlSetInt(master, unix.TCXONC, unix.TCOOFF); err != nil {
		return fmt.Errorf("hold back what is typed: %w", err)
	}
	if err := withoutHangup(func() error { return unix.IoctlSetInt(0, unix.TIOCNOTTY, 0) }); err != nil {
		return fmt.Errorf("give the terminal up: %w", err)
	}
	if err := s.takeTyped(); err != nil {
		return fmt.Errorf("read what was typed: %w", err)
	}
	s.awaitShown()
	// An open that was allowed before the terminal became root's, and is still
	// under way, fails from now on.
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 1); err != nil {
		return fmt.Errorf("lock the terminal: %w", err)
	}
	return nil
}

// maxTyped is more than a terminal's buffers hold.
const maxTyped = 256 << 10

// takeTyped reads all that is there: in raw mode, for else a line that is not
// complete could not be read, and without waiting.
func (s *Surrender) takeTyped() error {
	raw := *s.modes
	raw.Lflag &^= unix.ICANON | unix.ECHO | unix.ISIG | unix.IEXTEN
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(0, unix.TCSETS, &raw); err != nil {
		return err
	}
	if err := unix.SetNonblock(0, true); err != nil {
		return err
	}
	var buf [4 << 10]byte
	for len(s.Typed) < maxTyped {
		n, err := unix.Read(0, buf[:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN || err == nil && n == 0:
			return nil
		case err != nil:
			return err
		default:
			s.Typed = append(s.Typed, buf[:n]...)
		}
	}
	return nil
}

// showTime bounds the wait for sshd to have read what was shown before the
// recorder, the message of the day for one: what is on its way to sshd is lost
// in a hang-up. sshd reads at once, unless its client takes nothing, or a lurker
// writes on and on.
const showTime = 100 * time.Millisecond

func (s *Surrender) awaitShown() {
	for deadline := time.Now().Add(showTime); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		fds := []unix.PollFd{{Fd: int32(s.master), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 0); err == nil && n == 0 { // nor is anything on its way (n_tty_poll)
			return
		}
	}
}

// backTime bounds the wait for a helper of the guard's that has the terminal
// when the guard has ended or is late: it needs it for less than a millisecond.
const backTime = time.Second

// Back makes the terminal the recorder's again, and says whether it was
// revoked: the recorder's own descriptor of before proves it.
func (s *Surrender) Back() (revoked bool, err error) {
	if !s.offered {
		return false, nil
	}
	defer func() {
		_ = unix.IoctlSetPointerInt(s.master, unix.TIOCSPTLCK, 0)
		_ = unix.IoctlSetInt(s.master, unix.TCXONC, unix.TCOON)
		_ = unix.Close(s.master)
		_ = unix.Close(s.old)
	}()
	if s.modes == nil {
		return false, nil
	}
	for deadline := time.Now().Add(backTime); ; time.Sleep(time.Millisecond) {
		if revoked = dead(s.old); revoked {
			err = s.reopen()
			break
		}
		// Another's it stays: it is a terminal all the same, without SIGWINCH.
		if unix.IoctlSetInt(0, unix.TIOCSCTTY, 0) == nil || time.Now().After(deadline) {
			s.goOn()
			break
		}
	}
	if modesErr := unix.IoctlSetTermios(0, unix.TCSETS, s.modes); modesErr != nil {
		err = errors.Join(err, fmt.Errorf("put the terminal's modes back: %w", modesErr))
	}
	return revoked, err
}

// dead says that a terminal's descriptor was hung up. Nothing is written. That a
// write fails is not enough: it does so as well after somebody's open of the
// locked terminal.
func dead(fd int) bool {
	_, err := unix.Write(fd, nil)
	_, ioctlErr := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	return err == unix.EIO && ioctlErr == unix.EIO
}

// goOn uses the terminal as it was. An open that succeeds takes away what an
// open of the locked terminal has left (pty_open).
func (s *Surrender) goOn() {
	_ = unix.SetNonblock(0, false)
	_ = unix.IoctlSetPointerInt(s.master, unix.TIOCSPTLCK, 0)
	if fd, err := openPeer(s.master); err == nil {
		_ = unix.Close(fd)
	}
}

// reopen opens the terminal anew. It is unlocked for as long as that takes.
func (s *Surrender) reopen() error {
	if err := unix.IoctlSetPointerInt(s.master, unix.TIOCSPTLCK, 0); err != nil {
		return fmt.Errorf("unlock the terminal: %w", err)
	}
	tty, err := openPeer(s.master)
	if err != nil {
		return fmt.Errorf("open the terminal anew: %w", err)
	}
	defer unix.Close(tty)
	if err := unix.IoctlSetInt(tty, unix.TIOCEXCL, 0); err != nil {
		return fmt.Errorf("make the terminal exclusive: %w", err)
	}
	var was unix.Stat_t
	if err := unix.Fstat(s.old, &was); err != nil {
		return err
	}
	for fd := range 3 {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Dev == was.Dev && st.Ino == was.Ino {
			if err := unix.Dup3(tty, fd, 0); err != nil {
				return fmt.Errorf("open the terminal anew: %w", err)
			}
		}
	}
	// Who had it before may have stopped its output (tcflow(3)).
	if err := unix.IoctlSetInt(tty, unix.TCXONC, unix.TCOON); err != nil {
		return fmt.Errorf("start the terminal's output: %w", err)
	}
	if err := unix.IoctlSetInt(tty, unix.TIOCSCTTY, 0); err != nil {
		return fmt.Errorf("take the terminal back: %w", err)
	}
	return nil
}

// openPeer opens the slave of a master (ioctl_tty(2), TIOCGPTPEER): without its
// name, and whomever it belongs to.
func openPeer(master int) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// withoutHangup calls f with SIGHUP ignored: a session's leader that gives up
// its terminal is sent one (TIOCNOTTY). Package os/signal has a thread of its
// own for what is one system call, twice.
func withoutHangup(f func() error) error {
	// The kernel's struct sigaction is no longer than this; all zero but for
	// SIG_IGN, which is 1, in the first word.
	var was, ignore [8]uintptr
	ignore[0] = 1
	const maskSize = 8
	set := func(to, old *[8]uintptr) error {
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGHUP), uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(old)), maskSize, 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	}
	if err := set(&ignore, &was); err != nil {
		return err
	}
	return errors.Join(f(), set(&was, &ignore))
}
