// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"cmp"
	"time"

	"castgate/wrap/guard"
)

// guardTimeout is what an absent, stopped or hung guard may cost a login.
const guardTimeout = 500 * time.Millisecond

// introduce calls the guard for the first time: what it knows is for the header,
// and the outer terminal is revoked.
func (s *session) introduce() (guard.Facts, error) {
	var outer guard.Surrender
	facts, err := s.hello(outer.Give)
	revoked, backErr := outer.Back()
	if backErr != nil {
		return guard.Facts{}, &fatalError{backErr}
	}
	s.typed = outer.Typed
	s.sized()
	if err == nil {
		prove(&facts, revoked)
	}
	return facts, err
}

// prove holds what the guard says of the terminal to what the recorder has seen.
func prove(facts *guard.Facts, revoked bool) {
	switch {
	case facts.TTYRevoked && !revoked:
		facts.Refuse = "the guard says that the terminal was revoked, and it was not"
	case revoked && !facts.TTYRevoked:
		facts.Refuse = "the terminal was hung up by somebody else than the guard"
	case facts.TTYTaken && !revoked:
		facts.Doubt = cmp.Or(facts.Doubt, "the terminal was not revoked") // by one that is older
	}
}

// fatalError is one after which there is no terminal to go on with.
type fatalError struct{ error }

func (e *fatalError) Unwrap() error { return e.error }

// hello calls the guard for this session and keeps the connection.
func (s *session) hello(give func(master int) error) (guard.Facts, error) {
	c, err := guard.Connect(guard.Socket, guardTimeout)
	if err != nil {
		return guard.Facts{}, err
	}
	tty := -1
	if s.tty {
		tty = 0
	}
	facts, err := c.Hello(guard.Hello{Session: s.id, Leftovers: s.policy.Leftovers}, tty, give)
	if err != nil {
		return guard.Facts{}, err
	}
	if err := c.Announce(); err != nil {
		s.log.Warn("guard's end will not be seen", s.who("why", err.Error())...)
	}
	s.guard.Store(c)
	return facts, nil
}

// A guard that was upgraded is back within seconds. One that was stopped may
// stay away for the rest of a session that lasts for days.
const (
	callAgainFirst = time.Second
	callAgainMost  = time.Minute
)

// guardLeft follows SIGIO: when the guard has hung up it is called again, so
// that the next one knows this session and sees its end. The session goes on
// meanwhile. It returns false when the signal was for the program.
func (s *session) guardLeft() bool {
	c := s.guard.Load()
	if c == nil || !c.Ended() {
		return false
	}
	s.guard.Store(nil)
	_ = c.Close()
	s.log.Warn("guard left", s.who("why", "the guard hung up")...)
	go s.callAgain()
	return true
}

// callAgain calls the guard until it is there, and tells it of the session.
func (s *session) callAgain() {
	for pause := callAgainFirst; ; pause = min(2*pause, callAgainMost) {
		time.Sleep(pause)
		facts, err := s.hello(nil)
		if err != nil {
			continue
		}
		if !s.over.Load() { // else the guard would take it for one that goes on
			s.log.Info(guard.LineBack, s.who("standing", string(facts.Standing), "refuse", facts.Refuse)...)
		}
		return
	}
}

// guarded says whether the guard will see this session's end. One that has
// just been started anew may not have been called yet.
func (s *session) guarded() bool {
	if s.config.Guard == "no" {
		return false
	}
	if c := s.guard.Load(); c != nil && !c.Ended() {
		return true
	}
	_, err := s.hello(nil)
	return err == nil
}
