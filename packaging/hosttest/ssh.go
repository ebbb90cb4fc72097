// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// options make the stock client independent of the machine it runs on: no
// files of the caller, no agent, no questions, nothing on stderr but errors.
func (s *Sshd) options(key *Key) []string {
	return []string{
		"-F", "none",
		"-o", "IdentityFile=" + key.Path, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
		"-o", "UserKnownHostsFile=" + s.known, "-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes",
		"-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "Port=" + strconv.Itoa(s.Port),
	}
}

// Ssh is the stock client with a key and a known_hosts file of its own:
// Ssh(key, "alice", []string{"-tt"}, "id", "-u").
func (s *Sshd) Ssh(key *Key, user string, options []string, command ...string) *exec.Cmd {
	args := append(s.options(key), options...)
	args = append(args, "-l", user, "127.0.0.1")
	return exec.Command("ssh", append(args, command...)...)
}

// Transfer is scp or sftp with the same options: "alice@127.0.0.1:file".
func (s *Sshd) Transfer(program string, key *Key, args ...string) *exec.Cmd {
	return exec.Command(program, append(s.options(key), args...)...)
}

// Shell is the client as one string without the host, for `rsync -e` and
// GIT_SSH_COMMAND.
func (s *Sshd) Shell(key *Key) string {
	return "ssh " + strings.Join(s.options(key), " ")
}

// Result is what a finished command leaves.
type Result struct {
	Stdout, Stderr string
	Status         int // 128+n when it died of signal n itself
}

// Limit is how long Do lets a command run.
const Limit = 5 * time.Minute

// Do runs cmd to its end with the given standard input (nil: empty).
func Do(t testing.TB, cmd *exec.Cmd, stdin io.Reader) Result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	err := cmd.Start()
	if err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(Limit, func() { _ = cmd.Process.Kill() })
	cmd.WaitDelay = time.Second // for those that keep its output open
	err = cmd.Wait()
	if !hung.Stop() {
		t.Fatalf("%v never ended; it said\n%s%s", cmd.Args, out.String(), errs.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return Result{out.String(), errs.String(), status(cmd.ProcessState.Sys().(syscall.WaitStatus))}
}
