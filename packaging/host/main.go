// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"castgate/packaging/hosttest"
)

const (
	wantEnv  = "CASTGATE_TEST_HOST"  // 1: run these tests
	stageEnv = "CASTGATE_HOST_STAGE" // the pid outside, set for the second run only

	stageDir   = "/mnt" // covered by a tmpfs in the tests' mount namespace
	cgroupRoot = "/sys/fs/cgroup"
)

// outerPid tells the cgroups of two test runs apart: inside, every run is
// process 1.
var outerPid int

// Main runs the tests of m where they can boot hosts, and ends the process.
func Main(m *testing.M) {
	flag.Parse()
	stage := os.Getenv(stageEnv)
	switch {
	case stage != "":
		outerPid, _ = strconv.Atoi(stage)
		fail(prepare())
		os.Exit(m.Run())
	case os.Getenv(wantEnv) != "1" || os.Geteuid() != 0 || flag.Lookup("test.list").Value.String() != "":
		os.Exit(m.Run())
	default:
		fail(makeImages())
		status, err := enter()
		fail(err)
		os.Exit(status)
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "host: %v\n", err)
		os.Exit(1)
	}
}

// need skips t where no host can be booted.
func need(t testing.TB) {
	t.Helper()
	switch {
	case os.Getenv(stageEnv) != "":
	case os.Getenv(wantEnv) != "1":
		t.Skipf("boots a real Debian: runs with %s=1 (make test-host)", wantEnv)
	default:
		hosttest.Skip(t, "needs root to boot a Debian")
	}
}

const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

// enter runs this test binary again in new namespaces and returns its status.
func enter() (int, error) {
	runtime.LockOSThread() // Pdeathsig goes by the thread, not the process
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageEnv+"="+strconv.Itoa(os.Getpid()))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("new namespaces: %w", err)
	}
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGQUIT, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for s := range ch {
			_ = cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return ws.ExitStatus(), nil
}

// prepare makes the mount namespace what systemd-nspawn and ip netns expect.
func prepare() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// Whatever is mounted there (version 1 hierarchies, or a read-only view)
	// is covered for this mount namespace only.
	for _, m := range []struct{ fstype, at, options string }{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""}, // this network namespace's
		{"cgroup2", cgroupRoot, ""},
		{"tmpfs", "/run", "mode=0755"},
		{"tmpfs", stageDir, "mode=0755"},
	} {
		if err := unix.Mount("castgate-host", m.at, m.fstype, 0, m.options); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	return nil
}
