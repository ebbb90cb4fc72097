// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"

	"castgate/packaging/hosttest"
)

// stall starts a session whose person doesn't read: the test has the master of
// the outer terminal. The command prints n letters and END.
func (h *host) stall(t *testing.T, n int, then string) (master *os.File, cmd *exec.Cmd) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	defer slave.Close()
	if err := slave.Chown(h.user.UID, -1); err != nil {
		t.Fatal(err)
	}
	cmd = h.user.Command("/usr/bin/castgate-wrap")
	cmd.Env = append(cmd.Env, "TERM=xterm", "SSH_CONNECTION=127.0.0.1 1 127.0.0.1 22",
		fmt.Sprintf("SSH_ORIGINAL_COMMAND=head -c %d /dev/zero | tr '\\0' x; printf EN''D; %s", n, then))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return master, cmd
}

// liveOutput is what the only session has recorded until now, "" before it has a header.
func liveOutput(t *testing.T) string {
	t.Helper()
	files, _ := filepath.Glob("/var/spool/castgate/live/*.cast")
	if len(files) != 1 {
		return ""
	}
	if info, err := os.Stat(files[0]); err != nil || info.Size() == 0 {
		return ""
	}
	return string(hosttest.ReadRecording(t, files[0]).Output)
}

// What a program prints to somebody who is slow is recorded as it comes, for a
// while; all of it is shown, once, when they read.
func TestRecordsAheadOfSomebodySlow(t *testing.T) {
	h := newHost(t, "/bin/sh")
	const n = 60000
	master, cmd := h.stall(t, n, "exec sleep 60")
	hosttest.WaitFor(t, "the recording of what nobody has read", func() bool {
		return strings.HasSuffix(liveOutput(t), "END")
	})
	var shown []byte
	buf := make([]byte, 1<<10)
	for !bytes.HasSuffix(shown, []byte("END")) {
		k, err := master.Read(buf)
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(shown), err)
		}
		shown = append(shown, buf[:k]...)
	}
	master.Close()
	_ = cmd.Wait()
	if rec := one(t); !bytes.Equal(rec.Output, shown) || bytes.Count(shown, []byte("x")) < n {
		t.Errorf("shown %d bytes, recorded %d", len(shown), len(rec.Output))
	}
}

// A program has ended, its last words wait in its terminal, and the person, who
// never read what came before, is gone: they are recorded.
func TestLastWordsToNobody(t *testing.T) {
	h := newHost(t, "/bin/sh")
	for _, n := range []int{20000, 60000, 70000, 80000} {
		master, cmd := h.stall(t, n, "exit 0")
		hosttest.WaitFor(t, "a session", func() bool {
			return liveOutput(t) != ""
		})
		hosttest.WaitFor(t, "the program's end", func() bool { return len(hosttest.Children(cmd.Process.Pid)) == 0 })
		master.Close()
		_ = cmd.Wait()
		if rec := one(t); !strings.HasSuffix(string(rec.Output), "END") {
			t.Errorf("%d bytes: recorded %d", n, len(rec.Output))
		}
	}
}

// Recording ends while something that is recorded has not been shown: it is
// shown before the session ends, and no more than that.
func TestRecordedIsShownAtTheLimit(t *testing.T) {
	h := newHost(t, "/bin/sh")
	hosttest.Config(t, "wrap", "notice: \"\"\nlimits: {session: 40KiB, free: 0}\n")
	master, cmd := h.stall(t, 60000, "exec sleep 60")
	hosttest.WaitFor(t, "the limit", func() bool {
		files, _ := filepath.Glob("/var/spool/castgate/*/*.cast")
		text := []byte{}
		if len(files) == 1 {
			text, _ = os.ReadFile(files[0])
		}
		return bytes.Contains(text, []byte("recording stopped"))
	})
	all, _ := io.ReadAll(master) // EIO: the last holder of the terminal has gone
	_ = cmd.Wait()
	shown, _, _ := strings.Cut(string(all), "castgate-wrap: ")
	shownIsRecorded(t, shown)
}
