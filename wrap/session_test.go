// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

const forced = "ForceCommand exec /usr/bin/castgate-wrap\nSetEnv HOME=/usr/lib/castgate/home"

// host is an sshd whose one account is recorded.
type host struct {
	*hosttest.Sshd
	user *hosttest.User
	key  *hosttest.Key
	log  *hosttest.Log
}

func newHost(t *testing.T, shell string) *host {
	t.Helper()
	hosttest.Install(t)
	h := &host{log: hosttest.StartSyslog(t), key: hosttest.NewKey(t, "ed25519")}
	h.user = hosttest.AddUser(t, "u"+strings.ToLower(strings.Map(letters, t.Name())), shell)
	h.user.Authorize(t, h.key)
	h.Sshd = hosttest.StartSshd(t, forced)
	clear(t)
	return h
}

func letters(r rune) rune {
	if r < 'A' || r > 'z' {
		return -1
	}
	return r
}

func clear(t *testing.T) {
	for _, dir := range []string{"live", "incoming"} {
		files, _ := filepath.Glob("/var/spool/castgate/" + dir + "/*")
		for _, f := range files {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// one waits for the only finished recording and returns it.
func one(t *testing.T) hosttest.Recording {
	t.Helper()
	var files []string
	hosttest.WaitFor(t, "a finished recording", func() bool {
		files, _ = filepath.Glob("/var/spool/castgate/incoming/*.cast")
		return len(files) > 0
	})
	if len(files) != 1 {
		t.Fatalf("%d recordings: %q", len(files), files)
	}
	rec := hosttest.ReadRecording(t, files[0])
	if rec.Torn {
		t.Fatal("the recording is torn")
	}
	clear(t)
	return rec
}

func TestCommand(t *testing.T) {
	h := newHost(t, "/bin/bash")
	for _, tt := range []struct {
		name, command, stdin string
		status               int
		stdout, stderr       string
	}{
		{"output and error", "echo out; echo err >&2; exit 7", "", 7, "out\n", "err\n"},
		{"true", "true", "", 0, "", ""},
		{"stdin", "cat; echo end", "hello", 0, "helloend\n", ""},
		{"not found", "/no/such/program", "", 127, "", "bash: line 1: /no/such/program: No such file or directory\n"},
		{"binary", `printf '\377\000\376'`, "", 0, "\xff\x00\xfe", ""},
		{"background job", "sleep 0.3 && echo late & echo now", "", 0, "now\nlate\n", ""},
		{"home", "echo $HOME $0", "", 0, h.user.Home + " bash\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, tt.command), strings.NewReader(tt.stdin))
			if got.Status != tt.status || got.Stdout != tt.stdout || got.Stderr != tt.stderr {
				t.Errorf("got %d %q %q", got.Status, got.Stdout, got.Stderr)
			}
			rec := one(t)
			if len(rec.Output) != len(tt.stdout)+len(tt.stderr) || tt.stderr == "" && string(rec.Output) != tt.stdout {
				t.Errorf("recorded %q", rec.Output)
			}
			s := rec.Header.Session
			if rec.Header.Command != tt.command || s.Kind != "command" || s.TTY || s.Mode != "setgid" || s.User != h.user.Name || s.Client == "" {
				t.Errorf("header %+v %+v", rec.Header, s)
			}
		})
	}
	for _, line := range []string{"session start", "session end"} {
		if h.log.Find(line, "account="+h.user.Name, "kind=command") == "" {
			t.Errorf("no %q in the log", line)
		}
	}
}

func TestDeathBySignal(t *testing.T) {
	h := newHost(t, "/bin/bash")
	for _, opts := range [][]string{nil, {"-tt"}} {
		got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, append([]string{"-v"}, opts...), "kill -TERM $$"), nil)
		if got.Status != 255 || !strings.Contains(got.Stderr, "exit-signal") {
			t.Errorf("%v: got %d %s", opts, got.Status, got.Stderr)
		}
		if rec := one(t); rec.Events["x"][0] != "143" {
			t.Errorf("recorded %q", rec.Events)
		}
	}
}

// endLurker tries the terminal of sshd until it can be opened, and then stops the
// recorder, whose end would end sshd's session.
const endLurker = `
import os, signal, sys
tty, recorder = sys.argv[1], int(sys.argv[2])
print("watching", flush=True)
while True:
    try: fd = os.open(tty, os.O_RDWR | os.O_NOCTTY)
    except FileNotFoundError: break
    except OSError: continue
    try: os.kill(recorder, signal.SIGSTOP)
    except ProcessLookupError: break
    os.write(fd, b"UNRECORDED\n")
    print("opened", flush=True)
    os.kill(recorder, signal.SIGCONT)
    break
print("over", flush=True)
`

// Between the end of the program and the end of the recorder, which has
// left-overs to end and a file to sync, sshd's terminal is still the person's
// screen.
func TestOuterTerminalStaysClosed(t *testing.T) {
	h := newHost(t, "/bin/bash")
	hosttest.Config(t, "wrap", "leftovers: end\nlimits: {free: 1MiB}\n")
	x := hosttest.StartTerminal(t, h.Ssh(h.key, h.user.Name, nil), 80, 24)
	x.Type("echo re''ady\r")
	x.Expect("ready")
	x.Type("nohup sleep 600 &\r") // the recorder is some time about it
	x.Expect("nohup:")
	recorder := strings.TrimSpace(hosttest.Run(t, "pgrep", "-u", h.user.Name, "-x", "castgate-wrap"))
	outer, err := os.Readlink("/proc/" + recorder + "/fd/0")
	if err != nil {
		t.Fatal(err)
	}
	lurker := hosttest.StartTerminal(t, h.user.Command("/usr/bin/python3", "-c", endLurker, outer, recorder), 80, 24)
	lurker.Expect("watching")
	x.Type("exit\r")
	lurker.Expect("over")
	x.Wait()
	if strings.Contains(lurker.Output(), "opened") {
		t.Errorf("the terminal was open to others; the person saw %q", x.Output())
	}
}

func TestTerminal(t *testing.T) {
	h := newHost(t, "/bin/bash")
	x := hosttest.StartTerminal(t, h.Ssh(h.key, h.user.Name, nil), 100, 30)
	x.Expect("This session is recorded.")
	x.Type("stty size; tty; echo $SSH_TTY\r")
	x.Expect("30 100")
	x.Resize(120, 40)
	x.Type("sleep 0.2; stty size; printf '\\342\\202\\254'\r")
	x.Expect("40 120")
	x.Expect("€")
	x.Type("exit 5\r")
	if got := x.Wait(); got.Status != 5 {
		t.Errorf("status %d", got.Status)
	}
	rec := one(t)
	if !strings.Contains(x.Output(), string(rec.Output)) {
		t.Errorf("shown and recorded differ:\n%q\n%q", x.Output(), rec.Output)
	}
	s := rec.Header.Session
	if !s.TTY || s.Kind != "shell" || rec.Header.Term.Cols != 100 || rec.Events["r"][0] != "120x40" || rec.Events["x"][0] != "5" {
		t.Errorf("header %+v, events %q", rec.Header, rec.Events)
	}
	tty := string(rec.Output[bytes.Index(rec.Output, []byte("/dev/pts/")):])
	tty, _, _ = strings.Cut(tty, "\r")
	if strings.Count(string(rec.Output), tty+"\r\n") != 2 {
		t.Errorf("SSH_TTY is not the inner terminal: %q", rec.Output)
	}
}

// A fast program that writes and ends loses nothing, with and without a terminal.
func TestFastExitLosesNothing(t *testing.T) {
	h := newHost(t, "/bin/sh")
	const rounds = 20 // a thousand of them are in packaging/e2e
	for _, opts := range [][]string{{"-T"}, {"-tt"}} {
		for range rounds {
			got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, append([]string{"-q"}, opts...), "printf %1000s end"), nil)
			rec := one(t)
			if !strings.HasSuffix(got.Stdout, " end") || !strings.HasSuffix(string(rec.Output), got.Stdout) {
				t.Fatalf("%v: shown %d bytes, recorded %d", opts, len(got.Stdout), len(rec.Output))
			}
		}
	}
}

// Git runs programs of the user's for a transfer. What they say through it is
// recorded, or they are not run.
func TestProgramsOfGitAreRecorded(t *testing.T) {
	h := newHost(t, "/bin/bash")
	const hook = "uploadpack.packObjectsHook"
	got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, `git init -q --bare r.git && git init -q w && cd w &&
		git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && git push -q ../r.git HEAD:main &&
		printf '#!/bin/sh\necho HOOK''RAN\n' >../r.git/hooks/pre-receive && chmod +x ../r.git/hooks/pre-receive &&
		git config --global `+hook+` 'touch ~/ran; exec "$@" #'`), nil)
	if got.Status != 0 {
		t.Fatalf("got %d %q", got.Status, got.Stderr)
	}
	one(t)
	remote := "ssh://" + h.user.Name + "@127.0.0.1/~/r.git"
	dir := t.TempDir()
	for _, tt := range []struct {
		what, says string
		args       []string
	}{
		{"git-upload-pack", "", []string{"clone", "-q", "-b", "main", remote, dir}},
		{"git-receive-pack", "HOOKRAN", []string{"-C", dir, "push", "-q", remote, "HEAD:other"}},
	} {
		cmd := exec.Command("git", tt.args...)
		cmd.Env = append(os.Environ(), "GIT_SSH_COMMAND="+h.Shell(h.key), "HOME="+dir)
		if got := hosttest.Do(t, cmd, nil); got.Status != 0 || !strings.Contains(got.Stderr, tt.says) {
			t.Fatalf("%s: got %d %q", tt.what, got.Status, got.Stderr)
		}
		rec := one(t)
		if rec.Header.Session.Kind != "transfer" || !strings.Contains(string(rec.Output), tt.says) || tt.says == "" && len(rec.Output) > 0 {
			t.Errorf("%s: recorded %q as %q", tt.what, rec.Output, rec.Header.Session.Kind)
		}
	}
	if _, err := os.Stat(filepath.Join(h.user.Home, "ran")); err == nil {
		t.Errorf("%s was run", hook)
	}
}

func TestTransferIsRecordedAsFacts(t *testing.T) {
	h := newHost(t, "/bin/bash")
	src := filepath.Join(t.TempDir(), "data")
	data := bytes.Repeat([]byte("0123456789abcdef\xff\x00"), 1<<16)
	if err := os.WriteFile(src, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"-s", "-O"} {
		dst := h.user.Name + "@127.0.0.1:in" + mode
		if got := hosttest.Do(t, h.Transfer("scp", h.key, "-q", mode, src, dst), nil); got.Status != 0 {
			t.Fatalf("scp %s: %s", mode, got.Stderr)
		}
		copied, err := os.ReadFile(filepath.Join(h.user.Home, "in"+mode))
		if err != nil || !bytes.Equal(copied, data) {
			t.Fatalf("scp %s: %v, %d bytes", mode, err, len(copied))
		}
		rec := one(t)
		if len(rec.Events["m"]) != 1 || !strings.HasPrefix(rec.Events["m"][0], "transfer: in=") || len(rec.Output) != 0 {
			t.Errorf("scp %s: events %q, %d bytes of output", mode, rec.Events, len(rec.Output))
		}
	}
}

func TestRefusals(t *testing.T) {
	h := newHost(t, "/bin/bash")
	refused := func(t *testing.T, why string) {
		t.Helper()
		got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, "echo secret"), nil)
		if got.Status != 254 || len(got.Stdout) != 0 || !strings.Contains(got.Stderr, "hint: ") {
			t.Errorf("got %d %q %q", got.Status, got.Stdout, got.Stderr)
		}
		h.log.Wait(t, "session refused", why)
	}
	t.Run("unknown key", func(t *testing.T) {
		hosttest.Config(t, "wrap", "recrod: {}\n")
		refused(t, `key \"recrod\" is not known`)
	})
	t.Run("config that others may write", func(t *testing.T) {
		hosttest.Config(t, "wrap", "")
		if err := os.Chmod("/etc/castgate/wrap.yaml", 0o666); err != nil {
			t.Fatal(err)
		}
		refused(t, "may be written by others than root")
	})
	t.Run("no spool", func(t *testing.T) {
		hosttest.Config(t, "wrap", "spool: /var/spool/none\n")
		refused(t, "systemd-tmpfiles")
	})
	t.Run("spool full", func(t *testing.T) {
		hosttest.Config(t, "wrap", "limits: {free: 1000TiB}\n")
		refused(t, "the spool is full")
	})
	t.Run("not setgid", func(t *testing.T) {
		if err := os.Chmod("/usr/bin/castgate-wrap", 0o755); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod("/usr/bin/castgate-wrap", 0o2755|os.ModeSetgid)
		refused(t, "without its setgid bit")
	})
	t.Run("too large goes no further", func(t *testing.T) {
		hosttest.Config(t, "wrap", "limits: {command_output: 64KiB}\n")
		got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, "yes | head -c 1000000; sleep 60"), nil)
		if got.Status != 254 || len(got.Stdout) > 64<<10 {
			t.Errorf("got %d, %d bytes", got.Status, len(got.Stdout))
		}
		rec := one(t)
		if !(string(rec.Output) == got.Stdout) || !strings.Contains(strings.Join(rec.Events["m"], ""), "size limit") {
			t.Errorf("shown %d, recorded %d, %q", len(got.Stdout), len(rec.Output), rec.Events)
		}
		h.log.Wait(t, "recording lost", "verdict=ended")
	})
	t.Run("allowed", func(t *testing.T) {
		hosttest.Config(t, "wrap", "on_failure: allow\nspool: /var/spool/none\n")
		got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, "echo hello"), nil)
		if got.Status != 0 || got.Stdout != "hello\n" {
			t.Errorf("got %d %q %q", got.Status, got.Stdout, got.Stderr)
		}
		h.log.Wait(t, "session goes on unrecorded")
		got = hosttest.Do(t, h.Ssh(h.key, h.user.Name, []string{"-tt"}, "echo hello"), nil)
		if !strings.Contains(got.Stdout, "this session is not recorded") || strings.Contains(got.Stdout, "This session is recorded.") {
			t.Errorf("on a terminal: %q", got.Stdout)
		}
	})
}

func TestLoginShell(t *testing.T) {
	h := newHost(t, "/usr/bin/castgate-wrap")
	h.Stop()
	h.Sshd = hosttest.StartSshd(t) // no ForceCommand
	hosttest.Config(t, "wrap", "shells: {"+h.user.Name+": /bin/sh}\n")
	got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, "echo $0 $SHELL; exit 3"), nil)
	if got.Status != 3 || got.Stdout != "sh /bin/sh\n" {
		t.Errorf("got %d %q %q", got.Status, got.Stdout, got.Stderr)
	}
	if rec := one(t); rec.Header.Command != "echo $0 $SHELL; exit 3" {
		t.Errorf("header %+v", rec.Header)
	}
	out := hosttest.Run(t, "su", "-", h.user.Name, "-c", "id -g; grep ^Gid /proc/self/status; echo $0")
	if !strings.HasSuffix(strings.TrimSpace(out), "sh") || strings.Count(out, strings.Fields(out)[0]) < 5 {
		t.Errorf("su got %q", out)
	}
	// Inside a session su(1) without a dash keeps what sshd has set.
	out = hosttest.Run(t, "env", "SSH_CONNECTION=192.0.2.1 1 192.0.2.2 22", "su", h.user.Name, "-c", "echo $0 ${CASTGATE_SESSION-plain}")
	if out != "sh plain\n" {
		t.Errorf("su inside a session got %q", out)
	}
	out = hosttest.Run(t, "env", "SSH_CONNECTION=192.0.2.1 1 192.0.2.2 22", "SSH_ORIGINAL_COMMAND=echo evil", "sh", "-c", "echo 'echo $0 ${CASTGATE_SESSION-plain}' | su "+h.user.Name)
	if out != "sh plain\n" {
		t.Errorf("su for a shell got %q", out)
	}
	for _, sudo := range [][]string{
		{"sudo", "-i", "-u", h.user.Name, "env"},
		{"sudo", "-u", h.user.Name, "env"},
		{"env", "SSH_CONNECTION=192.0.2.1 1 192.0.2.2 22", "sudo", "--preserve-env=SSH_CONNECTION", "-i", "-u", h.user.Name, "env"},
	} {
		if out := hosttest.Run(t, sudo...); !strings.Contains(out, "USER="+h.user.Name+"\n") || strings.Contains(out, "CASTGATE_SESSION") {
			t.Errorf("%q got %q", sudo, out)
		}
	}
	if files, _ := filepath.Glob("/var/spool/castgate/*/*.cast"); len(files) != 0 {
		t.Errorf("su or sudo was recorded: %q", files)
	}
}

// What is killed has recorded all that was shown.
func TestKilledRecorder(t *testing.T) {
	h := newHost(t, "/bin/bash")
	x := hosttest.StartTerminal(t, h.Ssh(h.key, h.user.Name, nil), 80, 24)
	x.Expect("recorded")
	x.Type("for i in $(seq 1000); do echo line $i; done; echo R''EADY\r")
	x.Expect("READY")
	hosttest.Run(t, "pkill", "-KILL", "-x", "-u", h.user.Name, "castgate-wrap")
	x.Wait()
	files, _ := filepath.Glob("/var/spool/castgate/live/*.cast")
	if len(files) != 1 {
		t.Fatalf("recordings: %q", files)
	}
	rec := hosttest.ReadRecording(t, files[0]) // it may be torn
	shown := strings.ReplaceAll(x.Output(), "\x00", "")
	if i := strings.Index(shown, "READY"); i < 0 || !strings.Contains(string(rec.Output), "line 1000\r\nREADY") {
		t.Errorf("recorded %q", rec.Output)
	}
	clear(t)
}

// A recorder run by hand inside a session, with a forged connection, is
// recorded as what it is, with and without the claim of its environment.
func TestRunByHandIsNested(t *testing.T) {
	h := newHost(t, "/bin/bash")
	for _, unset := range []string{"", "-u CASTGATE_SESSION"} {
		command := "env " + unset + " SSH_CONNECTION='203.0.113.9 1 203.0.113.1 22' SSH_ORIGINAL_COMMAND='echo inner' castgate-wrap; echo outer"
		if got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, command), nil); got.Stdout != "inner\nouter\n" {
			t.Errorf("got %q %q", got.Stdout, got.Stderr)
		}
		files, _ := filepath.Glob("/var/spool/castgate/incoming/*.cast")
		if len(files) != 2 {
			t.Fatalf("%d recordings", len(files))
		}
		outer, inner := hosttest.ReadRecording(t, files[0]), hosttest.ReadRecording(t, files[1])
		if outer.Header.Session.Nested || !inner.Header.Session.Nested {
			t.Errorf("nested: %v %v", outer.Header.Session.Nested, inner.Header.Session.Nested)
		}
		if unset == "" && inner.Header.Session.Parent != outer.Header.Session.ID {
			t.Errorf("parent %q, want %q", inner.Header.Session.Parent, outer.Header.Session.ID)
		}
		clear(t)
	}
}

// What is typed with echo off is in no recording unless policy wants it all.
func TestInputPolicy(t *testing.T) {
	h := newHost(t, "/bin/sh")
	for _, tt := range []struct {
		policy         string
		echoed, secret bool
	}{{"no", false, false}, {"echoed", true, false}, {"all", true, true}} {
		hosttest.Config(t, "wrap", "record: {input: \""+tt.policy+"\"}\n")
		x := hosttest.StartTerminal(t, h.Ssh(h.key, h.user.Name, nil), 80, 24)
		x.Expect("$")
		x.Type("read a; stty -echo; echo R''EADY; read b; stty echo; echo D''ONE\r")
		x.Type("visible-text\r")
		x.Expect("READY")
		x.Type("hunter2-secret\r")
		x.Expect("DONE")
		x.Type("exit\r")
		x.Wait()
		files, _ := filepath.Glob("/var/spool/castgate/incoming/*.cast")
		text, _ := os.ReadFile(files[0])
		typed := string(one(t).Input)
		if strings.Contains(typed, "visible-text") != tt.echoed || strings.Contains(typed, "hunter2-secret") != tt.secret {
			t.Errorf("%s: recorded input %q", tt.policy, typed)
		}
		if !tt.secret && bytes.Contains(text, []byte("hunter2")) {
			t.Errorf("%s: the secret is in the file", tt.policy)
		}
	}
}

func TestSessionsPerUser(t *testing.T) {
	h := newHost(t, "/bin/sh")
	hosttest.Config(t, "wrap", "limits: {sessions_per_user: 2}\n")
	var open []*hosttest.Terminal
	for range 2 {
		x := hosttest.StartTerminal(t, h.Ssh(h.key, h.user.Name, nil), 80, 24)
		x.Expect("$")
		open = append(open, x)
	}
	if got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, "true"), nil); got.Status != 254 {
		t.Errorf("the third session: %d", got.Status)
	}
	h.log.Wait(t, "session refused", "limits.sessions_per_user is 2")
	for _, x := range open {
		x.Type("exit\r")
		x.Wait()
	}
	if got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, "true"), nil); got.Status != 0 {
		t.Errorf("after they ended: %d", got.Status)
	}
}
