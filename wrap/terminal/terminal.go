// SPDX-License-Identifier: AGPL-3.0-or-later

package terminal

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"castgate/wrap/rawio"
	"castgate/wrap/record"
)

// readSize is what one read takes; a pty gives at most 4095 bytes at a time
// (n_tty's buffer).
const readSize = 4 << 10

// ahead is how much is read and recorded while the person's terminal is not
// ready for more: neither side waits for the other's every pause. A program
// that is faster is stalled after that, as on any terminal.
const ahead = 64 << 10

// readsInBurst is how often a program that has much to say is read between
// two looks at everything else.
const readsInBurst = 8

// drainAfterExit bounds what is still read after the program has ended: more
// than a pty's buffers hold, so that nothing it wrote is lost, and an end to
// what a background process goes on writing.
const drainAfterExit = 1 << 20

// Terminal runs p on a pty of its own and copies between that and outer.
type Terminal struct {
	Rec   *record.Recorder
	Input string // what of the input is recorded: no, echoed, masked, all
	Typed []byte // what was read of the person's input before
	Outer Outer

	master, slave int
	size          unix.Winsize
	in            []byte // for the program, not yet taken
	out           []byte // for the person, recorded but not yet shown
	inBuf, outBuf []byte
	line          lastLine // what the person is asked
	inputEnded    bool
}

// Open makes the inner pty. Its name is for SSH_TTY.
func (t *Terminal) Open() (name string, err error) {
	m, s, err := openPty()
	if err != nil {
		return "", fmt.Errorf("open a pty: %w", err)
	}
	defer m.Close()
	defer s.Close()
	// Descriptors of our own: pty.Open's are blocking and known to the runtime.
	if t.master, err = dupCloexec(m); err != nil {
		return "", err
	}
	if t.slave, err = dupCloexec(s); err != nil {
		return "", err
	}
	if err := unix.SetNonblock(t.master, true); err != nil {
		return "", err
	}
	if t.Outer.Modes != nil {
		// IUTF8 above all: without it erasing a multi-byte letter leaves half of it.
		if err := unix.IoctlSetTermios(t.slave, unix.TCSETS, t.Outer.Modes); err != nil {
			return "", fmt.Errorf("copy the terminal's modes: %w", err)
		}
	}
	if ws, err := t.Outer.Size(); err == nil {
		t.size = *ws
		_ = unix.IoctlSetWinsize(t.master, unix.TIOCSWINSZ, ws)
	}
	return s.Name(), nil
}

// Run runs p to its end.
func (t *Terminal) Run(p Program) (record.End, error) {
	attr := p.Attr
	attr.Setsid, attr.Setctty, attr.Ctty = true, true, 0
	c, err := p.start([3]int{t.slave, t.slave, t.slave}, &attr)
	if err != nil {
		return record.End{}, err
	}
	t.inBuf, t.outBuf = make([]byte, readSize), make([]byte, ahead) // what is not touched of it takes no memory
	// The slave stays open here: a program that closes its terminal for a moment
	// is not a session that has ended. SIGCHLD says that.
	lost := t.copy(c)
	t.finish(c)
	return c.end, lost
}

// copy moves bytes until the program ends, the client is gone or the session
// must not go on; the last is its error.
func (t *Terminal) copy(c *child) error {
	_ = unix.SetNonblock(t.Outer.In, true)
	_ = unix.SetNonblock(t.Outer.Out, true)
	if c.reap() {
		return nil // it ended before anybody listened for SIGCHLD
	}
	t.typed(t.Typed)
	for {
		fds := t.interest()
		if _, err := rawio.Wait(fds[:]); err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if fds[0].Revents != 0 {
			if done, err := t.woken(c, t.Outer.Wake.take()); done || err != nil {
				return err
			}
		}
		if err := t.fromProgram(fds[1].Revents); err != nil {
			return err
		}
		here := t.fromPerson(fds[2].Revents) && !hungUp(fds[3].Revents)
		if fds[3].Revents&unix.POLLOUT != 0 {
			here = t.show() && here
		}
		if !here {
			c.end.Hangup = true
			return nil
		}
	}
}

func hungUp(revents int16) bool { return revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 }

// interest says what to wait for. Neither side is read while too much of what it
// said has not been taken: a stalled person stalls the program, a little later
// than on a terminal of its own.
func (t *Terminal) interest() [4]unix.PollFd {
	fds := [4]unix.PollFd{
		{Fd: int32(t.Outer.Wake.fd), Events: unix.POLLIN},
		{Fd: int32(t.master)},
		{Fd: int32(t.Outer.In)},
		{Fd: int32(t.Outer.Out)},
	}
	if !t.full() {
		fds[1].Events |= unix.POLLIN
	}
	if len(t.out) > 0 {
		fds[3].Events |= unix.POLLOUT
	}
	if len(t.in) > 0 {
		fds[1].Events |= unix.POLLOUT
	} else {
		fds[2].Events |= unix.POLLIN
	}
	if t.inputEnded {
		fds[2].Fd = -1
	}
	return fds
}

func (t *Terminal) woken(c *child, bits uint32) (done bool, err error) {
	if bits&wakeChild != 0 && c.reap() {
		return true, nil
	}
	if bits&wakeResize != 0 {
		if err := t.resize(); err != nil {
			return true, err
		}
	}
	if bits&wakeSync != 0 {
		if err := t.Rec.Check(); err != nil {
			return true, err
		}
	}
	if bits&wakeSignal != 0 && t.Outer.Signals {
		for _, sig := range t.Outer.Wake.signals() {
			_ = unix.Kill(-c.pid, sig)
		}
	}
	if bits&(wakeHangup|wakeTerm|wakeGone) != 0 {
		c.end.Hangup = true
		return true, nil
	}
	return false, nil
}

func (t *Terminal) resize() error {
	ws, err := t.Outer.Size()
	if err != nil || *ws == t.size {
		return nil // the terminal went away; its hang-up comes next
	}
	t.size = *ws
	if err := t.Rec.Resize(int(ws.Col), int(ws.Row)); err != nil {
		return err
	}
	_ = unix.IoctlSetWinsize(t.master, unix.TIOCSWINSZ, ws)
	return nil
}

// fromProgram records and shows what the program wrote, and gives it what
// waits for it.
func (t *Terminal) fromProgram(revents int16) error {
	if revents&unix.POLLOUT != 0 {
		t.give()
	}
	if revents&unix.POLLIN == 0 {
		return nil
	}
	for range readsInBurst {
		n, err := t.take()
		if err != nil {
			return err
		}
		t.show()
		if n < readSize/2 {
			return nil // all that there was
		}
	}
	return nil
}

// take reads from the program and records what it gets, behind what has not
// been shown yet. Nothing is no error: EAGAIN, or EIO when the program has
// ended and SIGCHLD follows.
func (t *Terminal) take() (n int, err error) {
	p := t.room()
	if p == nil {
		return 0, nil
	}
	n, err = rawio.Read(t.master, p)
	if err != nil || n == 0 {
		return 0, nil
	}
	if err := t.Rec.Output(p[:n]); err != nil {
		return 0, err
	}
	if t.Input == "masked" {
		t.line.add(p[:n])
	}
	t.out = t.out[:len(t.out)+n]
	return n, nil
}

// full says that too much waits to be shown for another read.
func (t *Terminal) full() bool { return len(t.out)+readSize > ahead }

// room returns where the next read goes, nil when there is none.
func (t *Terminal) room() []byte {
	if t.full() {
		return nil
	}
	if len(t.out) == 0 {
		t.out = t.outBuf[:0]
	}
	if cap(t.out)-len(t.out) < readSize {
		t.out = t.outBuf[:copy(t.outBuf, t.out)]
	}
	return t.out[len(t.out):][:readSize]
}

// show writes to the person what has been recorded; false when they are gone.
func (t *Terminal) show() bool {
	for len(t.out) > 0 {
		n, err := rawio.Write(t.Outer.Out, t.out)
		if err != nil {
			return errors.Is(err, unix.EAGAIN)
		}
		t.out = t.out[n:]
	}
	return true
}

// fromPerson records, as far as policy says, and passes on what the person
// typed; false when they are gone.
func (t *Terminal) fromPerson(revents int16) bool {
	if revents&unix.POLLIN == 0 {
		return true
	}
	n, err := rawio.Read(t.Outer.In, t.inBuf)
	if errors.Is(err, unix.EAGAIN) {
		return true
	}
	if err != nil || n == 0 {
		t.inputEnded = true
		return err == nil && !t.Outer.TTY
	}
	// A signal may come after what was typed into the window's new size.
	if t.Outer.TTY && t.resize() != nil {
		t.Outer.Wake.set(wakeSync) // the loop asks again and ends the session
	}
	t.typed(t.inBuf[:n])
	return true
}

func (t *Terminal) typed(in []byte) {
	if p := kept(t.Input, in, t.master, &t.line); p != nil && t.Rec.Input(p) != nil {
		t.Outer.Wake.set(wakeSync) // the loop asks again and ends the session
	}
	t.in = in
	t.give()
}

func (t *Terminal) give() {
	for len(t.in) > 0 {
		n, err := rawio.Write(t.master, t.in)
		if err != nil {
			if !errors.Is(err, unix.EAGAIN) {
				t.in = nil // nobody will read it
			}
			return
		}
		t.in = t.in[n:]
	}
}

// finish takes what the program wrote before it ended and hangs the inner
// terminal up. Where recording has failed, the program is gone before the person
// is waited for, who sees what was recorded until then.
func (t *Terminal) finish(c *child) {
	failed := t.Rec.Refused() != nil
	if c.end.Ended && !failed {
		t.drain()
	}
	unix.Close(t.slave)
	unix.Close(t.master) // SIGHUP for what still runs there
	if failed {
		t.flush()
	}
	if !c.end.Ended {
		c.await(t.Outer.Wake)
	}
}

// drain shows what was recorded last and reads what the program wrote before it
// ended, which is recorded also when nobody is there any longer to see it. Poll
// flushes the kernel's buffers (n_tty_poll), so that nothing readable means
// nothing written.
func (t *Terminal) drain() {
	here := t.flush()
	fds := []unix.PollFd{{Fd: int32(t.master), Events: unix.POLLIN}}
	for total := 0; total < drainAfterExit; {
		if n, err := rawio.Poll(fds, 0); err != nil || n == 0 || fds[0].Revents&unix.POLLIN == 0 {
			return
		}
		if !here {
			t.out = nil
		}
		n, err := t.take()
		if err != nil || n == 0 {
			return
		}
		total += n
		here = here && t.flush()
	}
}

// flush shows everything, however slow the person's terminal is.
func (t *Terminal) flush() bool {
	for len(t.out) > 0 {
		if !t.show() {
			return false
		}
		if len(t.out) == 0 {
			break
		}
		fds := []unix.PollFd{{Fd: int32(t.Outer.Out), Events: unix.POLLOUT}, {Fd: int32(t.Outer.Wake.fd), Events: unix.POLLIN}}
		if _, err := rawio.Block(fds); err != nil || fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
			return false
		}
		if fds[1].Revents != 0 && t.Outer.Wake.take()&(wakeHangup|wakeTerm|wakeGone) != 0 {
			return false
		}
	}
	return true
}
