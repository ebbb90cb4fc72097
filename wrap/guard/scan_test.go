// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"fmt"
	"iter"
	"os"
	"os/exec"
	"slices"
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
	return &session{peer: self, tty: tty, uid: uint32(os.Getuid())}, cmd.Process.Pid
}

// holds starts another process with what these have for their input.
func holds(t *testing.T, pids ...int) process {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	for _, pid := range pids {
		f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/0", pid), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p, err := readProcess(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestScanIsShared: sessions that begin together share their looks, and each
// gets what is its own.
func TestScanIsShared(t *testing.T) {
	var sc scanner
	var all sync.WaitGroup
	const sessions = 40
	begin := make(chan struct{})
	for range sessions {
		s, pid := held(t)
		all.Go(func() {
			<-begin
			l := sc.ask(wanted{s.tty: s}, s.uid)
			found := false
			l.collect(l.done, time.Now().Add(patience), func(h hold) { found = found || h.pid == pid })
			if missing := sc.missing(l); !found || len(missing) > 0 {
				t.Errorf("terminal %v: the holder %d was found: %v; missing: %v", s.tty, pid, found, missing)
			}
		})
	}
	close(begin)
	all.Wait()
}

// stuck is the look at a user's processes that has no end.
func stuck(sc *scanner, uid uint32) *lane {
	ln := sc.lane(uid)
	ln.now = []*look{newLook(wanted{}, uid)}
	ln.step, ln.stop = iter.Pull(func(yield func(struct{}) bool) {
		for yield(struct{}{}) {
		}
	})
	sc.busy = append(sc.busy, ln)
	return ln
}

// TestNobodyWaitsForAnother: the look at one's own processes comes to its end
// while another user's has none, and what is missing then is said.
func TestNobodyWaitsForAnother(t *testing.T) {
	s, pid := held(t)
	const other = 4711
	sc := scanner{lanes: map[uint32]*lane{}, wake: make(chan struct{}, 1), running: true}
	ln := stuck(&sc, other)
	ln.now[0].waiting.Store(true) // they are logging in themselves
	l := sc.ask(wanted{s.tty: s}, s.uid)
	sc.begin([]*look{l})
	ln.join(l) // as if they had a process in the census
	found := false
	for range 10_000 {
		sc.round()
		l.collect(l.own, time.Now(), func(h hold) { found = found || h.pid == pid })
		if isClosed(l.own) {
			break
		}
	}
	for range 1_000 {
		sc.round()
	}
	if !found || !isClosed(l.own) || isClosed(l.done) {
		t.Errorf("found %v, own %v, done %v", found, isClosed(l.own), isClosed(l.done))
	}
	if got := sc.missing(l); !slices.Equal(got, []uint32{other}) {
		t.Errorf("missing %v", got)
	}
	ln.finish()
}

// TestLoginBeforeTheWatch: a login does not wait for the end of the watch's
// look at its user's processes; that begins again with it.
func TestLoginBeforeTheWatch(t *testing.T) {
	s, _ := held(t)
	sc := scanner{lanes: map[uint32]*lane{}, wake: make(chan struct{}, 1), running: true}
	ln := stuck(&sc, s.uid)
	watch := newLook(wanted{s.tty: s}, nobody)
	watch.left[s.uid] = true
	ln.now = []*look{watch}
	l := sc.ask(wanted{s.tty: s}, s.uid)
	sc.begin([]*look{l})
	for range 10_000 {
		if sc.round(); isClosed(l.done) {
			break
		}
	}
	if !isClosed(l.own) || !isClosed(l.done) || !isClosed(watch.done) {
		t.Errorf("own %v, done %v, the watch's %v", isClosed(l.own), isClosed(l.done), isClosed(watch.done))
	}
	if len(sc.busy) != 0 || len(sc.lanes) != 0 {
		t.Errorf("busy %d, lanes %d", len(sc.busy), len(sc.lanes))
	}
}

// TestLongPassIsWork: a pass is long by what there is to look at, and not by how
// long the host took for it.
func TestLongPassIsWork(t *testing.T) {
	ln := lane{uid: 4711}
	ln.step, ln.stop = iter.Pull(func(yield func(struct{}) bool) {
		for yield(struct{}{}) {
			time.Sleep(2 * sliceTime)
		}
	})
	defer ln.finish()
	for range 50 {
		if more, long := ln.slice(); !more || long {
			t.Fatalf("more %v, long %v", more, long)
		}
	}
	if ln.work = longPass - 1; ln.long() {
		t.Error("it is long before its time")
	}
	if _, long := ln.slice(); !long || !ln.long() {
		t.Error("it is never long")
	}
	ln.uid = 0
	if ln.long() {
		t.Error("root's is as soon")
	}
}

// TestNoCensusForOthers: the next pass of somebody who is not waiting begins
// when nobody is.
func TestNoCensusForOthers(t *testing.T) {
	sc := scanner{lanes: map[uint32]*lane{}, wake: make(chan struct{}, 1), running: true}
	urgent := stuck(&sc, 4711)
	urgent.now[0].waiting.Store(true)
	other := sc.lane(4712)
	watch := newLook(wanted{}, nobody)
	watch.left[other.uid] = true
	other.next = []*look{watch}
	if sc.begin(nil); !other.free() || len(other.next) != 1 {
		t.Error("it began while somebody was waiting")
	}
	urgent.now[0].waiting.Store(false)
	if sc.begin(nil); other.free() {
		t.Error("it has not begun")
	}
	other.finish()
	urgent.finish()
}

// TestReusedTerminal: the watch's look at a session that has ended meanwhile does
// not make those who may hold the next one's terminal, which has its number,
// holders of another's. Nor does it hide others that are.
func TestReusedTerminal(t *testing.T) {
	s, pid := held(t)
	mine, err := readProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	theirs := holds(t, pid)
	s.place.session = mine
	before := &session{tty: s.tty, uid: s.uid, peer: s.peer, place: place{session: theirs}}
	before.peer.start++ // its pid is another's by now
	for _, first := range []bool{true, false} {
		watch, login := newLook(wanted{s.tty: before}, nobody), newLook(wanted{s.tty: s}, s.uid)
		ln := lane{uid: s.uid, next: []*look{login, watch}}
		if first {
			slices.Reverse(ln.next)
		}
		ln.start([]int{mine.pid, theirs.pid})
		for more := true; more; more, _ = ln.slice() {
		}
		if len(watch.found) != 0 || len(login.found) != 1 {
			t.Fatalf("%d for the watch, %d for the login", len(watch.found), len(login.found))
		}
		if h := <-login.found; h.pid != theirs.pid {
			t.Errorf("found %+v", h)
		}
	}
}

// TestHoldsTwo: who holds the terminals of two sessions is told to both.
func TestHoldsTwo(t *testing.T) {
	a, one := held(t)
	b, two := held(t)
	both := holds(t, one, two)
	ln := lane{uid: a.uid}
	for _, s := range []*session{a, b} {
		ln.next = append(ln.next, newLook(wanted{s.tty: s}, s.uid))
	}
	looks := ln.next
	ln.start([]int{both.pid})
	for more := true; more; more, _ = ln.slice() {
	}
	if len(looks[0].found) != 1 || len(looks[1].found) != 1 {
		t.Errorf("%d and %d were told", len(looks[0].found), len(looks[1].found))
	}
}

// TestLookThatHasNotBegun: its own user's processes are what is missing.
func TestLookThatHasNotBegun(t *testing.T) {
	var sc scanner
	sc.running = true // and never comes to it
	l := sc.ask(wanted{}, 1000)
	l.collect(l.own, time.Now(), func(hold) {})
	if got := sc.missing(l); !slices.Equal(got, []uint32{1000}) {
		t.Errorf("missing %v", got)
	}
}

// TestOneLaneForContainers: the many ids that one person may have do not make
// them many.
func TestOneLaneForContainers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to be somebody else")
	}
	for _, uid := range []string{"70001", "70002", "70003"} {
		cmd := exec.Command("setpriv", "--reuid", uid, "--clear-groups", "sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		list, err := census(func(uid uint32) bool { return uid == 70002 })
		if err != nil {
			t.Fatal(err)
		}
		if len(list[firstBeyond]) == 2 && len(list[70002]) == 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("lanes %v", list)
		}
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
		var sc scanner
		<-sc.ask(wanted{tty: s}, s.uid).done
	}
}
