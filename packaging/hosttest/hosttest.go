// SPDX-License-Identifier: AGPL-3.0-or-later

// Package hosttest turns a Go test binary into one that runs inside a
// throwaway host. A package whose tests need accounts, /etc/castgate, a setgid
// /usr/bin/castgate-wrap or a real sshd says
//
//	func TestMain(m *testing.M) { hosttest.Main(m) }
//
// and may then change what it likes: nothing of the machine below is touched,
// and several such packages run side by side, each on a host of its own.
//
// # How
//
// Main, as root, builds the castgate programs and runs the test binary again
// in new mount, pid, network, IPC and UTS namespaces. Process 1 there is a
// small init. It stacks an overlay (upper layer: a tmpfs) over the machine's
// root, takes away there what castgate and people left (clean.go), mounts a
// fresh /proc, /dev, /dev/pts, /dev/shm, /run, /tmp, /root and /home, brings the
// loopback interface up, pivots into it, runs the tests in the same working
// directory with the environment of a fresh login (environment.go), reaps
// orphans and passes the tests' exit status on. When it ends the kernel ends
// everything else that ran there.
//
// The host shares the machine's programs (apt packages come from `make deps`)
// and its Go caches, which are the only places a test can write to for good.
// It has no network but loopback. Coverage profiles stay inside.
//
// # What a test gets
//
//   - Install: the programs, users, directories and configuration as design
//     section "Files on a host" has them; Config replaces one YAML file.
//   - AddUser, NewKey: accounts and keys.
//   - StartSshd: the stock sshd on 127.0.0.1, its log, and the stock ssh client
//     to talk to it (Sshd.Ssh with Do or StartTerminal).
//   - StartSyslog: what programs say to /dev/log.
//   - WaitFor: for all that happens in its own time.
//
// Without root the tests skip and say why; CASTGATE_TEST_ALL=1 makes that a
// failure. The slow ones ask with Slow.
package hosttest

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"testing"
)

const (
	stageEnv  = "CASTGATE_HOSTTEST" // set for the init process only
	allEnv    = "CASTGATE_TEST_ALL"
	slowEnv   = "CASTGATE_TEST_SLOW"
	markerDir = "/run/castgate-hosttest" // exists inside a throwaway host only
)

// Main runs the tests of m inside a throwaway host and ends the process.
func Main(m *testing.M) {
	flag.Parse()
	switch {
	case os.Getenv(stageEnv) == "init":
		fail(runInit())
	case Inside() || os.Geteuid() != 0 || needsNoHost():
		os.Exit(m.Run())
	default:
		status, err := enter()
		fail(err)
		os.Exit(status)
	}
}

// needsNoHost reports whether go test only lists tests, or fuzzes: a fuzzer
// must be able to write the input it found to testdata.
func needsNoHost() bool {
	for _, name := range []string{"test.list", "test.fuzz"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return true
		}
	}
	return false
}

func fail(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "hosttest: %v\n", err)
		os.Exit(1)
	}
}

// Inside reports whether this process runs inside a throwaway host.
func Inside() bool {
	_, err := os.Stat(markerDir)
	return !errors.Is(err, fs.ErrNotExist)
}

// Need skips t when it does not run inside a throwaway host for want of root.
func Need(t testing.TB) {
	t.Helper()
	switch {
	case Inside():
	case os.Geteuid() == 0:
		t.Fatal("this package's TestMain does not call hosttest.Main")
	default:
		Skip(t, "needs root to make a throwaway host")
	}
}

// Skip skips t and says why, or fails it where nothing may be skipped.
func Skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv(allEnv) == "1" {
		t.Fatalf("may not skip (%s=1): %s", allEnv, why)
	}
	t.Skip(why)
}

// Slow skips t outside of `make test-all`.
func Slow(t testing.TB) {
	t.Helper()
	if os.Getenv(slowEnv) != "1" {
		t.Skipf("slow: runs with %s=1 (make test-all)", slowEnv)
	}
}
