// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// scanner looks for the holders of terminals. A look has a part for each user
// with processes on the host: whoever has a million descriptors makes the look
// at their own processes long, and nobody else's. One goroutine does it all, a
// slice of time for one user after the other, so that however many ask, and
// whatever they have open, it takes one processor at most.
//
// Sessions that begin while the look at a user's processes is under way share
// the next, so that five hundred logins at once wait for two looks and not for
// five hundred.
type scanner struct {
	mu      sync.Mutex
	asked   []*look // in no lane yet
	running bool
	wake    chan struct{}

	lanes map[uint32]*lane // of the running goroutine alone, as all that follows
	busy  []*lane          // those with a pass under way
	turn  int              // whose slice comes next in busy
}

// look is one question: who holds the terminals in want.
type look struct {
	want  wanted
	owner uint32        // who logs in; nobody for the watch
	found chan hold     // as they are found
	own   chan struct{} // closed when the owner's processes have been searched
	most  chan struct{} // and those of everybody who has not too many
	done  chan struct{} // and those of everybody

	waiting atomic.Bool     // somebody waits for it
	lost    atomic.Bool     // more was found than there was room for, or /proc could not be read
	left    map[uint32]bool // users whose processes are still to be searched; scanner.mu
}

// nobody is no user's id: chown(2) takes it for "unchanged".
const nobody = ^uint32(0)

// maxFound is how many holders may wait to be dealt with. Who has more is in
// doubt, and looked at again.
const maxFound = 64

// What looks may take of a processor's time: all of it while a login waits;
// then half of it, for what is left of that user's own processes; and else, as
// the watch, a fiftieth.
const (
	loginShare = 2
	watchShare = 50
)

func newLook(want wanted, owner uint32) *look {
	return &look{
		want: want, owner: owner, found: make(chan hold, maxFound),
		own: make(chan struct{}), most: make(chan struct{}), done: make(chan struct{}), left: map[uint32]bool{},
	}
}

// ask begins a look. What was opened before is seen.
func (sc *scanner) ask(want wanted, owner uint32) *look {
	l := newLook(want, owner)
	l.waiting.Store(owner != nobody)
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.asked = append(sc.asked, l)
	if !sc.running {
		sc.running, sc.wake, sc.lanes = true, make(chan struct{}, 1), map[uint32]*lane{}
		go sc.run()
	}
	select {
	case sc.wake <- struct{}{}:
	default:
	}
	return l
}

// missing lists the users whose processes l has not searched to the end.
func (sc *scanner) missing(l *look) []uint32 {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	list := slices.Sorted(maps.Keys(l.left))
	begun := len(list) > 0 || isClosed(l.done)
	if !l.left[l.owner] && (l.lost.Load() || !begun) {
		list = append([]uint32{l.owner}, list...)
	}
	return list
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (sc *scanner) run() {
	for {
		sc.mu.Lock()
		asked := sc.asked
		sc.asked = nil
		if len(asked) == 0 && len(sc.lanes) == 0 {
			sc.running = false
			sc.mu.Unlock()
			return
		}
		sc.mu.Unlock()
		begin := time.Now()
		sc.begin(asked)
		sc.round()
		sc.rest(time.Since(begin))
	}
}

// begin puts looks into the lanes of all who have processes now, and starts
// the lanes that are free. The census is theirs: it is never older than a look.
func (sc *scanner) begin(asked []*look) {
	if len(asked) == 0 && !sc.someoneFree() {
		return
	}
	for _, l := range asked {
		if l.owner != nobody {
			sc.lane(l.owner)
		}
	}
	list, err := census(func(uid uint32) bool { return sc.lanes[uid] != nil })
	sc.mu.Lock()
	defer sc.mu.Unlock()
	for _, l := range asked {
		l.lost.Store(err != nil)
		for uid := range list {
			sc.lane(uid).join(l)
		}
		sc.through(l, l.owner) // of who has no process
	}
	sc.busy = slices.DeleteFunc(sc.busy, (*lane).free)
	for uid, ln := range sc.lanes {
		switch {
		case !ln.free():
		case len(ln.next) == 0:
			delete(sc.lanes, uid)
		default:
			ln.start(list[uid])
			sc.busy = append(sc.busy, ln)
		}
	}
}

// someoneFree says that a census is due for the lanes that are free. It takes
// long where there are many processes: while somebody waits to get in, and has
// not too much themselves, it is made for those who do.
func (sc *scanner) someoneFree() bool {
	free, waiting := false, false
	for _, ln := range sc.lanes {
		if ln.free() && ln.urgent() {
			return true
		}
		free, waiting = free || ln.free(), waiting || ln.urgent() && !ln.long()
	}
	return free && !waiting
}

func (sc *scanner) lane(uid uint32) *lane {
	ln := sc.lanes[uid]
	if ln == nil {
		ln = &lane{uid: uid, stop: func() {}}
		sc.lanes[uid] = ln
	}
	return ln
}

// round gives a slice to each user who is waiting to get in, and one to the
// others, so that these come through as well.
func (sc *scanner) round() {
	var others []*lane
	for _, ln := range slices.Clone(sc.busy) {
		if ln.urgent() {
			sc.slice(ln)
		} else {
			others = append(others, ln)
		}
	}
	if len(others) > 0 {
		sc.turn++
		sc.slice(others[sc.turn%len(others)])
	}
}

func (sc *scanner) slice(ln *lane) {
	more, long := ln.slice()
	if more && !long {
		return
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if more {
		for _, l := range ln.looks() {
			sc.through(l, ln.uid)
		}
		return
	}
	for _, l := range ln.finish() {
		delete(l.left, ln.uid)
		sc.through(l, ln.uid)
	}
	sc.busy = slices.DeleteFunc(sc.busy, (*lane).free)
	if len(ln.next) == 0 {
		delete(sc.lanes, ln.uid)
	}
}

// through tells of the part of l that uid's processes were, of that which is
// worth waiting for, and of its end.
func (sc *scanner) through(l *look, uid uint32) {
	closeOnce := func(c chan struct{}, now bool) {
		if now && !isClosed(c) {
			close(c)
		}
	}
	most := true
	for uid := range l.left {
		most = most && sc.lanes[uid].long()
	}
	closeOnce(l.own, uid == l.owner && !l.left[uid])
	closeOnce(l.most, most)
	closeOnce(l.done, len(l.left) == 0)
}

// rest leaves the processor to others after the scanner has had it for spent.
func (sc *scanner) rest(spent time.Duration) {
	if len(sc.lanes) == 0 {
		return
	}
	pause := (watchShare - 1) * spent
	for _, ln := range sc.lanes {
		for _, l := range ln.looks() {
			if l.waiting.Load() {
				return
			}
			if l.owner == ln.uid {
				pause = (loginShare - 1) * spent
			}
		}
	}
	select {
	case <-sc.wake:
	case <-time.After(pause):
	}
}
