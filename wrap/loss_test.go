// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// smallSpool mounts a spool of its own for one test.
func smallSpool(t *testing.T, options string) {
	t.Helper()
	const path = "/var/spool/castgate"
	hosttest.Run(t, "mount", "-t", "tmpfs", "-o", "mode=0750,"+options, "spool", path)
	t.Cleanup(func() { hosttest.Run(t, "umount", "-l", path) })
	for _, sub := range []string{"live", "incoming", "bad"} {
		if err := os.Mkdir(filepath.Join(path, sub), 0o770); err != nil {
			t.Fatal(err)
		}
		hosttest.Run(t, "chmod", "0770", filepath.Join(path, sub))
	}
	hosttest.Run(t, "chown", "-R", "root:castgate", path)
	hosttest.Config(t, "wrap", "limits: {free: 0}\n")
}

// shownIsRecorded holds what the client saw against the only recording.
func shownIsRecorded(t *testing.T, shown string) hosttest.Recording {
	t.Helper()
	rec := one(t)
	if string(rec.Output) != shown {
		t.Errorf("shown %d bytes, recorded %d", len(shown), len(rec.Output))
	}
	return rec
}

const flood = "yes castgate | head -c 3000000; echo unseen"

func TestDiskFull(t *testing.T) {
	h := newHost(t, "/bin/bash")
	smallSpool(t, "size=1m")
	for _, opts := range [][]string{{"-T"}, {"-tt"}} {
		got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, append([]string{"-q"}, opts...), flood), nil)
		if got.Status != 254 || strings.Contains(got.Stdout, "unseen") {
			t.Errorf("%v: status %d", opts, got.Status)
		}
		shown, _, _ := strings.Cut(got.Stdout, "castgate-wrap: ")
		rec := shownIsRecorded(t, shown)
		h.namedOnce(t, rec.Header.Session.ID, "recording lost", "no space left on device", "verdict=ended")
		h.log.Forget()
	}
}

func TestDiskFullMayBeAllowed(t *testing.T) {
	h := newHost(t, "/bin/bash")
	smallSpool(t, "size=1m")
	hosttest.Config(t, "wrap", "on_failure: allow\nlimits: {free: 0}\n")
	got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, flood), nil)
	if got.Status != 0 || len(got.Stdout) != 3_000_000+len("unseen\n") {
		t.Errorf("status %d, %d bytes", got.Status, len(got.Stdout))
	}
	h.log.Wait(t, "recording lost", `verdict="goes on unrecorded"`)
	if rec := one(t); !strings.HasPrefix(got.Stdout, string(rec.Output)) || len(rec.Output) < 500_000 {
		t.Errorf("recorded %d bytes", len(rec.Output))
	}
}

// A full disk, and no inode, never lock root out of the host that must be cleaned.
func TestRootGetsIn(t *testing.T) {
	h := newHost(t, "/bin/bash")
	smallSpool(t, "nr_inodes=5") // the directories take four
	h.user.Authorize(t, h.key)
	root := &hosttest.User{Name: "root", Home: "/root"}
	root.Authorize(t, h.key)
	if err := os.WriteFile("/var/spool/castgate/live/x", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, "echo in"), nil); got.Status != 254 {
		t.Errorf("a user got in: %d %q", got.Status, got.Stdout)
	}
	if got := hosttest.Do(t, h.Ssh(h.key, "root", nil, "echo in"), nil); got.Status != 0 || got.Stdout != "in\n" {
		t.Errorf("root: %d %q %q", got.Status, got.Stdout, got.Stderr)
	}
	h.log.Wait(t, "session goes on unrecorded", "account=root", "no space left")
}

// inject makes a system call of the running recorder fail, below the file system.
func inject(t *testing.T, user, fault string) {
	t.Helper()
	pid := strings.TrimSpace(hosttest.Run(t, "pgrep", "-x", "-u", user, "castgate-wrap"))
	cmd := exec.Command("strace", "-f", "-qq", "-p", pid, "-P", "/var/spool/castgate/live", "-e", "inject="+fault, "-o", "/dev/null")
	rec, err := filepath.Glob("/var/spool/castgate/live/*.cast")
	if err != nil || len(rec) != 1 {
		t.Fatalf("recordings: %q", rec)
	}
	cmd.Args[6] = rec[0]
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	hosttest.WaitFor(t, "strace to attach", func() bool {
		status, _ := os.ReadFile("/proc/" + pid + "/status")
		return !strings.Contains(string(status), "TracerPid:\t0\n")
	})
}

func TestFaultsBelow(t *testing.T) {
	for _, tt := range []struct{ name, fault, cause string }{
		{"write EIO", "write:error=EIO", "input/output error"},
		{"write EDQUOT", "write:error=EDQUOT", "disk quota exceeded"},
		{"sync EIO", "fdatasync:error=EIO", "sync the recording: input/output error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, "/bin/sh")
			x := hosttest.StartTerminal(t, h.Ssh(h.key, h.user.Name, nil), 80, 24)
			x.Expect("$")
			inject(t, h.user.Name, tt.fault)
			x.Type("echo hello\r")
			if got := x.Wait(); got.Status != 254 {
				t.Errorf("status %d", got.Status)
			}
			shown, notice, _ := strings.Cut(x.Output(), "castgate-wrap: ")
			if !strings.Contains(notice, "has been ended") {
				t.Errorf("the person was told %q", notice)
			}
			rec := one(t)
			if string(rec.Output) != shown {
				t.Errorf("shown %q, recorded %q", shown, rec.Output)
			}
			h.namedOnce(t, rec.Header.Session.ID, "recording lost", tt.cause, "verdict=ended")
		})
	}
}

// Whatever was written is synced soon after, and the end of a session before
// its recording is handed over.
func TestSyncs(t *testing.T) {
	h := newHost(t, "/bin/sh")
	x := hosttest.StartTerminal(t, h.Ssh(h.key, h.user.Name, nil), 80, 24)
	x.Expect("$")
	pid := strings.TrimSpace(hosttest.Run(t, "pgrep", "-x", "-u", h.user.Name, "castgate-wrap"))
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", "-f", "-qq", "-y", "-p", pid, "-e", "trace=write,fdatasync,fsync,renameat,renameat2", "-o", trace)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := func(pattern string) func() bool {
		return func() bool {
			text, _ := os.ReadFile(trace)
			return regexp.MustCompile(`(?s)` + pattern).Match(text)
		}
	}
	hosttest.WaitFor(t, "strace to attach", func() bool {
		status, _ := os.ReadFile("/proc/" + pid + "/status")
		return !strings.Contains(string(status), "TracerPid:\t0\n")
	})
	x.Type("echo hello\r")
	hosttest.WaitFor(t, "a sync after the write", seen(`write\(\d+<[^>]*live/[^>]*cast>, .*fdatasync\(\d+<[^>]*live/`))
	x.Type("exit\r")
	x.Wait()
	_ = cmd.Wait()
	if !seen(`\\"x\\".*fsync\(\d+<[^>]*live/[^>]*cast>.*rename.*fsync\(\d+<[^>]*incoming>.*fsync\(\d+<[^>]*live>`)() {
		text, _ := os.ReadFile(trace)
		t.Errorf("the end is not synced in order:\n%s", text)
	}
}

// A recorder that can't have what it needs refuses, and says so in one line; it
// does not run bare. Below eight Go leaves none for the log.
func TestNoDescriptors(t *testing.T) {
	h := newHost(t, "/bin/sh")
	for n := 3; n < 32; n++ {
		h.log.Forget()
		cmd := h.user.Command("/bin/sh", "-c", fmt.Sprintf("ulimit -n %d; SSH_ORIGINAL_COMMAND='echo hello' exec /usr/bin/castgate-wrap", n))
		got := hosttest.Do(t, cmd, nil)
		files, _ := filepath.Glob("/var/spool/castgate/incoming/*.cast")
		if got.Status != 0 && got.Status != 254 || (got.Status == 0) != (len(files) == 1) || (got.Stdout != "") != (got.Status == 0) {
			t.Errorf("%d descriptors: status %d, %q, %d recordings, %s", n, got.Status, got.Stdout, len(files), got.Stderr)
		}
		_, id, refused := strings.Cut(strings.TrimSpace(got.Stderr), "under session ")
		if refused && n >= 8 {
			h.log.Wait(t, "session refused", " session="+id+" ", "descriptors may be open", "hint=")
		}
		clear(t)
	}
	if h.log.Find("session end") == "" {
		t.Error("31 were not enough")
	}
}
