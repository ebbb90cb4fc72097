// SPDX-License-Identifier: AGPL-3.0-or-later

package terminal

import (
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"castgate/wrap/rawio"
)

// TestCatch sends signals while goroutines run, stacks grow and memory is
// collected: each kind is announced, and nothing of the runtime is disturbed.
func TestCatch(t *testing.T) {
	w, err := NewWaker()
	if err != nil {
		t.Fatal(err)
	}
	w.Watch(nil)
	defer signal.Reset()

	var busy sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		busy.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					deep(200)
					runtime.GC()
				}
			}
		})
	}
	for round := range 2000 {
		sig, bit := unix.SIGUSR1, uint32(wakeSignal)
		switch round % 3 {
		case 1:
			sig = unix.SIGUSR2
		case 2:
			sig, bit = unix.SIGWINCH, wakeResize
		}
		if err := unix.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
		if _, err := rawio.Block([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}); err != nil {
			t.Fatal(err)
		}
		if got := w.take(); got&bit == 0 {
			t.Fatalf("%v: announced %b, want %b", sig, got, bit)
		}
		if bit == wakeSignal {
			if got := w.signals(); len(got) != 1 || got[0] != syscall.Signal(sig) {
				t.Fatalf("%v: to be passed on: %v", sig, got)
			}
		}
	}
	close(stop)
	busy.Wait()

	// A program that is started now has the defaults back.
	out, err := exec.Command("/bin/sh", "-c", "kill -USR1 $$; echo alive").CombinedOutput()
	if len(out) != 0 || err == nil {
		t.Errorf("a child outlives SIGUSR1: %q, %v", out, err)
	}
}

// TestCatchWhatWasBlocked: whoever runs before the recorder may leave it any
// signals blocked.
func TestCatchWhatWasBlocked(t *testing.T) {
	signals := []syscall.Signal{unix.SIGIO, unix.SIGWINCH, unix.SIGTERM}
	if os.Getenv("CASTGATE_TEST_BLOCKED") == "" {
		status := startBlocked(t, signals, "CASTGATE_TEST_BLOCKED=1", "-test.run=^TestCatchWhatWasBlocked$")
		if status != 0 {
			t.Errorf("with signals blocked: status %d", status)
		}
		return
	}
	w, err := NewWaker()
	if err != nil {
		t.Fatal(err)
	}
	w.Watch(nil)
	for _, sig := range signals {
		if err := unix.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
		const patience = 5000 // ms; it comes at once or never
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, patience); n != 1 || err != nil {
			t.Fatalf("%v: poll says %d, %v", sig, n, err)
		}
		w.take()
	}
}

// startBlocked runs this test binary with signals blocked and returns its
// status. Go's own fork gives a child the mask that the process was started
// with, so python does it.
func startBlocked(t *testing.T, signals []syscall.Signal, env, arg string) int {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const script = `import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [int(n) for n in sys.argv[3:]])
os.execv(sys.argv[1], sys.argv[1:3])`
	args := []string{"-c", script, self, arg}
	for _, sig := range signals {
		args = append(args, strconv.Itoa(int(sig)))
	}
	cmd := exec.Command("python3", args...)
	cmd.Env = append(os.Environ(), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Logf("%s", out)
	}
	return cmd.ProcessState.ExitCode()
}

// deep makes the stack grow and move.
func deep(n int) int {
	var room [64]int
	if n == 0 {
		return room[0]
	}
	room[n%len(room)] = n
	return deep(n-1) + room[n%len(room)] - n
}
