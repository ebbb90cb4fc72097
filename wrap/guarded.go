// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"time"

	"castgate/wrap/guard"
)

// guardTimeout is what an absent, stopped or hung guard may cost a login.
const guardTimeout = 500 * time.Millisecond

// hello calls the guard for this session and keeps the connection.
func (s *session) hello() (guard.Facts, error) {
	c, err := guard.Connect(guard.Socket, guardTimeout)
	if err != nil {
		return guard.Facts{}, err
	}
	tty := -1
	if s.tty {
		tty = 0
	}
	facts, err := c.Hello(guard.Hello{Session: s.id, Leftovers: s.policy.Leftovers}, tty)
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
		facts, err := s.hello()
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
	_, err := s.hello()
	return err == nil
}
