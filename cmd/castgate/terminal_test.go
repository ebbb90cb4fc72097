// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"castgate/upload/archive/archivetest"
)

const asProgram = "CASTGATE_TEST_AS_PROGRAM"

// TestMain lets the test binary be the program, for tests that need a process.
// Neither looks for the recordings of the machine that it runs on.
func TestMain(m *testing.M) {
	spoolDir, stateDir = "/nonexistent/spool", "/nonexistent/state"
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// onTTY is the program on a terminal.
type onTTY struct {
	t      *testing.T
	master *os.File
	tty    *os.File
	cmd    *exec.Cmd
	before unix.Termios
	chunks chan []byte
	got    bytes.Buffer
}

func startOnTTY(t *testing.T, args ...string) *onTTY {
	t.Helper()
	return startWithPager(t, "cat", args...)
}

func startWithPager(t *testing.T, pager string, args ...string) *onTTY {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	o := &onTTY{t: t, master: master, tty: tty, chunks: make(chan []byte, 1000)}
	t.Cleanup(func() { master.Close(); tty.Close() })
	if err := pty.Setsize(master, &pty.Winsize{Cols: 80, Rows: 24}); err != nil {
		t.Fatal(err)
	}
	o.before = o.modes()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o.cmd = exec.Command(self, args...)
	o.cmd.Env = append(os.Environ(), asProgram+"=1", "TERM=xterm", "PAGER="+pager)
	o.cmd.Stdin, o.cmd.Stdout, o.cmd.Stderr = tty, tty, tty
	o.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			o.chunks <- bytes.Clone(buf[:n])
		}
	}()
	return o
}

func (o *onTTY) modes() unix.Termios {
	o.t.Helper()
	m, err := unix.IoctlGetTermios(int(o.tty.Fd()), unix.TCGETS)
	if err != nil {
		o.t.Fatal(err)
	}
	return *m
}

// expect reads until the output has want, and forgets what came up to it.
func (o *onTTY) expect(want string) {
	o.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if i := bytes.Index(o.got.Bytes(), []byte(want)); i >= 0 {
			o.got.Next(i + len(want))
			return
		}
		select {
		case c := <-o.chunks:
			o.got.Write(c)
		case <-deadline:
			o.t.Fatalf("no %q in %q", want, o.got.Bytes())
		}
	}
}

func (o *onTTY) press(keys string) {
	o.t.Helper()
	if _, err := o.master.WriteString(keys); err != nil {
		o.t.Fatal(err)
	}
}

// ended waits for the program and checks that the terminal is as it was.
func (o *onTTY) ended() {
	o.t.Helper()
	_ = o.cmd.Wait()
	if now := o.modes(); now != o.before {
		o.t.Errorf("terminal modes: before %+v, after %+v", o.before, now)
	}
}

// slow is a recording that takes an hour.
func slow(t *testing.T) string {
	t.Helper()
	out := make([]string, 3600)
	for i := range out {
		out[i] = "tick\r\n"
	}
	out[0], out[1800], out[3599] = "\x1b[?1049hfirst\r\n", "middle\r\n", "last\r\n"
	file := filepath.Join(t.TempDir(), "slow.cast")
	r := archivetest.Recording{User: "u", Host: "h", Start: time.Now(), Output: out}
	if err := os.WriteFile(file, r.Cast(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPlayOnATerminal(t *testing.T) {
	o := startOnTTY(t, "play", slow(t))
	o.expect("first")
	if m := o.modes(); m.Lflag&unix.ICANON != 0 || m.Oflag&unix.OPOST != 0 {
		t.Error("the terminal is not in raw mode")
	}
	o.press(" ")          // pause
	o.press(".")          // step
	o.expect("tick\r\n")  // at 0:01
	o.press("\x1b[A")     // a minute on
	o.expect("\x1b[2J")   // painted anew
	o.expect("tick")      //
	o.press("G")          // to the end
	o.expect("last")      //
	o.expect("\x1b[?47l") // out of the alternate screen
	o.expect("\x1b[?25h") //
	o.ended()
}

func TestPlayGivesTheTerminalBackInEveryKindOfEnd(t *testing.T) {
	file := slow(t)
	for name, end := range map[string]func(o *onTTY){
		"q":       func(o *onTTY) { o.press("q") },
		"ctrl-c":  func(o *onTTY) { o.press("\x03") },
		"SIGTERM": func(o *onTTY) { _ = o.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGINT":  func(o *onTTY) { _ = o.cmd.Process.Signal(syscall.SIGINT) },
		"SIGHUP":  func(o *onTTY) { _ = o.cmd.Process.Signal(syscall.SIGHUP) },
		"SIGQUIT": func(o *onTTY) { _ = o.cmd.Process.Signal(syscall.SIGQUIT) },
	} {
		t.Run(name, func(t *testing.T) {
			o := startOnTTY(t, "play", "-at", "30:10", file)
			o.expect("middle")
			end(o)
			o.expect("\x1b[?47l")
			o.expect("\x1b[?25h")
			o.ended()
		})
	}
}

func TestPlayOfACommandAddsReturns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "command.cast")
	r := archivetest.Recording{User: "u", Host: "h", NoTTY: true, Command: "x", Start: time.Now(), Output: []string{"a\nb\n"}}
	if err := os.WriteFile(file, r.Cast(), 0o600); err != nil {
		t.Fatal(err)
	}
	o := startOnTTY(t, "play", file)
	o.expect("a\r\nb\r\n")
	o.ended()
}

func TestASmallTerminalIsToldAbout(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wide.cast")
	if err := os.WriteFile(file, []byte(`{"version":3,"term":{"cols":200,"rows":50}}`+"\n"+`[0.1, "o", "hello"]`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := startOnTTY(t, "play", file)
	o.expect("of a terminal of 200x50, this one has 80x24")
	o.expect("hello")
	o.ended()
}

func TestFollowALiveSession(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "live"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := archivetest.Recording{User: "u", Host: "h", Start: time.Now(), Output: []string{"first\r\n", "second\r\n"}}
	lines := strings.SplitAfter(string(r.Cast()), "\n")
	f, err := os.Create(filepath.Join(dir, "live", r.ID()+".cast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	write := func(lines ...string) {
		if _, err := f.WriteString(strings.Join(lines, "")); err != nil {
			t.Fatal(err)
		}
	}
	write(lines[:2]...)
	o := startOnTTY(t, "play", "-follow", "-spool", dir, r.ID())
	o.expect("first")
	write(strings.Replace(lines[2], "1.000000", "0.000001", 1))
	o.expect("second")
	write(lines[3:]...)
	f.Close() // the session is over: the lock goes
	o.ended()
}

func TestPager(t *testing.T) {
	f := newFixture(t)
	o := startWithPager(t, "sed 's/^/<&/'", "text", "-config", f.config, f.ids[0])
	o.expect("<[00:01] $ sudo reboot")
	o.expect("<[00:02] bye")
	o.ended()
	o = startWithPager(t, "sed 's/^/<&/'", "ls", "-config", f.config, "-no-pager")
	o.expect("\r\n" + f.ids[2])
	o.ended()
	o = startWithPager(t, "/nonexistent/pager", "ls", "-config", f.config)
	o.expect("can't be run")
	o.ended()
	o = startWithPager(t, "head -1", "ls", "-config", f.config)
	o.expect("ID  ")
	o.ended()
}
