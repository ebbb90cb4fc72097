// SPDX-License-Identifier: AGPL-3.0-or-later

package once_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"castgate/packaging/hosttest"
	"castgate/wrap/asciicast"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

// server is a running castgate-once.
type server struct {
	t      *testing.T
	cmd    *exec.Cmd
	port   string
	line   string // the host key
	known  string
	log    string // path of the recording
	stdout *buffer
	stderr *buffer
	done   chan struct{}
}

// buffer can be read while a process writes to it.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// command is a castgate-once that listens on a free port of loopback, with the
// environment of a container.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	hosttest.Install(t)
	cmd := exec.Command("/usr/bin/castgate-once", append([]string{"-listen", "127.0.0.1", "-port", "0"}, args...)...)
	cmd.Env = []string{"HOME=/usr", "SHELL=/bin/bash", "PATH=/usr/bin:/bin", "SECRET=of the task"}
	cmd.Dir = "/"
	return cmd
}

func authorized(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authorized_keys")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// start starts a castgate-once that lets key in and records into a file.
func start(t *testing.T, line string, args ...string) *server {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log.cast")
	s := run(t, command(t, append([]string{"-authorized-keys", authorized(t, line), "-log", log}, args...)...))
	s.log = log
	return s
}

func run(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{t: t, cmd: cmd, stdout: &buffer{}, stderr: &buffer{}, done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = s.stdout
	}
	cmd.Stderr = s.stderr
	cmd.WaitDelay = hosttest.Patience // what a session left behind may hold these
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-s.done
		if t.Failed() {
			said := s.stderr.String()
			t.Logf("castgate-once said:\n%s", said[max(0, len(said)-8<<10):])
		}
	})
	return s
}

// ready waits for the port and the host key.
func (s *server) ready() *server {
	s.t.Helper()
	hosttest.WaitFor(s.t, "castgate-once to listen: "+s.stderr.String(), func() bool {
		_, rest, ok := strings.Cut(s.stderr.String(), "address=127.0.0.1:")
		s.port, _, _ = strings.Cut(rest, " ")
		return ok && strings.Contains(rest, "\n") && strings.Contains(s.stdout.String(), "\n")
	})
	s.line, _, _ = strings.Cut(s.stdout.String(), "\n")
	s.known = filepath.Join(s.t.TempDir(), "known_hosts")
	if err := os.WriteFile(s.known, []byte("[127.0.0.1]:"+s.port+" "+s.line+"\n"), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return s
}

func (s *server) options(key *hosttest.Key) []string {
	return []string{
		"-F", "none", "-o", "IdentityFile=" + key.Path, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
		"-o", "UserKnownHostsFile=" + s.known, "-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes",
		"-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "Port=" + s.port,
	}
}

func (s *server) ssh(key *hosttest.Key, options []string, command ...string) *exec.Cmd {
	args := append(s.options(key), options...)
	return exec.Command("ssh", append(append(args, "anybody@127.0.0.1"), command...)...)
}

// wait waits for castgate-once to end and returns its status.
func (s *server) wait() int {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(hosttest.Patience):
		s.t.Fatalf("castgate-once has not ended:\n%s", s.stderr)
	}
	return s.cmd.ProcessState.ExitCode()
}

// recording is what the log holds.
type recording struct {
	header asciicast.Header
	output string
	input  string
	events map[string][]string
}

func (s *server) recording() recording {
	s.t.Helper()
	f, err := os.Open(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	return parse(s.t, f)
}

func parse(t *testing.T, f io.Reader) recording {
	t.Helper()
	r := hosttest.ParseRecording(t, f)
	if r.Torn {
		t.Fatal("the recording is torn")
	}
	return recording{r.Header, string(r.Output), string(r.Input), r.Events}
}

// Every command has the same outcome as with the stock sshd.
func TestCommandsAsWithSshd(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	user := hosttest.AddUser(t, "parity", "/bin/bash")
	user.Authorize(t, key)
	sshd := hosttest.StartSshd(t, "UsePAM no", "PrintMotd no", "AcceptEnv LANG LC_*")
	for _, tt := range []struct {
		name, command, stdin string
		options              []string
	}{
		{"output and error", "echo out; echo err >&2; exit 7", "", nil},
		{"stdin", "cat; echo end", "hello", nil},
		{"stdin not read", "true", strings.Repeat("x", 1<<20), nil},
		{"half-close", "sort", "b\na\n", nil},
		{"not found", "/no/such/program", "", nil},
		{"binary", `printf '\377\000\376'`, "", nil},
		{"much", "head -c 3000000 /dev/zero | tr '\\0' x", "", nil},
		{"background job", "sleep 0.3 && echo late & echo now", "", nil},
		{"killed", "kill -TERM $$", "", nil},
		{"killed by a signal without a name", "kill -XCPU $$", "", nil},
		{"terminal", "echo hello; tty >/dev/null && echo yes; exit 9", "", []string{"-tt"}},
		{"no terminal", "tty; echo $0", "", []string{"-T"}},
		{"terminal, input", "read x; echo got $x", "a\n", []string{"-tt"}},
		{"terminal, much", "seq 20000", "", []string{"-tt"}},
		{"terminal, killed", "kill -HUP $$", "", []string{"-tt"}},
		{"language", "echo $LANG $LC_TIME $FOO", "", []string{"-o", "SetEnv=LANG=C.UTF-8 LC_TIME=C FOO=bar"}},
		{"shell from stdin", "", "echo $0 $- | tr -d i; exit 3\n", []string{"-T"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			words := []string{}
			if tt.command != "" {
				words = append(words, tt.command)
			}
			want := hosttest.Do(t, sshd.Ssh(key, user.Name, append([]string{"-v"}, tt.options...), words...), strings.NewReader(tt.stdin))
			s := start(t, key.Line).ready()
			got := hosttest.Do(t, s.ssh(key, append([]string{"-v"}, tt.options...), words...), strings.NewReader(tt.stdin))
			if got.Status != want.Status || got.Stdout != want.Stdout || told(got.Stderr) != told(want.Stderr) {
				t.Errorf("got %d %.300q %q\nwant %d %.300q %q", got.Status, got.Stdout, told(got.Stderr), want.Status, want.Stdout, told(want.Stderr))
			}
			status := s.wait()
			rec := s.recording()
			if x := rec.events["x"]; status != want.Status && want.Status != 255 || len(x) != 1 {
				t.Errorf("castgate-once ended with %d, recorded %q", status, x)
			}
			if len(rec.output) != len(got.Stdout)+len(strings.ReplaceAll(quiet(got.Stderr), "\r", "")) && !rec.header.Session.TTY || rec.header.Command != tt.command {
				t.Errorf("recorded %d bytes: %.200q, header %+v", len(rec.output), rec.output, rec.header)
			}
			if rec.header.Session.TTY && rec.output != got.Stdout {
				t.Errorf("recorded %.300q, shown %.300q", rec.output, got.Stdout)
			}
		})
	}
}

// told is what the client says that the server told it, and what the program said.
func told(stderr string) string {
	var kept []string
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "debug1:") || strings.Contains(line, "rtype exit") {
			kept = append(kept, strings.TrimSpace(line))
		}
	}
	slices.Sort(kept) // the two arrive in any order
	return strings.Join(without(kept), "\n")
}

// quiet leaves the client's own lines out.
func quiet(stderr string) string {
	var b strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "debug1:") && len(without([]string{strings.TrimSpace(line)})) > 0 {
			b.WriteString(line)
		}
	}
	return b.String()
}

// without drops what differs between any two runs of ssh -v.
func without(lines []string) []string {
	var out []string
	for _, line := range lines {
		skip := line == ""
		for _, start := range []string{"OpenSSH_", "Authenticated to ", "Transferred: ", "Bytes per second: ", "Connection to ", "Warning: "} {
			skip = skip || strings.HasPrefix(line, start)
		}
		if !skip {
			out = append(out, line)
		}
	}
	return out
}

// The terminal has the modes and the size that the client asked for.
func TestTerminalAsWithSshd(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	user := hosttest.AddUser(t, "modes", "/bin/sh")
	user.Authorize(t, key)
	sshd := hosttest.StartSshd(t)
	s := start(t, key.Line).ready()
	modes := func(cmd *exec.Cmd) string {
		wrapped := exec.Command("sh", append([]string{"-c", `stty -ixon kill ^X eof ^P eol ^A oddp iutf8 -echok; exec "$@"`, "sh"}, cmd.Args...)...)
		x := hosttest.StartTerminal(t, wrapped, 91, 31)
		return x.Wait().Stdout
	}
	const ask = "stty -a; stty speed; echo $TERM"
	want := modes(sshd.Ssh(key, user.Name, []string{"-t", "-q"}, ask))
	got := modes(s.ssh(key, []string{"-t", "-q"}, ask))
	if got != want || !strings.Contains(got, "kill = ^X") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestShell(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	s := start(t, key.Line).ready()
	x := hosttest.StartTerminal(t, s.ssh(key, nil), 100, 30)
	x.Type("echo $0 $SECRET; pwd; stty size; echo $SSH_TTY; tty; echo $SSH_CONNECTION\r")
	x.Expect("-bash of the task")
	x.Expect("/usr\r\n")
	x.Expect("30 100")
	x.Expect("127.0.0.1 " + s.port)
	x.Resize(120, 40)
	x.Type("sleep 0.2; stty size; printf '\\342\\202\\254'\r")
	x.Expect("40 120")
	x.Expect("€")
	x.Type("exit 5\r")
	if got := x.Wait(); got.Status != 5 {
		t.Errorf("the client ended with %d", got.Status)
	}
	if status := s.wait(); status != 5 {
		t.Errorf("status %d", status)
	}
	rec := s.recording()
	h := rec.header.Session
	if h.Mode != "once" || h.Kind != "shell" || !h.TTY || h.Key != key.Fingerprint || h.Client == "" || rec.header.Term.Cols != 100 ||
		rec.events["r"][0] != "120x40" || rec.events["x"][0] != "5" {
		t.Errorf("header %+v %+v, events %q", rec.header, h, rec.events)
	}
	if !strings.Contains(x.Output(), rec.output) || !strings.Contains(rec.input, "stty size; echo $SSH_TTY") {
		t.Errorf("recorded output %q\ninput %q\nshown %q", rec.output, rec.input, x.Output())
	}
	if c, err := net.Dial("tcp", "127.0.0.1:"+s.port); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
}

// What is typed while the terminal doesn't echo is hidden, unless asked for.
func TestPasswordsAreMasked(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	for _, args := range [][]string{nil, {"-log-passwords"}} {
		s := start(t, key.Line, args...).ready()
		x := hosttest.StartTerminal(t, s.ssh(key, nil), 80, 24)
		x.Expect("# ")             // the client has taken its terminal
		x.Type("echo vis''ible\r") // readline: the terminal doesn't echo, the shell does
		x.Expect("visible")
		x.Type("stty -echo; echo Pass''word:; read p; stty echo\r")
		x.Expect("Password:")
		x.Type("s3cret\r")
		x.Expect("# ")
		x.Type("echo got ${#p}\r")
		x.Expect("got 6")
		x.Type("stty -echo -icanon; printf Pass''phrase:; read -d x p; stty sane; echo\r")
		x.Expect("Passphrase:")
		x.Type("starsx")
		x.Expect("# ")
		x.Type("echo re''ady; cat\r")
		x.Expect("ready")
		x.Type("plain line\r")
		x.Expect("plain line\r\nplain line")
		x.Type("\x04exit\r")
		x.Wait()
		s.wait()
		rec := s.recording()
		shown := strings.Contains(rec.input, "s3cret")
		if !strings.Contains(rec.input, "echo vis''ible\r") || !strings.Contains(rec.input, "plain line\r") ||
			shown != (args != nil) || !shown && !strings.Contains(rec.input, "******\r") {
			t.Errorf("%q: recorded %q", args, rec.input)
		}
		if strings.Contains(rec.input, "stars") != shown {
			t.Errorf("%q: at a prompt with stars recorded %q", args, rec.input)
		}
		if all, _ := os.ReadFile(s.log); bytes.Contains(all, []byte("s3cret")) != shown {
			t.Errorf("%q: the log has the password", args)
		}
	}
}

func TestTransfers(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	src := filepath.Join(t.TempDir(), "data")
	data := bytes.Repeat([]byte("0123456789abcdef\xff\x00"), 1<<16)
	if err := os.WriteFile(src, data, 0o600); err != nil {
		t.Fatal(err)
	}
	batch := filepath.Join(t.TempDir(), "batch")
	for _, program := range [][]string{{"scp", "-s"}, {"scp", "-O"}, {"sftp"}, {"rsync"}} {
		dst := filepath.Join(t.TempDir(), "copy")
		s := start(t, key.Line).ready()
		args := append(program[1:], s.options(key)...)
		switch program[0] {
		case "scp":
			args = append(args, "-q", src, "anybody@127.0.0.1:"+dst)
		case "rsync":
			args = []string{"-e", "ssh " + strings.Join(s.options(key), " "), src, "anybody@127.0.0.1:" + dst}
		case "sftp":
			if err := os.WriteFile(batch, []byte("put "+src+" "+dst+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "-q", "-b", batch, "anybody@127.0.0.1")
		}
		if got := hosttest.Do(t, exec.Command(program[0], args...), nil); got.Status != 0 {
			t.Fatalf("%q: %+v", program, got)
		}
		if copied, err := os.ReadFile(dst); err != nil || !bytes.Equal(copied, data) {
			t.Errorf("%q: %v, %d bytes", program, err, len(copied))
		}
		if status := s.wait(); status != 0 {
			t.Errorf("%q: status %d", program, status)
		}
		if rec := s.recording(); len(rec.events["m"]) != 1 || !strings.HasPrefix(rec.events["m"][0], "transfer: in=") || rec.output != "" {
			t.Errorf("%q: events %q, output %q", program, rec.events, rec.output)
		}
	}
}

// A client that is killed ends the session, with a status of its own.
func TestClientGoesAway(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	for _, tt := range []struct {
		name    string
		options []string
		command string
	}{
		{"terminal", []string{"-tt"}, "echo here; sleep 1000"},
		{"deaf", []string{"-tt"}, "trap '' HUP; echo here; sleep 1000"},
		{"pipes", []string{"-T"}, "echo here; sleep 1000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, key.Line).ready()
			x := hosttest.StartTerminal(t, s.ssh(key, tt.options, tt.command), 80, 24)
			x.Expect("here")
			x.Signal(syscall.SIGKILL)
			if status := s.wait(); status != 88 || !strings.Contains(s.stderr.String(), "castgate-once: the remote side went away") {
				t.Errorf("status %d", status)
			}
			if rec := s.recording(); len(rec.events["m"]) != 1 || rec.events["m"][0] != "the client went away" || len(rec.events["x"]) != 1 {
				t.Errorf("events %q", rec.events)
			}
		})
	}
}

func TestStoppedBySignal(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	s := start(t, key.Line).ready()
	hosttest.Run(t, "kill", "-TERM", itoa(s.cmd.Process.Pid))
	if status := s.wait(); status != 143 {
		t.Errorf("before a session: status %d", status)
	}
	if _, err := os.Stat(s.log); err == nil {
		t.Error("an empty log is left")
	}
	s = start(t, key.Line).ready()
	x := hosttest.StartTerminal(t, s.ssh(key, []string{"-tt"}, "echo here; sleep 1000"), 80, 24)
	x.Expect("here")
	hosttest.Run(t, "kill", "-TERM", itoa(s.cmd.Process.Pid))
	if status := s.wait(); status != 143 {
		t.Errorf("in a session: status %d", status)
	}
	if rec := s.recording(); len(rec.events["m"]) != 1 || !strings.HasPrefix(rec.events["m"][0], "stopped by a signal") {
		t.Errorf("events %q", rec.events)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// A shell that can't be run any more is a status, and a message that is recorded.
func TestShellIsGone(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	shell := filepath.Join(t.TempDir(), "shell")
	hosttest.Run(t, "cp", "/bin/dash", shell)
	for _, options := range [][]string{{"-T"}, {"-tt"}} {
		hosttest.Run(t, "cp", "/bin/dash", shell)
		log := filepath.Join(t.TempDir(), "log.cast")
		cmd := command(t, "-authorized-keys", authorized(t, key.Line), "-log", log)
		cmd.Env = append(cmd.Env, "SHELL="+shell)
		s := run(t, cmd).ready()
		s.log = log
		if err := os.Remove(shell); err != nil {
			t.Fatal(err)
		}
		got := hosttest.Do(t, s.ssh(key, options, "echo in"), nil)
		if status := s.wait(); status != 127 || got.Status != 127 || !strings.Contains(got.Stderr+got.Stdout, "no such file") {
			t.Errorf("%q: status %d, got %+v", options, status, got)
		}
		if rec := s.recording(); !strings.Contains(rec.output, "no such file") || rec.events["x"][0] != "127" {
			t.Errorf("%q: recorded %+v", options, rec)
		}
	}
}

// A network that dies without a word ends the session, too.
func TestClientFallsSilent(t *testing.T) {
	hosttest.Slow(t)
	key := hosttest.NewKey(t, "ed25519")
	s := start(t, key.Line).ready()
	x := hosttest.StartTerminal(t, s.ssh(key, []string{"-tt"}, "echo here; sleep 1000"), 80, 24)
	x.Expect("here")
	x.Signal(syscall.SIGSTOP)
	<-s.done
	if status := s.wait(); status != 88 || !strings.Contains(s.stderr.String(), "client does not answer") {
		t.Errorf("status %d", status)
	}
}

// A log that nobody reads stops the session, not the end of castgate-once.
func TestLogIsStuck(t *testing.T) {
	hosttest.Slow(t)
	key := hosttest.NewKey(t, "ed25519")
	fifo := filepath.Join(t.TempDir(), "fifo")
	hosttest.Run(t, "mkfifo", fifo)
	r, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := run(t, command(t, "-authorized-keys", authorized(t, key.Line), "-log", fifo)).ready()
	x := hosttest.StartTerminal(t, s.ssh(key, []string{"-tt"}, "echo here; yes"), 80, 24)
	x.Expect("here")
	shown := 0
	hosttest.WaitFor(t, "the pipe to be full", func() bool {
		time.Sleep(time.Second)
		before := shown
		shown = len(x.Output())
		return shown == before
	})
	x.Signal(syscall.SIGKILL)
	if status := s.wait(); status != 89 || !strings.Contains(s.stderr.String(), "nobody reads it") {
		t.Errorf("status %d", status)
	}
}
