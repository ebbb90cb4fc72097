// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"castgate/packaging/hosttest"
)

// TestKeystroke counts what the recorder asks the kernel for while somebody
// types: the key is read and given to the shell; its echo is read, recorded and
// shown; and it waits between, at most three times. Time is not measured. What
// Go's own watch thread does meanwhile (sysmon: nanosleep, futex, preemption)
// depends on how slow strace makes everything, and is no work of a key's.
func TestKeystroke(t *testing.T) {
	h := newHost(t, "/bin/sh")
	x := h.session(t)
	x.Type("cat\r")
	x.Expect("cat\r\n")
	const keys, most = 200, 10 // calls a key, with something for syncs and stragglers
	pid := strings.TrimSpace(hosttest.Run(t, "pgrep", "-x", "-u", h.user.Name, "castgate-wrap"))
	counts := filepath.Join(t.TempDir(), "counts")
	cmd := exec.Command("strace", "-f", "-c", "-qq", "-U", "calls,name", "-p", pid, "-o", counts)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	hosttest.WaitFor(t, "strace to attach", func() bool {
		status, _ := os.ReadFile("/proc/" + pid + "/status")
		return !strings.Contains(string(status), "TracerPid:\t0\n")
	})
	for i := range keys {
		key := string(rune('a' + i%26))
		x.Type(key)
		x.Expect(key)
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait()
	text, err := os.ReadFile(counts)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]int{}
	total := 0
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 {
			calls[f[1]], _ = strconv.Atoi(f[0])
		}
	}
	for name, n := range calls {
		if !slices.Contains([]string{"total", "syscall", "nanosleep", "futex", "tgkill", "getpid", "rt_sigreturn", "sched_yield"}, name) {
			total += n
		}
	}
	if calls["read"] < 2*keys || calls["write"] < 3*keys || total > most*keys {
		t.Errorf("%d system calls for %d keys\n%s", total, keys, text)
	}
}
