// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"castgate/wrap/asciicast"
	"castgate/wrap/record"
	"castgate/wrap/terminal"
)

// session is the one that castgate-once serves.
type session struct {
	*server
	visitor *visitor
	id      string
	start   time.Time
	wake    *terminal.Waker
	logger  *slog.Logger

	started chan *task    // what the client asked for
	over    chan struct{} // the recording is complete
	stuck   chan struct{} // it doesn't get there

	mu       sync.Mutex
	channel  bool           // it has opened its channel
	size     unix.Winsize   // of its window
	stopping syscall.Signal // castgate-once was told to stop
}

// How long things may take that need no person.
const (
	askGrace   = 60 * time.Second // from the login to a session; ssh -N never asks for one
	closeGrace = 5 * time.Second  // for the client to hang up first, so that it gets all we sent
	stuckGrace = 10 * time.Second // for the loop to end after a hang-up; then the log takes no more
)

func newSession(s *server, v *visitor) *session {
	now := time.Now()
	id := asciicast.NewID(now)
	return &session{
		server: s, visitor: v, id: id, start: now, logger: s.Logger.With("session", id),
		started: make(chan *task, 1), over: make(chan struct{}), stuck: make(chan struct{}),
	}
}

// serve waits for what the client wants and runs it.
func (s *session) serve() (int, error) {
	defer s.visitor.conn.Close()
	var err error
	if s.wake, err = terminal.NewWaker(); err != nil {
		return 0, err
	}
	s.process.handOver(s.wake)
	gone := make(chan struct{})
	go func() {
		_ = s.visitor.conn.Wait()
		close(gone)
	}()
	go ssh.DiscardRequests(s.visitor.requests) // tcpip-forward and its like: refused
	go s.openings()
	go s.keepAlive(gone)

	select {
	case t := <-s.started:
		return s.runUnlessStuck(t, gone)
	case <-gone:
		return 0, s.gone("before it asked for a session")
	case <-time.After(askGrace):
		return 0, s.gone(fmt.Sprintf("without asking for a session within %s", askGrace))
	case sig := <-s.process.stop:
		return 128 + int(sig), fmt.Errorf("stopped by a signal: %s", sig)
	}
}

func (s *session) gone(when string) error {
	s.logger.Warn("session lost", s.who("why", when)...)
	return fault(StatusGone, "the remote side went away %s", when)
}

// who is the fields that every line about the session has.
func (s *session) who(more ...any) []any {
	return append([]any{"client", s.visitor.from.String(), "key", s.visitor.print, "line", s.visitor.key.Line}, more...)
}

// runUnlessStuck runs what was asked for, but doesn't wait for a log that
// nobody reads once the session should be over.
func (s *session) runUnlessStuck(t *task, gone <-chan struct{}) (status int, err error) {
	ended := make(chan struct{})
	go func() {
		status, err = s.run(t, gone)
		close(ended)
	}()
	select {
	case <-ended:
		return status, err
	case <-s.stuck:
		return 0, fault(StatusLog, "write the log: nobody reads it any more")
	}
}

// run records and runs what was asked for and ends the connection.
func (s *session) run(t *task, gone <-chan struct{}) (int, error) {
	go s.watch(gone)
	rec, err := s.record(t)
	if err != nil {
		t.apologize(" and is refused")
		t.report(record.End{Status: record.StatusRefused, Ended: true})
		s.farewell(gone)
		return 0, err
	}
	s.logger.Info("session start", s.who("kind", t.kind, "tty", t.tty())...)
	end, err := t.run(s, rec)
	lost := rec.Err()
	if err != nil && lost == nil { // it could not be run at all
		end = record.NotRun(err)
		t.complain(rec, err)
	}
	if finish := rec.Finish(end, s.whyEnded()); lost == nil {
		lost = finish
	} else {
		t.apologize(" any longer and has been ended")
		end = record.End{Status: record.StatusRefused, Ended: true}
	}
	close(s.over)
	s.logger.Info("session end", s.who(rec.Outcome(end, t.facts)...)...)
	s.deliver(t, end, gone)
	return s.result(end, lost)
}

// deliver waits until the client has what was shown and tells it the end.
func (s *session) deliver(t *task, end record.End, gone <-chan struct{}) {
	delivered := make(chan struct{})
	go func() {
		t.copies.Wait()
		close(delivered)
	}()
	select {
	case <-delivered:
		t.report(end)
	case <-gone:
		return
	case <-s.process.stop:
		return
	}
	s.farewell(gone)
}

// farewell lets the client close the connection: closing it here could throw
// away what is still on its way.
func (s *session) farewell(gone <-chan struct{}) {
	select {
	case <-gone:
	case <-time.After(closeGrace):
	}
}

// result is castgate-once's own end.
func (s *session) result(end record.End, lost error) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case lost != nil:
		return 0, fault(StatusLog, "write the log: %w", lost)
	case end.Hangup && s.stopping != 0:
		return 128 + int(s.stopping), fmt.Errorf("stopped by a signal: %s", s.stopping)
	case end.Hangup:
		return 0, fault(StatusGone, "the remote side went away before the session had ended")
	}
	return end.Status, nil
}

func (s *session) whyEnded() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping != 0 {
		return "stopped by a signal: " + s.stopping.String()
	}
	return record.ClientGone
}

// apologize tells the person that there will be no session, or no more of it.
func (t *task) apologize(why string) {
	_, _ = io.WriteString(t.channel.Stderr(), "castgate-once: this session can't be recorded"+why+"\r\n")
}

// window is the size of the client's window.
func (s *session) window() (*unix.Winsize, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := s.size
	return &size, nil
}
