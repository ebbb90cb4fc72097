// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build bench

package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// session is a recorder at work: the harness plays sshd and has the master.
type session struct {
	cmd    *exec.Cmd
	master *os.File
	dir    string
}

func begin(t *testing.T, r recorder, command string) *session {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	if err := pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	if r.as != nil {
		if err := slave.Chown(int(r.as.Uid), -1); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("/dev/shm", "bench")
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := r.start(command, dir, slave)
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	return &session{cmd, master, dir}
}

// readAll reads to the end of the session.
func (s *session) readAll() int {
	buf := make([]byte, 64<<10)
	total := 0
	for {
		n, err := s.master.Read(buf)
		total += n
		if err != nil { // EIO: the last holder of the slave is gone
			return total
		}
	}
}

func (s *session) end() *syscall.Rusage {
	_ = s.cmd.Wait()
	s.master.Close()
	usage, _ := s.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return usage
}

func (s *session) clean() { _ = os.RemoveAll(s.dir) }

// awaitText reads until text was seen.
func (s *session) awaitText(text string) ([]byte, error) {
	var seen []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(seen, []byte(text)) {
		n, err := s.master.Read(buf)
		if err != nil {
			return seen, fmt.Errorf("waiting for %q after %q: %w", text, seen, err)
		}
		seen = append(seen, buf[:n]...)
	}
	return seen, nil
}

// throughput is one run: seconds of wall time, of CPU, and bytes in the file.
type throughput struct {
	wall, cpu float64
	file      int64
	missing   int // bytes of the end that were never shown
}

func runThroughput(t *testing.T, r recorder, path string, size int) throughput {
	forget()
	// The marks keep start-up out of the figure.
	s := begin(t, r, "stty -opost; echo BE''GIN; cat "+path+"; echo E''ND")
	defer s.clean()
	seen, err := s.awaitText("BEGIN")
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	start := time.Now()
	n := len(seen) + s.readAll()
	wall := time.Since(start).Seconds()
	usage := s.end()
	if n < size && r.name == ours {
		t.Errorf("%d bytes of %d came through", n, size)
	}
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	got := throughput{wall: wall, cpu: cpu, missing: max(size-n, 0)}
	if info, err := os.Stat(r.recording(s.dir)); err == nil {
		got.file = info.Size()
	}
	return got
}

// runKeys types n keys, gap apart, and returns each round trip in microseconds.
func runKeys(t *testing.T, r recorder, n int, gap time.Duration) []float64 {
	s := begin(t, r, "stty raw -echo; echo RE''ADY; exec cat")
	defer s.clean()
	if _, err := s.awaitText("READY"); err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	time.Sleep(50 * time.Millisecond)
	fd := int(s.master.Fd()) // blocking from here on: the harness shall not wait in Go's poller
	trips := make([]float64, 0, n)
	buf := make([]byte, 256)
	drain(fd, buf)
	for range n {
		time.Sleep(gap)
		start := time.Now()
		_, _ = unix.Write(fd, []byte("x"))
		_, _ = unix.Read(fd, buf)
		trips = append(trips, float64(time.Since(start).Nanoseconds())/1000)
	}
	s.kill()
	return trips
}

func drain(fd int, buf []byte) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		if n, _ := unix.Poll(fds, 20); n <= 0 {
			return
		}
		_, _ = unix.Read(fd, buf)
	}
}

// kill ends the session from outside, as a broken connection would.
// Some recorders leave a process that writes on and on: those go, too.
func (s *session) kill() {
	all := descendants(s.cmd.Process.Pid)
	defer func() {
		for _, pid := range all {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}()
	s.master.Close()
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		_ = s.cmd.Process.Kill()
		<-done
	}
}

// descendants lists the children of pid, and theirs.
func descendants(pid int) []int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	var all []int
	for _, f := range strings.Fields(string(text)) {
		kid, _ := strconv.Atoi(f)
		all = append(append(all, kid), descendants(kid)...)
	}
	return all
}

// runStart returns the milliseconds to the first byte of the inner command.
func runStart(t *testing.T, r recorder) float64 {
	for {
		start := time.Now()
		s := begin(t, r, "echo BE''GIN")
		_, err := s.awaitText("BEGIN")
		ms := float64(time.Since(start).Microseconds()) / 1000
		if err == nil {
			s.readAll()
		}
		s.end()
		s.clean()
		forget()
		if err == nil {
			return ms
		}
		if r.name == ours {
			t.Fatalf("%s: %v", r.name, err)
		}
		t.Logf("%s loses what a short command says: %v", r.name, err)
	}
}

// afterKill is how long what a killed recorder started may still show.
const afterKill = 2 * time.Second

// runKilled kills the recorder in the middle of output and returns how many
// bytes had been shown and are not in its file.
func runKilled(t *testing.T, r recorder, command string, after int) (lost int) {
	forget()
	s := begin(t, r, command)
	defer s.clean()
	shown := 0
	buf := make([]byte, 64<<10)
	killed := false
	for {
		n, err := s.master.Read(buf)
		shown += n
		if !killed && shown >= after {
			rest := descendants(s.cmd.Process.Pid)
			_ = s.cmd.Process.Kill()
			killed = true
			time.AfterFunc(afterKill, func() { // some hold the terminal for ever
				for _, pid := range rest {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			})
		}
		if err != nil {
			break
		}
	}
	_ = s.cmd.Wait()
	s.master.Close()
	return max(shown-r.recorded(s.dir), 0)
}
