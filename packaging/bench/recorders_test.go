// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build bench

package bench

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"castgate/packaging/hosttest"
	"castgate/wrap/asciicast"
)

// The names of two rows that others are compared with.
const (
	plain = "plain pty"
	ours  = "castgate-wrap"
)

const (
	spoolDir = "/var/spool/castgate"
	sudoLogs = "/dev/shm/iolog"
)

// recorder is one way to run an inner command on a terminal.
type recorder struct {
	name    string
	floor   bool     // records nothing
	timing  bool     // a peer that keeps when something was shown
	slow    bool     // gets less of the bulk work
	version []string // command that prints it
	argv    func(command, dir string) []string
	env     func(command string) []string
	file    string           // what it writes, a pattern below dir
	output  func([]byte) int // bytes of output in the file
	as      *syscall.Credential
	syncs   time.Duration // how long each of its syncs is held
}

// recorders lists the plain pty, the two floors, us and the peers, in the
// order of the tables.
func recorders(t *testing.T) []recorder {
	t.Helper()
	const bin = "/usr/local/bin/"
	hosttest.Run(t, "cc", "-O2", "-o", bin+"c-pass", "cpass/cpass.c", "-lutil")
	hosttest.Run(t, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", bin+"go-pass", "./gopass")
	sh := func(command string) []string { return []string{"/bin/sh", "-c", command} }
	script := func(flags string) func(string, string) []string {
		return func(command, out string) []string {
			return []string{"script", flags, "-e", "-c", command, "-O", out + "/rec", "-T", out + "/timing"}
		}
	}
	return []recorder{
		{name: plain, floor: true, argv: func(c, _ string) []string { return sh(c) }},
		{name: "c-pass", floor: true, argv: func(c, _ string) []string { return append([]string{"c-pass"}, sh(c)...) }},
		{name: "go-pass", floor: true, argv: func(c, _ string) []string { return append([]string{"go-pass"}, sh(c)...) }},
		{
			name: ours, version: []string{"castgate-wrap", "-version"}, as: benchUser(t),
			argv: func(string, string) []string { return []string{"/usr/bin/castgate-wrap"} },
			env: func(c string) []string {
				return []string{"SSH_ORIGINAL_COMMAND=" + c, "SSH_CONNECTION=127.0.0.1 1 127.0.0.1 22"}
			},
			file: spoolDir + "/*/*.cast", output: ofCast,
		},
		{name: "script", timing: true, version: []string{"script", "--version"}, argv: script("-q"), file: "rec", output: ofScript},
		{name: "script -f", timing: true, argv: script("-qf"), file: "rec", output: ofScript},
		{
			name: "ttyrec", timing: true, version: []string{"dpkg-query", "-W", "ttyrec"}, file: "rec", output: ofTtyrec,
			argv: func(c, out string) []string { return []string{"ttyrec", "-e", c, out + "/rec"} },
		},
		{
			name: "sudo, uncompressed", timing: true, version: []string{"dpkg-query", "-W", "sudo"},
			file: sudoLogs + "/*/*/*/ttyout", output: func(file []byte) int { return len(file) },
			argv: func(c, _ string) []string { return append([]string{"sudo", "-u", "benchsudo"}, sh(c)...) },
		},
		{
			name: "tlog-rec", timing: true, slow: true, version: []string{"dpkg-query", "-W", "tlog"},
			argv: func(c, out string) []string {
				return append([]string{"tlog-rec", "--writer=file", "--file-path=" + out + "/rec"}, sh(c)...)
			},
			file: "rec", output: ofTlog,
		},
		{
			name: "asciinema", timing: true, slow: true, version: []string{"asciinema", "--version"}, file: "rec", output: ofCast,
			argv: func(c, out string) []string { return []string{"asciinema", "rec", "-q", "-c", c, out + "/rec"} },
		},
	}
}

// benchUser is a user whose sessions castgate-wrap records; the peers run as
// root, which spares them its checks of permission.
func benchUser(t *testing.T) *syscall.Credential {
	u := hosttest.AddUser(t, "bench", "/bin/sh")
	return &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID)}
}

// start runs the recorder around command with tty as its 0, 1 and 2.
func (r recorder) start(command, dir string, tty *os.File) (*exec.Cmd, error) {
	argv := r.argv(command, dir)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "HOME=/root", "SHELL=/bin/sh", "TERM=xterm-256color", "LC_ALL=C.UTF-8")
	if r.env != nil {
		cmd.Env = append(cmd.Env, r.env(command)...)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Credential: r.as}
	if r.syncs > 0 {
		return cmd, holdingSyncs(r.syncs, cmd.Start)
	}
	return cmd, cmd.Start()
}

// recording is the path of the file it wrote, "" when there is none.
func (r recorder) recording(dir string) string {
	pattern := r.file
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(dir, pattern)
	}
	files, _ := filepath.Glob(pattern)
	if r.file == "" || len(files) == 0 {
		return ""
	}
	return files[len(files)-1]
}

// recorded returns how many bytes of output are in its file.
func (r recorder) recorded(dir string) int {
	text, _ := os.ReadFile(r.recording(dir))
	return r.output(text)
}

// forget removes what is written to places of the recorders' own.
func forget() {
	old, _ := filepath.Glob(spoolDir + "/*/*.cast")
	for _, f := range append(old, sudoLogs) {
		_ = os.RemoveAll(f)
	}
}

func ofCast(file []byte) int {
	r, err := asciicast.NewReader(bytes.NewReader(file))
	if err != nil {
		return 0
	}
	n := 0
	for {
		ev, err := r.Next()
		if err != nil {
			return n
		}
		if ev.Code == asciicast.Output {
			n += len(ev.Data)
		}
	}
}

// ofScript counts what stands between the lines that script(1) adds.
func ofScript(file []byte) int {
	_, file, _ = bytes.Cut(file, []byte("\n"))
	if i := bytes.LastIndex(file, []byte("\nScript done on")); i >= 0 {
		file = file[:i]
	}
	return len(file)
}

// ofTtyrec counts the frames: three little-endian words, then bytes.
func ofTtyrec(file []byte) int {
	n := 0
	for len(file) >= 12 {
		size := int(binary.LittleEndian.Uint32(file[8:]))
		file = file[12:]
		n += min(size, len(file))
		file = file[min(size, len(file)):]
	}
	return n
}

// ofTlog counts text and the bytes that were not text.
func ofTlog(file []byte) int {
	n := 0
	for line := range bytes.Lines(file) {
		var m struct {
			Txt string `json:"out_txt"`
			Bin []int  `json:"out_bin"`
		}
		if json.Unmarshal(line, &m) == nil {
			n += len(m.Txt) + len(m.Bin) - 3*bytes.Count([]byte(m.Txt), []byte("\ufffd"))
		}
	}
	return n
}
