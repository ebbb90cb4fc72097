// SPDX-License-Identifier: AGPL-3.0-or-later

package once_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"castgate/packaging/hosttest"
)

func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// Each failure has a message and a status of its own.
func TestFaults(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	good := authorized(t, key.Line)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, _ := net.SplitHostPort(busy.Addr().String())
	dir := t.TempDir()
	for _, tt := range []struct {
		name    string
		args    []string
		status  int
		message string
	}{
		{"no keys named", nil, 2, "-authorized-keys is missing"},
		{"unknown flag", []string{"-authorised-keys", good}, 2, "authorised-keys"},
		{"argument", []string{"-authorized-keys", good, "now"}, 2, `argument "now"`},
		{"format", []string{"-authorized-keys", good, "-log-format", "mp4"}, 2, `"mp4"`},
		{"keys missing", []string{"-authorized-keys", dir + "/none"}, 81, "no such file"},
		{"keys unreadable", []string{"-authorized-keys", dir}, 82, "is a directory"},
		{"keys unparsable", []string{"-authorized-keys", authorized(t, key.Line, "ssh-ed25519 AAAA")}, 83, "line 2"},
		{"keys with options that aren't honoured only", []string{"-authorized-keys", authorized(t, "", "cert-authority "+key.Line)}, 83, `line 2: option "cert-authority"`},
		{"keys empty", []string{"-authorized-keys", authorized(t, "# nobody", "")}, 84, "there is no key in it"},
		{"announce not found", []string{"-authorized-keys", good, "-announce", "no-such-program"}, 85, "not found"},
		{"announce missing", []string{"-authorized-keys", good, "-announce", dir + "/none"}, 85, "no such file"},
		{"announce not executable", []string{"-authorized-keys", good, "-announce", write(t, "a", "#!/bin/sh\n", 0o644)}, 85, "permission denied"},
		{"announce with a missing interpreter", []string{"-authorized-keys", good, "-announce", write(t, "a", "#!/no/sh\n", 0o755)}, 85, "no such file"},
		{"announce failed", []string{"-authorized-keys", good, "-announce", write(t, "a", "#!/bin/sh\nexit 7\n", 0o755)}, 86, "exit status 7"},
		{"announce hangs", []string{"-authorized-keys", good, "-timeout", "1s", "-announce", write(t, "a", "#!/bin/sh\nexec sleep 100\n", 0o755)}, 86, "timeout"},
		{"port busy", []string{"-authorized-keys", good, "-port", port}, 87, "address already in use"},
		{"log not writable", []string{"-authorized-keys", good, "-log", dir + "/none/log"}, 89, "no such file"},
		{"log is a recording", []string{"-authorized-keys", good, "-log", good}, 89, "is not empty"},
		{"timeout", []string{"-authorized-keys", good, "-timeout", "100ms"}, 0, "no authenticated session within 100ms"},
		{"timeout in seconds", []string{"-authorized-keys", good, "-timeout", "1"}, 0, "no authenticated session within 1s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := run(t, command(t, tt.args...))
			if status := s.wait(); status != tt.status || !strings.Contains(s.stderr.String(), tt.message) {
				t.Errorf("status %d, want %d and %q", status, tt.status, tt.message)
			}
			if !strings.Contains(s.stderr.String(), "castgate-once: ") {
				t.Error("the message doesn't name the program")
			}
		})
	}
	t.Run("no shell", func(t *testing.T) {
		cmd := command(t, "-authorized-keys", good)
		cmd.Env = append(cmd.Env, "SHELL=/bin/none")
		s := run(t, cmd)
		if status := s.wait(); status != 90 || !strings.Contains(s.stderr.String(), "/bin/none") {
			t.Errorf("status %d", status)
		}
	})
}

func TestHelpAndVersion(t *testing.T) {
	hosttest.Install(t)
	for _, tt := range []struct{ flag, want string }{{"-h", "usage: castgate-once -authorized-keys"}, {"-version", "castgate-once " + hosttest.Version}} {
		s := run(t, command(t, tt.flag))
		if status := s.wait(); status != 0 || !strings.Contains(s.stdout.String(), tt.want) {
			t.Errorf("%s: status %d, %q", tt.flag, status, s.stdout)
		}
	}
}

// The announce command gets the public line as its one argument, the port and
// the environment; what it prints stays off standard output.
func TestAnnounce(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	told := filepath.Join(t.TempDir(), "told")
	script := write(t, "announce", "#!/bin/sh\nprintf '%s|%s|%s|%s' $# \"$1\" $CASTGATE_PORT \"$SECRET\" >"+told+"\necho loud\n", 0o755)
	s := start(t, key.Line, "-announce", script).ready()
	got := hosttest.Do(t, s.ssh(key, nil, "echo $CASTGATE_PORT."), nil)
	if got.Status != 0 || got.Stdout != ".\n" {
		t.Errorf("got %+v", got)
	}
	s.wait()
	text, err := os.ReadFile(told)
	if want := "1|" + s.line + "|" + s.port + "|of the task"; err != nil || string(text) != want {
		t.Errorf("told %q, want %q", text, want)
	}
	if s.stdout.String() != s.line+"\n" || !strings.HasPrefix(s.line, "ssh-ed25519 ") || !strings.Contains(s.stderr.String(), "loud") {
		t.Errorf("standard output %q", s.stdout)
	}
}

func TestKeysFromStdin(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	cmd := command(t, "-authorized-keys", "-", "-log", "/dev/null")
	cmd.Stdin = strings.NewReader(key.Line)
	s := run(t, cmd).ready()
	if got := hosttest.Do(t, s.ssh(key, nil, "cat"), strings.NewReader("mine")); got.Stdout != "mine" {
		t.Errorf("got %+v", got)
	}
	if status := s.wait(); status != 0 {
		t.Errorf("status %d", status)
	}
}

// Every type of key that ssh-keygen makes by default lets its owner in.
func TestKeyTypes(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		key := hosttest.NewKey(t, kind)
		s := start(t, key.Line).ready()
		if got := hosttest.Do(t, s.ssh(key, nil, "echo in"), nil); got.Stdout != "in\n" {
			t.Errorf("%s: got %+v", kind, got)
		}
		s.wait()
	}
}

func TestKeyOptions(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	for _, tt := range []struct {
		options string
		ssh     []string
		command string
		want    string // standard output, or what is refused
	}{
		{`restrict,command="echo forced $SSH_ORIGINAL_COMMAND"`, nil, "echo free", "forced echo free\n"},
		{`command="echo \"a  b\""`, nil, "", "a  b\n"},
		{`environment="A=1",environment="B=x y",environment="A=2"`, nil, `echo "$A $B"`, "1 x y\n"},
		{`no-pty`, []string{"-tt"}, "tty", "no terminal"}, // the client gives up
		{`restrict`, []string{"-tt"}, "tty", "no terminal"},
		{`restrict,pty`, []string{"-tt"}, "test -t 0 && echo tty", "tty\r\n"},
		{`from="127.0.0.0/8"`, nil, "echo in", "in\n"},
		{`from="!127.0.0.1,*"`, nil, "echo in", "refused"},
		{`from="192.0.2.*"`, nil, "echo in", "refused"},
		{`expiry-time="20200101"`, nil, "echo in", "refused"},
		{`expiry-time="29991231Z"`, nil, "echo in", "in\n"},
		{`no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-user-rc`, nil, "echo in", "in\n"},
	} {
		t.Run(tt.options, func(t *testing.T) {
			s := start(t, tt.options+" "+key.Line).ready()
			args := []string{}
			if tt.command != "" {
				args = append(args, tt.command)
			}
			got := hosttest.Do(t, s.ssh(key, tt.ssh, args...), nil)
			refused := strings.Contains(got.Stderr, "Permission denied")
			if strings.Contains(got.Stderr, "PTY allocation request failed") {
				got.Stdout = "no terminal"
			}
			if refused != (tt.want == "refused") || !refused && got.Stdout != tt.want {
				t.Errorf("got %+v", got)
			}
			if !refused {
				s.wait()
				if strings.HasPrefix(tt.options, "restrict,command") && s.recording().events["m"][0] != "the client asked for: echo free" {
					t.Errorf("events %q", s.recording().events)
				}
			}
		})
	}
}

// A line with an unknown option opens nothing; the others do.
func TestRefusedLine(t *testing.T) {
	key, other := hosttest.NewKey(t, "ed25519"), hosttest.NewKey(t, "ed25519")
	s := start(t, "no-such-option "+key.Line+"\n"+other.Line).ready()
	if got := hosttest.Do(t, s.ssh(key, nil, "echo in"), nil); !strings.Contains(got.Stderr, "Permission denied") {
		t.Errorf("got %+v", got)
	}
	if got := hosttest.Do(t, s.ssh(other, nil, "echo in"), nil); got.Stdout != "in\n" {
		t.Errorf("got %+v", got)
	}
	if !strings.Contains(s.stderr.String(), "no-such-option") || !strings.Contains(s.stderr.String(), "line=1") {
		t.Error("nothing says which line was refused")
	}
}

// Standard output is the log by default, and nothing of it is overwritten by
// messages that go to the same file.
func TestLogOnStandardOutput(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	keys := authorized(t, key.Line)
	s := run(t, command(t, "-authorized-keys", keys)).ready()
	hosttest.Do(t, s.ssh(key, nil, "echo in"), nil)
	s.wait()
	line, cast, _ := strings.Cut(s.stdout.String(), "\n")
	if rec := parse(t, strings.NewReader(cast)); line != s.line || rec.output != "in\n" {
		t.Errorf("standard output %q", s.stdout)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "all"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := command(t, "-authorized-keys", keys, "-port", freePort(t))
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	both := &server{t: t, cmd: cmd, port: cmd.Args[len(cmd.Args)-1]}
	hosttest.WaitFor(t, "castgate-once to listen", func() bool {
		text, _ := os.ReadFile(file.Name())
		return strings.Contains(string(text), "msg=listening")
	})
	text, _ := os.ReadFile(file.Name())
	both.known = write(t, "known_hosts", "[127.0.0.1]:"+both.port+" "+strings.SplitN(string(text), "\n", 2)[0]+"\n", 0o644)
	hosttest.Do(t, both.ssh(key, nil, "echo in; sleep 0.1; echo out"), nil)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	text, _ = os.ReadFile(file.Name())
	for _, want := range []string{`{"version":3`, `"o", "in\n"]`, `"o", "out\n"]`, `"x", "0"]`, "session start", "session end"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// A transcript has both sides: a terminal echoes what is typed, else it is
// written down as it comes, and so is the command that was asked for.
func TestRawLog(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	transcript := func(t *testing.T, client func(s *server) hosttest.Result) (log string, got hosttest.Result) {
		s := start(t, key.Line, "-log-format", "raw").ready()
		got = client(s)
		s.wait()
		text, err := os.ReadFile(s.log)
		if err != nil {
			t.Fatal(err)
		}
		return string(text), got
	}
	t.Run("command", func(t *testing.T) {
		const command = `printf '\377\000a\n'`
		log, got := transcript(t, func(s *server) hosttest.Result { return hosttest.Do(t, s.ssh(key, []string{"-tt"}, command), nil) })
		if log != "$ "+command+"\n"+got.Stdout || got.Stdout != "\xff\x00a\r\n" {
			t.Errorf("shown %q, log %q", got.Stdout, log)
		}
	})
	t.Run("shell with a terminal", func(t *testing.T) {
		log, got := transcript(t, func(s *server) hosttest.Result {
			x := hosttest.StartTerminal(t, s.ssh(key, []string{"-tt"}), 80, 24)
			x.Type("echo see''n\r")
			x.Expect("seen")
			x.Type("exit\r")
			return x.Wait()
		})
		if !strings.Contains(got.Stdout, log) || strings.Count(log, "echo see''n") > 2 { // the terminal's echo, and the shell's
			t.Errorf("shown %q, log %q", got.Stdout, log)
		}
	})
	t.Run("shell without", func(t *testing.T) {
		log, got := transcript(t, func(s *server) hosttest.Result {
			return hosttest.Do(t, s.ssh(key, []string{"-T"}), strings.NewReader("echo see''n\n"))
		})
		if got.Stdout != "seen\n" || log != "echo see''n\nseen\n" {
			t.Errorf("shown %q, log %q", got.Stdout, log)
		}
	})
}

// When the log takes no more the session ends, and so does castgate-once.
func TestLogFails(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	s := run(t, command(t, "-authorized-keys", authorized(t, key.Line), "-log", "/dev/full")).ready()
	got := hosttest.Do(t, s.ssh(key, nil, "echo secret"), nil)
	if got.Status != 254 || got.Stdout != "" || !strings.Contains(got.Stderr, "can't be recorded") {
		t.Errorf("got %+v", got)
	}
	if status := s.wait(); status != 89 || !strings.Contains(s.stderr.String(), "no space left") {
		t.Errorf("status %d", status)
	}
	t.Run("limit on its size", func(t *testing.T) { // set by the session itself: it is the same user
		s := start(t, key.Line).ready()
		got := hosttest.Do(t, s.ssh(key, []string{"-tt"}, "prlimit --pid $PPID --fsize=1; echo secret; sleep 1000"), nil)
		if status := s.wait(); status != 89 || strings.Contains(got.Stdout, "secret") || strings.Contains(s.stderr.String(), "goroutine") {
			t.Errorf("status %d, shown %q", status, got.Stdout)
		}
	})
	t.Run("reader goes away", func(t *testing.T) {
		fifo := filepath.Join(t.TempDir(), "fifo")
		hosttest.Run(t, "mkfifo", fifo)
		r, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		s := run(t, command(t, "-authorized-keys", authorized(t, key.Line), "-log", fifo)).ready()
		x := hosttest.StartTerminal(t, s.ssh(key, []string{"-tt"}, "echo here; read x; echo se''cret; sleep 1000"), 80, 24)
		x.Expect("here")
		r.Close()
		x.Type("\r")
		got := x.Wait()
		if status := s.wait(); status != 89 || got.Status != 254 || strings.Contains(got.Stdout, "secret") || !strings.Contains(got.Stdout, "can't be recorded any longer") {
			t.Errorf("status %d, got %+v", status, got)
		}
	})
}
