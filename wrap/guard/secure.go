// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// scanTime is how long a login waits for the look at who holds its terminal.
// Together with the rest it is less than a recorder waits for. It is its own
// user's processes that may take it: for another's that are many, nobody waits.
const scanTime = 300 * time.Millisecond

// secure takes the outer terminal away from everybody but the recorder. Where
// the look at who holds it does not end in time, the facts say so: the session
// is in doubt when it is its own user's processes that are too many, and only
// told of when they are another's. What is left of the look goes on.
func (g *Guard) secure(s *session, tty *os.File, facts *Facts) {
	if tty == nil {
		return
	}
	t, err := take(int(tty.Fd()), s.uid)
	if err != nil {
		facts.Doubt = "the terminal was not taken: " + err.Error()
		return
	}
	s.tty, facts.TTYTaken = t, true
	deadline := time.Now().Add(scanTime)
	l := g.scanner.ask(wanted{t: s}, s.uid)
	evict := func(h hold) { facts.held(h, h.evict()) }
	l.collect(l.own, deadline, evict)
	l.collect(l.most, deadline, evict)
	l.waiting.Store(false)
	if missing := g.scanner.missing(l); len(missing) > 0 {
		facts.Doubt = unsearched(missing)
		if slices.Contains(missing, s.uid) && facts.Refuse == "" {
			facts.Refuse = facts.Doubt
		}
		go g.follow(l)
	}
}

// collect deals with what l finds until its part is through, or until deadline.
func (l *look) collect(through <-chan struct{}, deadline time.Time, deal func(hold)) {
	late := time.After(time.Until(deadline))
	for {
		select {
		case h := <-l.found:
			deal(h)
			continue
		case <-through:
		case <-late:
		}
		for len(l.found) > 0 {
			deal(<-l.found)
		}
		return
	}
}

// held tells of a holder. One that could not be ended leaves the session in
// doubt, unless it is root's.
func (f *Facts) held(h hold, ended bool) {
	f.Holders = append(f.Holders, Holder{PID: h.pid, UID: h.uid, Comm: h.comm, Ended: ended})
	if !ended && h.uid != 0 {
		f.Refuse = fmt.Sprintf("process %d of uid %d has the terminal open and could not be ended", h.pid, h.uid)
	}
}

// maxUnsearched bounds what is said about a look.
const maxUnsearched = 8

// unsearched says, for the header, whose processes were not searched.
func unsearched(uids []uint32) string {
	var list []string
	for _, uid := range uids[:min(len(uids), maxUnsearched)] {
		list = append(list, fmt.Sprint(uid))
	}
	if more := len(uids) - len(list); more > 0 {
		list = append(list, fmt.Sprintf("%d more", more))
	}
	return "the terminal was not looked for in time among the processes and open files of uid " + strings.Join(list, ", ")
}

// follow deals with what l finds after those who waited for it have gone on.
func (g *Guard) follow(l *look) {
	for {
		select {
		case h := <-l.found:
			g.intrude(h)
			continue
		case <-l.done:
		}
		for len(l.found) > 0 {
			h := <-l.found
			g.intrude(h)
		}
		return
	}
}

// intrude deals with a holder of the terminal of a session that goes on.
func (g *Guard) intrude(h hold) {
	s := h.of
	if ended, _ := s.peer.ended(); ended {
		return // its terminal's number may be another's by now
	}
	if h.spared() {
		g.mu.Lock()
		seen := s.sparedSeen
		s.sparedSeen = true
		g.mu.Unlock()
		if seen {
			return
		}
	}
	ended := h.evict()
	g.Log.Warn("terminal held by another", "session", s.Session, "uid", s.uid, "pid", s.peer.pid,
		"holder", h.pid, "holder uid", h.uid, "holder name", h.comm, "ended", ended)
}
