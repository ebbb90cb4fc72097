// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"castgate/packaging/hosttest"
)

const naivePath = "/usr/bin/naive"

// installNaive installs this test binary as the naive recorder.
func installNaive(t testing.TB) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "install", "-m", "755", self, naivePath)
	hosttest.Run(t, "install", "-d", "-m", "1733", naiveLog)
}

// naive is the recorder that one writes first (design A of the study): it runs
// as the user, the recording is the user's file in a directory that everybody
// may write to, terminals are copied and recorded, and what has none is handed
// through. It believes its environment.
func naive() int {
	f, err := os.CreateTemp(naiveLog, "*.cast")
	if err != nil {
		return 77 // it fails closed, at least
	}
	header := map[string]any{
		"version": 3, "term": map[string]int{"cols": 80, "rows": 24},
		"castgate": map[string]any{"client": os.Getenv("SSH_CONNECTION"), "user": os.Getenv("USER")},
	}
	if ws, err := pty.GetsizeFull(os.Stdin); err == nil {
		header["term"] = map[string]uint16{"cols": ws.Cols, "rows": ws.Rows}
	}
	line, _ := json.Marshal(header)
	fmt.Fprintf(f, "%s\n", line)
	command := os.Getenv("SSH_ORIGINAL_COMMAND")
	shell := os.Getenv("SHELL")
	cmd := exec.Command(shell, "-c", command)
	if command == "" {
		cmd = exec.Command(shell, "-l")
	}
	if !term.IsTerminal(0) {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		_ = cmd.Run()
		return cmd.ProcessState.ExitCode()
	}
	ws, _ := pty.GetsizeFull(os.Stdin)
	inner, err := pty.StartWithSize(cmd, ws)
	if err != nil {
		return 78
	}
	old, _ := term.MakeRaw(0)
	defer func() { _ = term.Restore(0, old) }()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	go func() {
		for range resized {
			if ws, err := pty.GetsizeFull(os.Stdin); err == nil {
				_ = pty.Setsize(inner, ws)
				fmt.Fprintf(f, "[0, \"r\", \"%dx%d\"]\n", ws.Cols, ws.Rows)
			}
		}
	}()
	go func() { _, _ = io.Copy(inner, os.Stdin) }()
	_, _ = io.Copy(io.MultiWriter(events{f}, os.Stdout), inner)
	_ = cmd.Wait()
	fmt.Fprintf(f, "[0, \"x\", \"%d\"]\n", cmd.ProcessState.ExitCode())
	return cmd.ProcessState.ExitCode()
}

// events writes chunks as asciicast events, without a thought about UTF-8.
type events struct {
	w io.Writer
}

func (e events) Write(p []byte) (int, error) {
	b, _ := json.Marshal([]any{0, "o", string(p)})
	if _, err := e.w.Write(append(b, '\n')); err != nil {
		return 0, err
	}
	return len(p), nil
}
