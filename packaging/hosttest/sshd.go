// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Sshd is a stock sshd on a loopback port of its own.
type Sshd struct {
	Port    int
	Log     *Log   // what it says (-e); LogLevel VERBOSE unless told
	PID     int    // of the listener; its children are the sessions' monitors
	Conf    string // path of its sshd_config
	known   string // known_hosts for the client
	process *exec.Cmd
	stop    sync.Once
}

// defaults are Debian's, beside what tests need. The first value wins, so that
// the test's own lines, which come before, change them.
const defaults = `UsePAM yes
LogLevel VERBOSE
KbdInteractiveAuthentication no
PasswordAuthentication no
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
MaxStartups 1000
MaxSessions 1000
`

// StartSshd starts sshd with the given sshd_config lines before Debian's
// defaults, and stops it when the test ends. Match blocks come last.
func StartSshd(t testing.TB, lines ...string) *Sshd {
	t.Helper()
	Need(t)
	dir := t.TempDir()
	host := NewKey(t, "ed25519")
	s := &Sshd{Port: freePort(t), Log: &Log{}, Conf: filepath.Join(dir, "sshd_config"), known: filepath.Join(dir, "known_hosts")}
	write(t, s.Conf, sshdConfig(s.Port, host.Path, strings.Join(lines, "\n")))
	write(t, s.known, fmt.Sprintf("[127.0.0.1]:%d %s\n", s.Port, host.Line))
	Run(t, "/usr/sbin/sshd", "-t", "-f", s.Conf)
	s.start(t)
	t.Cleanup(s.Stop)
	return s
}

// sshdConfig orders sshd_config: what is fixed, the test's lines, the defaults,
// then the test's Match blocks, which reach to the end of the file.
func sshdConfig(port int, hostKey, lines string) string {
	fixed := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s\nPidFile none\n", port, hostKey)
	global, match := lines+"\n", ""
	for i := range lines {
		if (i == 0 || lines[i-1] == '\n') && strings.HasPrefix(lines[i:], "Match ") {
			global, match = lines[:i], lines[i:]+"\n"
			break
		}
	}
	rest := ""
	for line := range strings.Lines(defaults) {
		// A second Subsystem is an error and not a second value.
		if word, _, _ := strings.Cut(line, " "); word != "Subsystem" || !strings.Contains(global, "Subsystem ") {
			rest += line
		}
	}
	return fixed + global + rest + match
}

func (s *Sshd) start(t testing.TB) {
	t.Helper()
	s.process = exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", s.Conf)
	// A group of its own, so that Stop ends the sessions' monitors as well.
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.process.Stderr = w
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	s.PID = s.process.Process.Pid
	go func() { s.Log.read(r); r.Close() }()
	WaitFor(t, "sshd to listen", func() bool {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

// Addr is where it listens.
func (s *Sshd) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.Port) }

// Stop ends sshd and whatever it runs in its own process group.
func (s *Sshd) Stop() {
	s.stop.Do(func() {
		_ = syscall.Kill(-s.PID, syscall.SIGKILL)
		_ = s.process.Wait()
	})
}

// Monitors returns the pids of the root processes that hold its connections.
func (s *Sshd) Monitors() []int { return Children(s.PID) }

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
