// SPDX-License-Identifier: AGPL-3.0-or-later

package guard_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"castgate/packaging/hosttest"
	"castgate/wrap/guard"
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "recorder" {
		os.Exit(recorder())
	}
	if len(os.Args) == 2 && os.Args[1] == guard.Revoker { // of a guard in a test
		signal.Ignore(syscall.SIGHUP)
		if err := guard.ServeRevoker(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	hosttest.Main(m)
}

// recorderPath is where the tests put a recorder of their own: this test
// binary, owned and set-id like castgate-wrap.
const recorderPath = "/usr/bin/recorder"

// recorder tells the guard about itself, prints the facts and runs what the
// client asked for. LEFTOVERS comes from the test's sshd.
func recorder() int {
	id, err := os.ReadFile("/proc/sys/kernel/random/uuid")
	if err != nil {
		return 99
	}
	conn, err := guard.Connect(guard.Socket, 5*time.Second)
	if err != nil {
		fmt.Println("recorder:", err)
		return 98
	}
	tty := -1
	if os.Getenv("SSH_TTY") != "" {
		tty = 0
	}
	policy := os.Getenv("LEFTOVERS")
	if policy == "" {
		policy = guard.Keep
	}
	session := strings.TrimSpace(string(id))
	var outer guard.Surrender
	give := outer.Give
	if os.Getenv("KILLED") != "" {
		give = func(master int) error {
			_ = outer.Give(master)
			return unix.Kill(os.Getpid(), unix.SIGKILL)
		}
	}
	facts, err := conn.Hello(guard.Hello{Session: session, Leftovers: policy}, tty, give)
	revoked, backErr := outer.Back()
	if err == nil && revoked != facts.TTYRevoked {
		backErr = fmt.Errorf("revoked %v, facts %+v", revoked, facts)
	}
	if err = errors.Join(err, backErr); err != nil {
		fmt.Println("recorder:", err)
		return 97
	}
	text, _ := json.Marshal(struct {
		PID     int
		Session string
		guard.Facts
	}{os.Getpid(), session, facts})
	fmt.Printf("FACTS %s\r\n", text)
	command := os.Getenv("SSH_ORIGINAL_COMMAND")
	if len(os.Args) == 3 && os.Args[1] == "-c" {
		command = os.Args[2]
	}
	cmd := osexec.Command("/bin/sh", "-c", command)
	if command == "" {
		cmd = osexec.Command("/bin/sh", "-i")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{
		Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid()), NoSetGroups: true,
	}}
	cmd.ExtraFiles = leak(conn)
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	if tty == 0 {
		return onTerminal(cmd, outer.Typed)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode()
}

// onTerminal runs cmd on a terminal of its own.
func onTerminal(cmd *osexec.Cmd, typed []byte) int {
	inner, err := pty.Start(cmd)
	if err != nil {
		fmt.Println("recorder:", err)
		return 96
	}
	go func() { _, _ = io.Copy(inner, io.MultiReader(bytes.NewReader(typed), os.Stdin)) }()
	_, _ = io.Copy(os.Stdout, inner) // EIO at the end
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

// told is what a recorder printed.
type told struct {
	PID     int
	Session string
	guard.Facts
}

// facts finds what the n-th recorder in text printed.
func facts(t *testing.T, text string, n int) told {
	t.Helper()
	for line := range strings.Lines(text) {
		_, after, ok := strings.Cut(line, "FACTS ")
		if !ok {
			continue
		}
		if n--; n > 0 {
			continue
		}
		var f told
		if err := json.NewDecoder(strings.NewReader(after)).Decode(&f); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		return f
	}
	t.Fatalf("no facts in %q", text)
	return told{}
}

// host is a throwaway host with the guard, a recorder and one account.
type host struct {
	*hosttest.Sshd
	log   *hosttest.Log
	user  *hosttest.User
	key   *hosttest.Key
	guard *hosttest.Guard
}

// start makes one; lines are sshd's configuration, the forced command among it.
func start(t *testing.T, shell string, lines ...string) host {
	t.Helper()
	hosttest.Install(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "install", "-o", "root", "-g", "castgate", "-m", "2755", self, recorderPath)
	h := host{log: hosttest.StartSyslog(t), guard: hosttest.StartGuard(t)}
	h.user = hosttest.AddUser(t, "alice", shell)
	h.key = hosttest.NewKey(t, "ed25519")
	h.user.Authorize(t, h.key)
	h.Sshd = hosttest.StartSshd(t, lines...)
	return h
}

const forced = "ForceCommand exec " + recorderPath

func (h host) do(t *testing.T, options []string, command ...string) hosttest.Result {
	t.Helper()
	return hosttest.Do(t, h.Ssh(h.key, "alice", options, command...), nil)
}

func exec(args ...string) *osexec.Cmd { return osexec.Command(args[0], args[1:]...) }

// runs says whether a process of root's with this command line runs.
func runs(words string) bool {
	return osexec.Command("pgrep", "-u", "root", "-x", "-f", words).Run() == nil
}

// running says whether a process of alice's with this command line runs.
func running(words string) bool {
	return osexec.Command("pgrep", "-u", "alice", "-f", words).Run() == nil
}

func TestDirectChildOfSSHD(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
	x.Expect("FACTS")
	x.Expect("\n")
	f := facts(t, x.Output(), 1)
	if f.Standing != guard.Direct || len(f.Between) != 0 || f.Nested != "" {
		t.Errorf("facts %+v", f)
	}
	if m := h.Monitors(); len(m) != 1 || m[0] != f.MonitorPID {
		t.Errorf("monitor %d, sshd has %v", f.MonitorPID, m)
	}
	if want := strings.TrimSpace(read(t, fmt.Sprintf("/proc/%d/sessionid", f.PID))); strconv.FormatUint(uint64(f.Audit), 10) != want {
		t.Errorf("audit %d, the kernel says %s", f.Audit, want)
	}
	h.log.Wait(t, "castgate-guard", f.Session, "standing=direct")
	x.Type("exit 7\n")
	if r := x.Wait(); r.Status != 7 {
		t.Errorf("status %d", r.Status)
	}
	h.log.Wait(t, "session ended", f.Session)
}

func TestOuterTerminalIsRoots(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
	x.Expect("FACTS")
	x.Type("stat -c 'own''er %U %a' $SSH_TTY; (: >$SSH_TTY) 2>/dev/null || echo refu''sed\n")
	x.Expect("owner root 600")
	x.Expect("refused")
	if f := facts(t, x.Output(), 1); !f.TTYTaken || !f.TTYRevoked || f.Doubt != "" || len(f.Holders) != 0 || f.Refuse != "" {
		t.Errorf("facts %+v", f)
	}
}

func TestShellThatStaysIsNamed(t *testing.T) {
	h := start(t, "/bin/dash", "ForceCommand "+recorderPath)
	f := facts(t, h.do(t, nil, "true").Stdout, 1)
	if f.Standing != guard.Behind || strings.Join(f.Between, " ") != "dash" {
		t.Errorf("facts %+v", f)
	}
}

func TestForgedRunIsNested(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	out := h.do(t, nil, "true; env -i SSH_CONNECTION='6.6.6.6 6 6.6.6.6 22' "+recorderPath+" -c true; (setsid "+recorderPath+" -c true)").Stdout
	outer := facts(t, out, 1)
	for n := 2; n <= 3; n++ {
		f := facts(t, out, n)
		if f.Standing != guard.Nested || f.Nested != outer.Session || f.MonitorPID != outer.MonitorPID || f.TTYTaken {
			t.Errorf("run %d: %+v", n, f)
		}
	}
}

func TestUnrecordedParentsAreNamed(t *testing.T) {
	h := start(t, "/bin/bash") // nothing is forced: this is a plain shell
	f := facts(t, h.do(t, nil, "bash -c '"+recorderPath+" -c true; true'; true").Stdout, 1)
	if f.Standing != guard.Behind || strings.Join(f.Between, " ") != "bash bash" {
		t.Errorf("facts %+v", f)
	}
}

// TestManyParents: however many there are, the line of the log stays one that
// can be read.
func TestManyParents(t *testing.T) {
	h := start(t, "/bin/bash")
	const many = 40
	command := strings.Repeat("(", many) + recorderPath + " -c true" + strings.Repeat("; true)", many)
	f := facts(t, h.do(t, nil, command+"; true").Stdout, 1)
	if f.Standing != guard.Behind {
		t.Errorf("facts %+v", f)
	}
	line := h.log.Wait(t, "castgate-guard", "standing=behind", f.Session)
	if n := strings.Count(line, "bash"); n != len(f.Between) {
		t.Errorf("%d of them in %q", n, line)
	}
}

func TestOutside(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	r := hosttest.Do(t, h.user.Command(recorderPath, "-c", "true"), nil)
	if f := facts(t, r.Stdout, 1); f.Standing != guard.Outside || f.MonitorPID != 0 {
		t.Errorf("facts %+v", f)
	}
	// A person's own sshd is not root's, whatever its name.
	h.user.Write(t, "ssh/sshd_config", strings.Join([]string{
		"Port 2299", "HostKey " + h.user.Home + "/ssh/key", "PidFile none", "UsePAM no", "StrictModes no",
		"AuthorizedKeysFile " + h.user.Home + "/.ssh/authorized_keys", "ForceCommand exec " + recorderPath,
	}, "\n"))
	hosttest.Do(t, h.user.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "ssh/key"), nil)
	client := h.user.Command("ssh", "-F", "none", "-i", "id", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "ProxyCommand=/usr/sbin/sshd -i -f ssh/sshd_config", "alice@nowhere", "true")
	hosttest.Run(t, "install", "-o", "alice", "-m", "600", h.key.Path, h.user.Home+"/id")
	r = hosttest.Do(t, client, nil)
	if f := facts(t, r.Stdout+r.Stderr, 1); f.Standing != guard.Outside {
		t.Errorf("own sshd: %+v", f)
	}
}

func TestOnlyTheRecorderMayCall(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	hosttest.Run(t, "mkdir", "-p", "/opt/copy")
	hosttest.Run(t, "cp", recorderPath, "/opt/copy/recorder")
	r := hosttest.Do(t, h.user.Command("/opt/copy/recorder", "-c", "true"), nil)
	if !strings.Contains(r.Stdout, "permission denied") {
		t.Errorf("a plain copy got %q", r.Stdout)
	}
	hosttest.Run(t, "usermod", "-a", "-G", "castgate", "alice") // an administrator's mistake
	cmd := osexec.Command("setpriv", "--reuid", "alice", "--regid", "alice", "--init-groups", "/opt/copy/recorder", "-c", "true")
	if r := hosttest.Do(t, cmd, nil); !strings.Contains(r.Stdout, "ask guard: ") {
		t.Errorf("a member of the group got %q", r.Stdout)
	}
	h.log.Wait(t, "refused", "the peer is not the recorder")
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFourCapabilities(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	hosttest.WaitFor(t, "the guard to confine itself", func() bool {
		return strings.Contains(read(t, fmt.Sprintf("/proc/%d/cmdline", h.guard.PID)), "castgate-guard") &&
			strings.Contains(read(t, fmt.Sprintf("/proc/%d/status", h.guard.PID)), "CapAmb:\t0000000000000000")
	})
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", h.guard.PID))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("threads %v, %v", tasks, err)
	}
	const (
		four  = "0000000004080021" // 0 CHOWN, 5 KILL, 19 SYS_PTRACE, 26 SYS_TTY_CONFIG
		three = "0000000000080021" // the last is the helpers'
	)
	for _, task := range tasks {
		in := bufio.NewScanner(strings.NewReader(read(t, task)))
		for in.Scan() {
			name, value, _ := strings.Cut(in.Text(), ":")
			want, ok := map[string]string{
				"CapInh": "0000000000000000", "CapAmb": "0000000000000000",
				"CapPrm": four, "CapEff": three, "CapBnd": four, "NoNewPrivs": "1",
			}[name]
			if value = strings.TrimSpace(value); ok && value != want {
				t.Errorf("%s: %s is %s", task, name, value)
			}
			if name == "Uid" && strings.HasPrefix(value, "0") {
				t.Errorf("%s: runs as root", task)
			}
		}
	}
}

// TestHelpersCapability: a helper can hang terminals up, and nothing else.
func TestHelpersCapability(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	var helper string
	hosttest.WaitFor(t, "a helper that has confined itself", func() bool {
		out, _ := exec("pgrep", "-P", strconv.Itoa(h.guard.PID)).Output() // status 1: none
		if helper = strings.TrimSpace(string(out)); helper == "" {
			return false
		}
		return strings.Contains(read(t, "/proc/"+helper+"/status"), "CapAmb:\t0000000000000000")
	})
	status := read(t, "/proc/"+helper+"/status")
	for _, want := range []string{"CapPrm:\t0000000004000000", "CapEff:\t0000000004000000", "CapInh:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(status, want) {
			t.Errorf("the helper's status has no %q:\n%s", want, status)
		}
	}
}

const program = "/usr/lib/castgate/castgate-guard"

// TestListen: without systemd it makes its socket itself, as root, and keeps no
// more than the four capabilities either.
func TestListen(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	h.guard.Stop()
	cmd := exec(program, "-listen", guard.Socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	hosttest.WaitFor(t, "the guard to confine itself", func() bool {
		return strings.Contains(read(t, fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)), "CapEff:\t0000000000080021")
	})
	if mode := hosttest.Run(t, "stat", "-c", "%U:%G %a", guard.Socket); mode != "root:castgate 660\n" {
		t.Errorf("the socket is %s", mode)
	}
	x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}, "true"), 80, 24)
	if f := facts(t, x.Wait().Stdout, 1); f.Standing != guard.Direct || !f.TTYTaken {
		t.Errorf("facts %+v", f)
	}
}

func TestCommandLine(t *testing.T) {
	hosttest.Install(t)
	for _, tt := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"-version"}, 0, "castgate-guard " + hosttest.Version},
		{[]string{"-h"}, 0, "usage: castgate-guard"},
		{[]string{"--help"}, 0, "usage: castgate-guard"},
		{[]string{"bogus"}, 2, `unexpected argument "bogus"`},
		{[]string{"-bogus"}, 2, "hint: castgate-guard -h lists the flags"},
		{nil, 1, "hint: systemctl start castgate-guard.socket"},
		{[]string{"-listen", "/no/such/dir/s"}, 1, "no such file or directory"},
		{[]string{"-group", "nosuchgroup", "-listen", "/tmp/s"}, 1, "nosuchgroup"},
	} {
		r := hosttest.Do(t, exec(append([]string{program}, tt.args...)...), nil)
		if r.Status != tt.status || !strings.Contains(r.Stdout+r.Stderr, tt.says) {
			t.Errorf("%q: %+v", tt.args, r)
		}
	}
	// Somebody who is not root can't start it.
	alice := hosttest.AddUser(t, "alice", "/bin/bash")
	if r := hosttest.Do(t, alice.Command(program, "-listen", alice.Home+"/s", "-group", "alice"), nil); r.Status != 1 || !strings.Contains(r.Stderr, "capabilities 0x4080021 are missing") {
		t.Errorf("as alice: %+v", r)
	}
}
