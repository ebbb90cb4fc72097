// SPDX-License-Identifier: AGPL-3.0-or-later

package once_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"castgate/packaging/hosttest"
)

// minimalRoot is a root file system with a shell, its libraries, castgate-once
// and terminals: no passwd(5), no /proc, no /etc, no home.
func minimalRoot(t *testing.T) string {
	t.Helper()
	hosttest.Install(t)
	root := t.TempDir()
	hosttest.Run(t, "mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", root) // /tmp has no devices
	t.Cleanup(func() { hosttest.Run(t, "umount", "--recursive", root) })
	files := []string{"/bin/dash", "/usr/bin/castgate-once"}
	for _, word := range strings.Fields(hosttest.Run(t, "ldd", "/bin/dash")) {
		if strings.HasPrefix(word, "/") {
			files = append(files, word)
		}
	}
	for _, f := range files {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(f)), 0o755); err != nil {
			t.Fatal(err)
		}
		hosttest.Run(t, "cp", "-L", f, filepath.Join(root, f))
	}
	if err := os.Symlink("dash", filepath.Join(root, "bin/sh")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "dev/pts"), 0o755); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "mknod", "-m", "666", filepath.Join(root, "dev/null"), "c", "1", "3")
	hosttest.Run(t, "mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=0620", "devpts", filepath.Join(root, "dev/pts"))
	if err := os.Symlink("pts/ptmx", filepath.Join(root, "dev/ptmx")); err != nil {
		t.Fatal(err)
	}
	return root
}

// contained runs castgate-once as process 1 of a container with this root.
func contained(t *testing.T, root, keys string, uid int) *exec.Cmd {
	cmd := command(t, "-authorized-keys", "-")
	cmd.Stdin = strings.NewReader(keys)
	cmd.Env = []string{"TASK=of the container"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS}
	if uid != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	}
	return cmd
}

func TestMinimalContainer(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	root := minimalRoot(t)
	for _, uid := range []int{0, 4711} {
		s := run(t, contained(t, root, key.Line, uid)).ready()
		x := hosttest.StartTerminal(t, s.ssh(key, nil), 80, 24)
		x.Type("echo $$ $0 $TASK; pwd; echo $HOME.$USER.$SHELL\r")
		x.Expect("-sh of the container")
		x.Expect("/\r\n")
		x.Expect("/." + map[int]string{0: "0", 4711: "4711"}[uid] + "./bin/sh")
		x.Type("exit 6\r")
		x.Wait()
		if status := s.wait(); status != 6 {
			t.Errorf("uid %d: status %d", uid, status)
		}
		_, cast, _ := strings.Cut(s.stdout.String(), "\n")
		rec := parse(t, strings.NewReader(cast))
		if h := rec.header.Session; h.UID != uid || h.User == "" || !strings.Contains(rec.output, "of the container") {
			t.Errorf("uid %d: header %+v, recorded %q", uid, h, rec.output)
		}
	}
}

// As process 1 it waits for every process that lost its parent.
func TestReapsAsProcess1(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	root := minimalRoot(t)
	for _, options := range [][]string{{"-tt"}, {"-T"}} {
		s := run(t, contained(t, root, key.Line, 0)).ready()
		x := hosttest.StartTerminal(t, s.ssh(key, options, "for i in 1 2 3 4 5 6 7 8 9; do ( (:) & ) ; done; echo al''one; read x; exit 2"), 80, 24)
		x.Expect("alone")
		hosttest.WaitFor(t, "the orphans to be reaped", func() bool {
			children := strings.Fields(hosttest.Run(t, "sh", "-c", "cat /proc/"+itoa(s.cmd.Process.Pid)+"/task/*/children"))
			return len(children) == 1
		})
		x.Type("\r")
		x.Wait()
		if status := s.wait(); status != 2 {
			t.Errorf("%q: status %d", options, status)
		}
	}
}

// What the announce command leaves behind is reaped, too.
func TestReapsAfterAnnounce(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	root := minimalRoot(t)
	script := "#!/bin/sh\nfor i in 1 2 3; do ( (:) >/dev/null 2>&1 & ) ; done\n"
	if err := os.WriteFile(filepath.Join(root, "announce"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := contained(t, root, key.Line, 0)
	cmd.Args = append(cmd.Args, "-announce", "/announce")
	s := run(t, cmd).ready()
	hosttest.WaitFor(t, "the orphans to be reaped", func() bool {
		return hosttest.Run(t, "sh", "-c", "cat /proc/"+itoa(s.cmd.Process.Pid)+"/task/*/children") == ""
	})
	got := hosttest.Do(t, s.ssh(key, nil, "echo in"), nil)
	if status := s.wait(); status != 0 || got.Stdout != "in\n" {
		t.Errorf("status %d, got %+v", status, got)
	}
}

// Whoever is in can't reach into castgate-once, and so not into the log.
func TestProcessIsOutOfReach(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	cmd := command(t, "-authorized-keys", "-")
	cmd.Stdin = strings.NewReader(key.Line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4711, Gid: 4711}}
	s := run(t, cmd).ready()
	got := hosttest.Do(t, s.ssh(key, nil, "id -u; for f in environ mem fd/1; do (: </proc/$PPID/$f) && echo $f is open; done; echo forged >/proc/$PPID/fd/1; echo end"), nil)
	if got.Stdout != "4711\nend\n" || strings.Count(got.Stderr, "Permission denied") != 4 {
		t.Errorf("got %+v", got)
	}
	if status := s.wait(); status != 0 || strings.Contains(s.stdout.String(), "\nforged") {
		t.Errorf("status %d, log %q", status, s.stdout)
	}
}

// The program is one static file, and a small one.
func TestBinary(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		out := filepath.Join(t.TempDir(), "castgate-once")
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", out, "castgate/cmd/castgate-once")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", arch, err, text)
		}
		info, err := os.Stat(out)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() >= 6_000_000 {
			t.Errorf("%s: %d bytes", arch, info.Size())
		}
		if headers := hosttest.Run(t, "sh", "-c", "grep -c ld-linux "+out+" || true"); strings.TrimSpace(headers) != "0" {
			t.Errorf("%s: it has an interpreter", arch)
		}
	}
}
