// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build bench

package bench

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"castgate/packaging/hosttest"
	"castgate/wrap/asciicast"
)

// recorder is one way to run an inner command on a terminal.
type recorder struct {
	name    string
	version []string // command that prints it
	argv    func(command, dir string) []string
	env     func(command string) []string
	file    string                        // what it writes, a pattern below dir
	output  func([]byte) (n int, ok bool) // bytes of output in the file
	as      *syscall.Credential
}

// recorders lists the plain pty, the two floors, us and the peers, in the
// order of the tables.
func recorders(t *testing.T) []recorder {
	t.Helper()
	dir := t.TempDir()
	hosttest.Run(t, "cc", "-O2", "-o", dir+"/cpass", "cpass/cpass.c", "-lutil")
	hosttest.Run(t, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/gopass", "./gopass")
	sh := func(command string) []string { return []string{"/bin/sh", "-c", command} }
	script := func(flags string) func(string, string) []string {
		return func(command, out string) []string {
			return []string{"script", flags, "-e", "-c", command, "-O", out + "/rec", "-T", out + "/timing"}
		}
	}
	return []recorder{
		{name: "plain pty", argv: func(c, _ string) []string { return sh(c) }},
		{name: "c-pass", argv: func(c, _ string) []string { return append([]string{dir + "/cpass"}, sh(c)...) }},
		{name: "go-pass", argv: func(c, _ string) []string { return append([]string{dir + "/gopass"}, sh(c)...) }},
		{
			name: "castgate-wrap", version: []string{"castgate-wrap", "-version"}, as: benchUser(t),
			argv: func(string, string) []string { return []string{"/usr/bin/castgate-wrap"} },
			env: func(c string) []string {
				return []string{"SSH_ORIGINAL_COMMAND=" + c, "SSH_CONNECTION=127.0.0.1 1 127.0.0.1 22"}
			},
			file: "/var/spool/castgate/*/*.cast", output: ofCast,
		},
		{name: "script", version: []string{"script", "--version"}, argv: script("-q"), file: "rec", output: ofScript},
		{name: "script -f", argv: script("-qf"), file: "rec", output: ofScript},
		{
			name: "ttyrec", version: []string{"dpkg-query", "-W", "ttyrec"}, file: "rec", output: ofTtyrec,
			argv: func(c, out string) []string { return []string{"ttyrec", "-e", c, out + "/rec"} },
		},
		{
			name: "sudo, uncompressed", version: []string{"dpkg-query", "-W", "sudo"},
			argv: func(c, _ string) []string { return append([]string{"sudo", "-u", "benchsudo"}, sh(c)...) },
		},
		{
			name: "tlog-rec", version: []string{"dpkg-query", "-W", "tlog"},
			argv: func(c, out string) []string {
				return append([]string{"tlog-rec", "--writer=file", "--file-path=" + out + "/rec"}, sh(c)...)
			},
			file: "rec", output: ofTlog,
		},
		{
			name: "asciinema", version: []string{"asciinema", "--version"}, file: "rec", output: ofCast,
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
	cmd.Env = append(os.Environ(), "HOME=/root", "TERM=xterm-256color", "LC_ALL=C.UTF-8")
	if r.env != nil {
		cmd.Env = append(cmd.Env, r.env(command)...)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Credential: r.as}
	return cmd, cmd.Start()
}

// recorded returns the output bytes and the file's size; ok is false for a
// recorder whose file we can't read.
func (r recorder) recorded(dir string) (output, size int, ok bool) {
	if r.file == "" {
		return 0, 0, false
	}
	pattern := r.file
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(dir, pattern)
	}
	files, _ := filepath.Glob(pattern)
	if len(files) == 0 {
		return 0, 0, true
	}
	text, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		return 0, 0, false
	}
	n, ok := r.output(text)
	return n, len(text), ok
}

func ofCast(file []byte) (int, bool) {
	r, err := asciicast.NewReader(bytes.NewReader(file))
	if err != nil {
		return 0, err == io.EOF
	}
	n := 0
	for {
		ev, err := r.Next()
		if err != nil {
			return n, true
		}
		if ev.Code == asciicast.Output {
			n += len(ev.Data)
		}
	}
}

// ofScript counts what stands between the lines that script(1) adds.
func ofScript(file []byte) (int, bool) {
	_, file, ok := bytes.Cut(file, []byte("\n"))
	if i := bytes.LastIndex(file, []byte("\nScript done on")); i >= 0 {
		file = file[:i]
	}
	return len(file), ok || len(file) == 0
}

// ofTtyrec counts the frames: three little-endian words, then bytes.
func ofTtyrec(file []byte) (int, bool) {
	n := 0
	for len(file) >= 12 {
		size := int(binary.LittleEndian.Uint32(file[8:]))
		file = file[12:]
		n += min(size, len(file))
		file = file[min(size, len(file)):]
	}
	return n, true
}

// ofTlog counts text and the bytes that were not text.
func ofTlog(file []byte) (int, bool) {
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
	return n, true
}
