// SPDX-License-Identifier: AGPL-3.0-or-later

package once_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"castgate/packaging/hosttest"
)

// Forwarding of any kind is refused, and the session that asks for it goes on.
func TestNoForwarding(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	for _, tt := range []struct {
		options []string
		command string
		status  int
		out     string
	}{
		{[]string{"-R", "0:127.0.0.1:9"}, "echo in", 0, "in\n"},
		{[]string{"-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:9"}, "echo in", 255, ""},
		{[]string{"-A", "-X"}, "echo in${SSH_AUTH_SOCK}${DISPLAY}", 0, "in\n"},
	} {
		s := start(t, key.Line).ready()
		got := hosttest.Do(t, s.ssh(key, tt.options, tt.command), nil)
		if got.Status != tt.status || got.Stdout != tt.out {
			t.Errorf("%q: got %+v", tt.options, got)
		}
	}
	s := start(t, key.Line).ready()
	got := hosttest.Do(t, s.ssh(key, []string{"-W", "127.0.0.1:9"}), nil)
	if got.Status != 255 || !strings.Contains(got.Stderr, "stdio forwarding failed") {
		t.Errorf("-W: got %+v", got)
	}
	if status := s.wait(); status != 88 || !strings.Contains(s.stderr.String(), "no forwarding") {
		t.Errorf("-W: status %d", status)
	}
}

// A second session of the same connection is refused in words; the first one
// doesn't notice.
func TestControlMaster(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	s := start(t, key.Line).ready()
	socket := filepath.Join(t.TempDir(), "s")
	x := hosttest.StartTerminal(t, s.ssh(key, []string{"-tt", "-M", "-S", socket}), 80, 24)
	x.Expect("# ")
	hosttest.WaitFor(t, "the control socket", func() bool { _, err := os.Stat(socket); return err == nil })
	got := hosttest.Do(t, s.ssh(key, []string{"-S", socket}, "echo second"), nil)
	if got.Status != 255 || got.Stdout != "" {
		t.Errorf("the second session got %+v", got)
	}
	x.Type("echo still''here; exit 4\r")
	x.Expect("stillhere")
	x.Wait()
	if status := s.wait(); status != 4 || !strings.Contains(s.stderr.String(), "second session") {
		t.Errorf("status %d", status)
	}
}

func TestNoSftpServer(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	const program = "/usr/lib/openssh/sftp-server"
	if err := os.Rename(program, program+".away"); err != nil {
		t.Fatal(err)
	}
	defer os.Rename(program+".away", program)
	s := start(t, key.Line).ready()
	got := hosttest.Do(t, s.ssh(key, []string{"-s"}, "sftp"), nil)
	if got.Status != 255 || !strings.Contains(got.Stderr, "subsystem request failed") {
		t.Errorf("got %+v", got)
	}
	if status := s.wait(); status != 88 {
		t.Errorf("status %d", status)
	}
}

// dial is a client that can misbehave.
func (s *server) dial(key *hosttest.Key) (*ssh.Client, error) {
	text, err := os.ReadFile(key.Path)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, err
	}
	host, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.line))
	if err != nil {
		return nil, err
	}
	return ssh.Dial("tcp", "127.0.0.1:"+s.port, &ssh.ClientConfig{
		User: "x", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(host), Timeout: hosttest.Patience,
	})
}

// Signals that the client sends reach the program, with and without a terminal.
func TestSignals(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	for _, tty := range []bool{false, true} {
		s := start(t, key.Line).ready()
		c, err := s.dial(key)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		x, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		var out buffer
		x.Stdout = &out
		if tty {
			if err := x.RequestPty("vt100", 24, 80, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := x.Start(`trap 'echo got usr1' USR1; echo ready; while :; do sleep 0.05; done`); err != nil {
			t.Fatal(err)
		}
		hosttest.WaitFor(t, "the program", func() bool { return strings.Contains(out.String(), "ready") })
		_ = x.Signal(ssh.SIGUSR1)
		hosttest.WaitFor(t, "the signal", func() bool { return strings.Contains(out.String(), "got usr1") })
		_ = x.Signal(ssh.SIGKILL)
		exit, ok := x.Wait().(*ssh.ExitError)
		if !ok || exit.Signal() != "KILL" {
			t.Errorf("ended with %v", exit)
		}
		c.Close()
		if status := s.wait(); status != 137 {
			t.Errorf("status %d", status)
		}
	}
}

// bad are the first bytes of clients that are none.
var bad = map[string]string{
	"http":           "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	"protocol 1":     "SSH-1.5-old\r\n",
	"no newline":     "SSH-2.0-" + strings.Repeat("x", 1<<20),
	"endless banner": strings.Repeat("hello\r\n", 1<<17),
	"huge packet":    "SSH-2.0-x\r\n\xff\xff\xff\xff\x00" + strings.Repeat("\x00", 1<<20),
	"large packet":   "SSH-2.0-x\r\n\x00\x03\xff\xfc\x04\x14" + strings.Repeat("\xff", 1<<18),
	"noise":          "SSH-2.0-x\r\n" + strings.Repeat("\x00\x00\x00\x0c\x0a\x14\xff\xff\xff", 1000),
	"half a hello":   "SSH-2.0",
	"nothing":        "",
}

// A client that speaks nonsense is closed, and the next one gets in.
func TestNonsense(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	s := start(t, key.Line).ready()
	for name, text := range bad {
		c, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer c.Close()
		go func() { _, _ = c.Write([]byte(text)) }()
	}
	s.stillOpens(key)
}

// stillOpens holds that the flood took little memory and that somebody with a
// key gets in.
func (s *server) stillOpens(key *hosttest.Key) {
	s.t.Helper()
	checkMemory(s.t, s)
	if got := hosttest.Do(s.t, s.ssh(key, nil, "echo in"), nil); got.Stdout != "in\n" {
		s.t.Errorf("got %+v", got)
	}
	if status := s.wait(); status != 0 {
		s.t.Errorf("status %d", status)
	}
}

// Connections that say nothing hold more places than there are, and go on
// coming: somebody with a key gets in none the less.
func TestHalfOpenFlood(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	s := start(t, key.Line).ready()
	for range 100 {
		c, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	s.stillOpens(key)
}

// Nor does a flood keep castgate-once alive.
func TestFloodDoesNotStopTheTimeout(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	s := start(t, key.Line, "-timeout", "2s").ready()
	go func() {
		for {
			c, err := net.Dial("tcp", "127.0.0.1:"+s.port)
			if err != nil {
				return
			}
			defer c.Close()
			time.Sleep(time.Millisecond)
		}
	}()
	if status := s.wait(); status != 0 || !strings.Contains(s.stderr.String(), "no authenticated session within 2s") {
		t.Errorf("status %d", status)
	}
}

// Failed attempts cost little memory and do not count against anybody else.
func TestFailedAttempts(t *testing.T) {
	attempts := 200
	if os.Getenv("CASTGATE_TEST_SLOW") == "1" {
		attempts = 10_000
	}
	key, wrong := hosttest.NewKey(t, "ed25519"), hosttest.NewKey(t, "ed25519")
	s := start(t, key.Line).ready()
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range attempts / 8 {
				if c, err := s.dial(wrong); err == nil {
					c.Close()
					t.Error("the wrong key got in")
				}
			}
		})
	}
	clients.Wait()
	checkMemory(t, s)
	hosttest.WaitFor(t, "each refusal in the log", func() bool {
		return strings.Count(s.stderr.String(), "client refused") == attempts
	})
	if got := hosttest.Do(t, s.ssh(key, nil, "echo in"), nil); got.Stdout != "in\n" {
		t.Errorf("got %+v", got)
	}
}

// checkMemory holds castgate-once to 64 MB, whoever knocked.
func checkMemory(t *testing.T, s *server) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	if kb > 64<<10 {
		t.Errorf("castgate-once needed %d kB", kb)
	}
}

// One connection may try a few keys, not all that there are.
func TestTriesPerConnection(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	s := start(t, key.Line).ready()
	var signers []ssh.Signer
	for range 20 {
		text, err := os.ReadFile(hosttest.NewKey(t, "ed25519").Path)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ssh.ParsePrivateKey(text)
		if err != nil {
			t.Fatal(err)
		}
		signers = append(signers, signer)
	}
	_, err := ssh.Dial("tcp", "127.0.0.1:"+s.port, &ssh.ClientConfig{
		User: "x", Auth: []ssh.AuthMethod{ssh.PublicKeys(signers...)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err == nil || !strings.Contains(err.Error(), "too many authentication failures") {
		t.Errorf("got %v", err)
	}
}

// Whoever has got in can't use up the memory either.
func TestFloodOfRequests(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	s := start(t, key.Line).ready()
	c, err := s.dial(key)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	x, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	value := strings.Repeat("v", 1<<10)
	accepted := 0
	for i := range 1000 {
		if x.Setenv(fmt.Sprintf("LC_%d", i), value) == nil {
			accepted++
		}
		if _, _, err := c.OpenChannel("session", nil); err == nil {
			t.Fatal("a second session was accepted")
		}
	}
	if accepted != 128 {
		t.Errorf("%d variables were accepted", accepted)
	}
	if out, err := x.Output("echo in"); err != nil || string(out) != "in\n" {
		t.Errorf("%q, %v", out, err)
	}
}
