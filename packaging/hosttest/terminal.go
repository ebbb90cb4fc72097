// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// Terminal is a program on a terminal that the test types at and reads.
type Terminal struct {
	t    testing.TB
	cmd  *exec.Cmd
	pty  *os.File
	mu   sync.Mutex
	out  bytes.Buffer
	seen int // how much Expect has gone past
	done chan struct{}
}

// StartTerminal runs cmd on a new terminal of that size. It is killed when
// the test ends.
func StartTerminal(t testing.TB, cmd *exec.Cmd, cols, rows uint16) *Terminal {
	t.Helper()
	if cmd.Env == nil {
		cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	}
	f, tty, err := open(cols, rows)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true // User.Command's ids stay
	err = cmd.Start()
	tty.Close()
	if err != nil {
		t.Fatal(err)
	}
	term := &Terminal{t: t, cmd: cmd, pty: f, done: make(chan struct{})}
	go term.read()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		f.Close()
		<-term.done
	})
	return term
}

// open makes a terminal of that size, with IUTF8 as every terminal program
// sets it: the ssh client passes it on.
func open(cols, rows uint16) (ptmx, tty *os.File, err error) {
	if ptmx, tty, err = pty.Open(); err != nil {
		return nil, nil, err
	}
	modes, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err == nil {
		modes.Iflag |= unix.IUTF8
		err = unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, modes)
	}
	if err == nil {
		err = pty.Setsize(ptmx, &pty.Winsize{Cols: cols, Rows: rows})
	}
	return ptmx, tty, err
}

func (x *Terminal) read() {
	defer close(x.done)
	buf := make([]byte, 32<<10)
	for {
		n, err := x.pty.Read(buf)
		x.mu.Lock()
		x.out.Write(buf[:n])
		x.mu.Unlock()
		if err != nil { // EIO: the last holder of the terminal has gone
			_ = x.cmd.Wait()
			return
		}
	}
}

// Type sends keys as if typed.
func (x *Terminal) Type(keys string) {
	x.t.Helper()
	if _, err := x.pty.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

// Output is all that was shown so far.
func (x *Terminal) Output() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.out.String()
}

// Expect waits until text is shown, after whatever the last Expect found.
func (x *Terminal) Expect(text string) {
	x.t.Helper()
	for end := time.Now().Add(Patience); ; time.Sleep(5 * time.Millisecond) {
		x.mu.Lock()
		at := bytes.Index(x.out.Bytes()[x.seen:], []byte(text))
		if at >= 0 {
			x.seen += at + len(text)
		}
		x.mu.Unlock()
		if at >= 0 {
			return
		}
		if time.Now().After(end) {
			x.t.Fatalf("the terminal never showed %q, but:\n%q", text, x.Output())
		}
	}
}

// Resize changes the window.
func (x *Terminal) Resize(cols, rows uint16) {
	x.t.Helper()
	if err := pty.Setsize(x.pty, &pty.Winsize{Cols: cols, Rows: rows}); err != nil {
		x.t.Fatal(err)
	}
}

// Signal sends a signal to the program itself.
func (x *Terminal) Signal(sig syscall.Signal) { _ = x.cmd.Process.Signal(sig) }

// Wait waits for the program's end and returns its status and what it showed.
func (x *Terminal) Wait() Result {
	x.t.Helper()
	select {
	case <-x.done:
	case <-time.After(Patience):
		x.t.Fatalf("the program on the terminal never ended; it showed:\n%q", x.Output())
	}
	return Result{Stdout: x.Output(), Status: status(x.cmd.ProcessState.Sys().(syscall.WaitStatus))}
}
