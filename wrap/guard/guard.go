// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Guard is the daemon.
type Guard struct {
	RunDir string // where the session hook writes
	Logins string // whose keys are known
	Log    *slog.Logger

	// testOnlyAnyPeer lets a test talk to the guard without a set-id program.
	testOnlyAnyPeer bool
	// testOnlyLastWords shortens lastWords for peers that are the test itself.
	testOnlyLastWords time.Duration

	mu       sync.Mutex
	peers    map[uint32]int       // connections of each uid
	total    int                  // and of all
	sessions map[procID]*session  // by their recorders
	shells   map[procID][]process // shells of ended sessions that stood before their recorder, by monitor
	serving  sync.WaitGroup       // connections, with what follows their end
	sweeping chan struct{}        // as many sweeps at once as it has room
	sweeps   turns                // and one of each uid
	arrivals turns                // those who are looked at
	revokers revokers

	group     uint32     // of those who may call
	strangers []*session // see unknown; of the watch alone
}

// Limits on what one account, and all of them, can make the guard hold. A
// session costs two descriptors, a goroutine and a few hundred bytes.
const (
	maxPerUID = 1024             // a shared account's; wrap.yaml's sessions_per_user is 64
	maxTotal  = 8192             // the unit's LimitNOFILE fits this
	introduce = 2 * time.Second  // for the Hello, and for the third packet
	lastWords = 10 * time.Second // from the end of a connection to the end of its recorder
	maxSweeps = 4                // a host that logs everybody out still lets people in
)

// session is one recorder that has been introduced.
type session struct {
	Hello
	peer    process
	uid     uint32
	place   place
	scope   scope
	noting  sync.Mutex // who notes in the scope
	started bool       // the recorder has read the facts and goes on
	hangUp  func()     // ends the connection
	strikes strikes    // of the watch alone

	begun time.Time
	who   []string // what the line of its start said; nothing after that of its end
}

// Serve answers recorders on l until ctx ends. It returns when every connection
// has been seen to, the sweeps under way among that; sessions it knew go on
// without it.
func (g *Guard) Serve(ctx context.Context, l *os.File) error {
	g.mu.Lock()
	g.peers, g.sessions, g.shells = map[uint32]int{}, map[procID]*session{}, map[procID][]process{}
	g.mu.Unlock()
	g.sweeping = make(chan struct{}, maxSweeps)
	stop := context.AfterFunc(ctx, func() { _ = l.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	g.group = groupOf(l)
	g.watch(ctx)
	g.serving.Go(func() {
		if err := g.revokers.ready(); err != nil {
			g.Log.Error("terminals will not be revoked", "why", err)
		}
	})
	defer g.revokers.stop()
	defer g.serving.Wait()
	for {
		conn, err := accept(l)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
			time.Sleep(100 * time.Millisecond) // until somebody hangs up; don't spin
			continue
		case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		g.serving.Go(func() { g.serve(ctx, conn) })
	}
}

// serve takes one connection from its first packet to what follows its end.
func (g *Guard) serve(ctx context.Context, conn *os.File) {
	defer conn.Close()
	who, err := identify(conn)
	if err != nil {
		g.refuse(conn, who, err)
		return
	}
	defer who.close()
	if err := g.admit(who.uid); err != nil {
		g.refuse(conn, who, err)
		return
	}
	defer g.leave(who.uid)
	s, err := g.introduce(conn, who)
	if err != nil {
		g.refuse(conn, who, err)
		return
	}
	stop := context.AfterFunc(ctx, s.hangUp)
	defer stop()
	attend(conn, func(l Line) { g.relay(s, l) })
	if ctx.Err() != nil {
		return // the guard ends, not the session
	}
	g.ended(s, who)
}

// refuse lets the recorder go on before it waits for the log.
func (g *Guard) refuse(conn *os.File, who peer, why error) {
	_ = conn.Close()
	g.Log.Warn("refused", "uid", who.uid, "pid", who.pid, "why", why)
}

func (g *Guard) admit(uid uint32) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.peers[uid] >= maxPerUID || g.total >= maxTotal {
		return fmt.Errorf("too many connections (%d of this uid, %d in all)", g.peers[uid], g.total)
	}
	g.peers[uid]++
	g.total++
	return nil
}

func (g *Guard) leave(uid uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.peers[uid]--; g.peers[uid] == 0 {
		delete(g.peers, uid)
	}
}

// introduce hears the Hello, finds out the facts and waits for the recorder to
// take them. From the Hello on the session is known: what runs in it is nested.
func (g *Guard) introduce(conn *os.File, who peer) (*session, error) {
	if !g.testOnlyAnyPeer && !isRecorder(who.pid, who.gid) {
		return nil, errors.New("the peer is not the recorder")
	}
	_ = conn.SetDeadline(time.Now().Add(introduce))
	hello, tty, err := receiveHello(conn)
	if tty != nil {
		defer tty.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	s, facts, err := g.examine(hello, who)
	if err != nil {
		return nil, err
	}
	s.hangUp = func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }
	if s.place.bySSHD() {
		g.secure(conn, s, tty, &facts)
	}
	facts.bound()
	packet, err := facts.encode()
	if err == nil {
		err = exchange(conn, packet)
	}
	if err != nil {
		g.forget(s)
		return nil, fmt.Errorf("the recorder of session %s did not wait: %w", s.Session, err)
	}
	_ = conn.SetDeadline(time.Time{})
	g.mu.Lock()
	s.started, s.begun = true, time.Now()
	g.mu.Unlock()
	g.Log.Info("session", "session", s.Session, "uid", s.uid, "pid", s.peer.pid, "monitor", facts.MonitorPID,
		"audit", int64(int32(facts.Audit)), "standing", facts.Standing, "nested", facts.Nested, "between", facts.Between,
		"key", facts.Key, "login", facts.Login, "tty_taken", facts.TTYTaken, "tty_revoked", facts.TTYRevoked, "holders", facts.Holders, "refuse", facts.Refuse, "doubt", facts.Doubt)
	return s, nil
}

// examine finds out what there is to know about who. A user who lets a
// thousand recorders call at once waits for each of these and not anybody else.
func (g *Guard) examine(hello Hello, who peer) (*session, Facts, error) {
	defer g.arrivals.take(who.uid)()
	chain, chainErr := ancestors(who.pid)
	s := &session{Hello: hello, peer: who.process, uid: who.uid}
	s.place = find(chain, who.uid, g.recorded)
	if chainErr != nil && s.place.standing == Outside {
		return nil, Facts{}, chainErr // it could be anybody's child
	}
	facts := Facts{Standing: s.place.standing, MonitorPID: s.place.monitor.pid, Audit: audit(who.pid), Nested: s.place.nested, Lines: true}
	for _, p := range s.place.between {
		facts.Between = append(facts.Between, p.comm)
	}
	if !who.alive() {
		return nil, Facts{}, errors.New("the recorder has ended") // its pid may be another's by now
	}
	switch s.place.standing {
	case Direct, Behind:
		s.scope = scopeOf(s.place, s.peer)
	case Outside:
		g.parentByAudit(&facts)
	case Nested:
		facts.MonitorPID = g.monitorOf(facts.Nested)
	}
	if k, ok := Accepted(g.RunDir, who.pid); ok {
		facts.Key = k.Fingerprint
		facts.Login, facts.LoginID = LoginOf(g.Logins, k.Fingerprint)
	}
	g.mu.Lock()
	g.sessions[s.peer.procID] = s
	g.mu.Unlock()
	return s, facts, nil
}

func (g *Guard) recorded(p process) (string, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s, ok := g.sessions[p.procID]
	if !ok {
		return "", false
	}
	return s.Session, true
}

// parentByAudit names the session that a recorder belongs to which has left
// the tree (its recorder was killed, or it was started by a daemon's child).
func (g *Guard) parentByAudit(facts *Facts) {
	if facts.Audit == AuditUnset {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		if s.scope.audit == facts.Audit && s.place.bySSHD() {
			facts.Standing, facts.Nested, facts.MonitorPID = Nested, s.Session, s.place.monitor.pid
			return
		}
	}
}

func (g *Guard) monitorOf(id string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		if s.Session == id {
			return s.place.monitor.pid
		}
	}
	return 0
}

func (g *Guard) forget(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, s.peer.procID)
}
