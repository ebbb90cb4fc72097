// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
	"castgate/wrap/asciicast"
)

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "naive":
		os.Exit(naive())
	case "lurker":
		os.Exit(lurk(os.Args[1], os.Args[2]))
	}
	hosttest.Main(m)
}

// door is a way to record the sessions of an account.
type door struct {
	name       string
	castgate   bool
	loginShell bool
	noGuard    bool
}

var (
	plainDoor = door{name: "naive recorder"}
	forceDoor = door{name: "ForceCommand", castgate: true}
	shellDoor = door{name: "login shell", castgate: true, loginShell: true}
	aloneDoor = door{name: "ForceCommand without the guard", castgate: true, noGuard: true}
	doors     = []door{plainDoor, forceDoor, shellDoor, aloneDoor}
)

// world is a throwaway host with one such door and one account behind it.
type world struct {
	server *hosttest.Sshd
	testing.TB
	door  door
	shell string // the account's real one
	user  *hosttest.User
	key   *hosttest.Key
	log   *hosttest.Log
}

// options are what an attack needs of its world.
type options struct {
	shell string   // the account's real shell; bash
	sshd  []string // lines before the door's own
	wrap  string   // more lines of wrap.yaml
}

// account is the recorded user.
const account = "mallory"

func newWorld(t *testing.T, d door, o options) *world {
	t.Helper()
	hosttest.Install(t)
	w := &world{TB: t, door: d, shell: o.shell, log: hosttest.StartSyslog(t), key: hosttest.NewKey(t, "ed25519")}
	if w.shell == "" {
		w.shell = "/bin/bash"
	}
	passwd := w.shell
	if d.loginShell {
		passwd = "/usr/bin/castgate-wrap"
	}
	clear(t)
	w.user = hosttest.AddUser(t, account, passwd)
	w.user.Authorize(t, w.key)
	lines := o.sshd
	if d.castgate {
		config := fmt.Sprintf("leftovers: end\nshells: {%s: %s}\nlimits: {free: 1MiB}\n%s", account, w.shell, o.wrap)
		if strings.Contains(o.wrap, "limits:") {
			config = strings.Replace(config, "limits: {free: 1MiB}\n", "", 1)
		}
		hosttest.Config(t, "wrap", config)
		if !d.noGuard {
			hosttest.StartGuard(t)
		}
		lines = append(lines, snippet(t)...)
	} else {
		installNaive(t)
		lines = append(lines, "ForceCommand "+naivePath)
	}
	if d.castgate && !d.loginShell {
		withoutUserEnvironment(t)
	}
	w.server = hosttest.StartSshd(t, lines...)
	return w
}

// snippet is the shipped one, but for who gets in.
func snippet(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../ssh/10-castgate.conf.example")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "Match") {
			break
		}
		if !strings.HasPrefix(line, "AuthorizedKeys") && !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// withoutUserEnvironment does to PAM what `castgate enable` does.
func withoutUserEnvironment(t *testing.T) {
	t.Helper()
	const stack = "/etc/pam.d/sshd"
	before, err := os.ReadFile(stack)
	if err != nil {
		t.Fatal(err)
	}
	after := bytes.ReplaceAll(before, []byte(" user_readenv=1"), nil)
	if err := os.WriteFile(stack, after, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(stack, before, 0o644); err != nil {
			t.Error(err)
		}
	})
}

const naiveLog = "/var/log/naive"

func clear(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"/var/spool/castgate/live", "/var/spool/castgate/incoming", naiveLog} {
		files, _ := filepath.Glob(dir + "/*")
		for _, f := range files {
			if err := os.RemoveAll(f); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// ssh runs a command without a terminal.
func (w *world) ssh(options []string, command ...string) hosttest.Result {
	w.Helper()
	return hosttest.Do(w, w.server.Ssh(w.key, account, options, command...), nil)
}

// terminal opens a session with one, and waits until a shell answers.
func (w *world) terminal() *hosttest.Terminal {
	w.Helper()
	x := hosttest.StartTerminal(w, w.server.Ssh(w.key, account, []string{"-tt"}), 80, 24)
	x.Type("echo rea''dy\n")
	x.Expect("ready")
	return x
}

// as runs a script as the account, from outside of any session, as cron would.
func (w *world) as(script string) *exec.Cmd { return w.user.Command("/bin/sh", "-c", script) }

// recording is one file of the spool, or of the naive recorder's directory.
type recording struct {
	path   string
	header asciicast.Header
	output string
	exit   bool // it has its end
	ok     bool // it is asciicast up to its end or a torn line
}

func (w *world) recordings() []recording {
	w.Helper()
	pattern := naiveLog + "/*"
	if w.door.castgate {
		pattern = "/var/spool/castgate/*/*.cast"
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		w.Fatal(err)
	}
	var all []recording
	for _, path := range files {
		if b, err := os.ReadFile(path); err == nil { // else it was just renamed
			all = append(all, parse(path, b))
		}
	}
	return all
}

func parse(path string, b []byte) recording {
	rec := recording{path: path}
	r, err := asciicast.NewReader(bytes.NewReader(b))
	if err != nil {
		return rec
	}
	rec.header, rec.ok = r.Header, true
	var out strings.Builder
	for {
		ev, err := r.Next()
		if err != nil {
			rec.output = out.String()
			return rec
		}
		switch ev.Code {
		case asciicast.Output:
			out.Write(ev.Data)
		case asciicast.Exit:
			rec.exit = true
		}
	}
}

// recorded says whether a recording shows the words, in its output or as the
// command that was asked for.
func (w *world) recorded(words string) bool {
	w.Helper()
	for _, r := range w.recordings() {
		if strings.Contains(r.output, words) || strings.Contains(r.header.Command, words) {
			return true
		}
	}
	return false
}

// finished waits until no session is open and returns the recordings.
func (w *world) finished() []recording {
	w.Helper()
	hosttest.WaitFor(w, "the sessions' end", func() bool {
		live, _ := filepath.Glob("/var/spool/castgate/live/*")
		return len(live) == 0 && len(w.server.Monitors()) == 0
	})
	return w.recordings()
}

// runs says whether the account has a process with this in its command line.
func (w *world) runs(words string) bool {
	return exec.Command("pgrep", "-u", account, "-f", words).Run() == nil
}

// exists says whether the account has left a file of that name in its home.
func (w *world) exists(name string) bool {
	_, err := os.Stat(filepath.Join(w.user.Home, name))
	return err == nil
}
