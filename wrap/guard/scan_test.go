// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// held opens a terminal, and another process that holds it.
func held(t *testing.T) (*session, int) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	tty, _, err := statTerminal(int(slave.Fd()), "")
	if err != nil {
		t.Fatal(err)
	}
	self, err := readProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	cmd.Stdin = slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		slave.Close()
		master.Close()
	})
	return &session{peer: self, tty: tty}, cmd.Process.Pid
}

// TestScanIsShared: sessions that begin together share their looks, and each
// gets what is its own.
func TestScanIsShared(t *testing.T) {
	var sc scanner
	var all sync.WaitGroup
	var mu sync.Mutex
	scans := map[*scan]bool{}
	const sessions = 40
	begin := make(chan struct{})
	for range sessions {
		s, pid := held(t)
		all.Go(func() {
			<-begin
			got := sc.look(wanted{s.tty: s}, patience)
			mu.Lock()
			scans[got] = true
			mu.Unlock()
			for _, h := range got.found {
				if h.tty == s.tty && h.pid == pid {
					return
				}
			}
			t.Errorf("terminal %v: the holder %d was not found", s.tty, pid)
		})
	}
	close(begin)
	all.Wait()
	if len(scans) >= sessions {
		t.Errorf("%d looks for %d sessions", len(scans), sessions)
	}
	t.Logf("%d looks for %d sessions", len(scans), sessions)
}

func TestScanGivesUp(t *testing.T) {
	s, _ := held(t)
	if _, complete := holders(wanted{s.tty: s}, time.Now().Add(-time.Second)); complete {
		t.Error("a look that had no time was complete")
	}
}

func BenchmarkLook(b *testing.B) {
	master, slave, err := pty.Open()
	if err != nil {
		b.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	tty, _, err := statTerminal(int(slave.Fd()), "")
	if err != nil {
		b.Fatal(err)
	}
	self, err := readProcess(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	s := &session{peer: self, tty: tty}
	for b.Loop() {
		holders(wanted{tty: s}, time.Now().Add(patience))
	}
}

// TestScanTakesNoLongerThanAsked: a login that shares its look with the watch's
// waits no longer for it than for its own.
func TestScanTakesNoLongerThanAsked(t *testing.T) {
	s, _ := held(t)
	sc := scanner{running: true} // one look is under way
	for _, limit := range []time.Duration{patience, 0} {
		go sc.look(wanted{s.tty: s}, limit)
		for asked := false; !asked; time.Sleep(time.Millisecond) {
			sc.mu.Lock()
			asked = sc.next != nil && sc.next.limit <= limit
			sc.mu.Unlock()
		}
	}
	sc.mu.Lock()
	next := sc.next
	sc.mu.Unlock()
	sc.run()
	if next.complete {
		t.Error("a look without time for it was complete")
	}
}
