// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCatch sends signals while goroutines run, stacks grow and memory is
// collected: each kind is announced, and nothing of the runtime is disturbed.
func TestCatch(t *testing.T) {
	w, err := NewWaker()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Catch(unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	defer func() { w.catching = false }()

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
		if _, err := blockingPoll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}); err != nil {
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

// deep makes the stack grow and move.
func deep(n int) int {
	var room [64]int
	if n == 0 {
		return room[0]
	}
	room[n%len(room)] = n
	return deep(n-1) + room[n%len(room)] - n
}
