// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import "time"

// watch ends the session when the client is gone or castgate-once shall stop.
// A loop that doesn't end then waits for the log, which nobody reads.
func (s *session) watch(gone <-chan struct{}) {
	select {
	case <-gone:
	case sig := <-s.process.stop:
		s.mu.Lock()
		s.stopping = sig
		s.mu.Unlock()
	case <-s.over:
		return
	}
	s.wake.Hangup()
	select {
	case <-s.over:
	case <-time.After(stuckGrace):
		close(s.stuck)
	}
}

// aliveEvery and aliveMissed find out that the network is gone without saying
// so (ClientAliveInterval and ClientAliveCountMax, sshd_config(5)).
const (
	aliveEvery  = 15 * time.Second
	aliveMissed = 3
)

// keepAlive closes the connection when the client doesn't answer any more. Any
// answer will do; OpenSSH refuses the request, which is one.
func (s *session) keepAlive(gone <-chan struct{}) {
	answered := make(chan error, 1)
	for {
		select {
		case <-gone:
			return
		case <-time.After(aliveEvery):
		}
		go func() {
			_, _, err := s.visitor.conn.SendRequest("keepalive@openssh.com", true, nil)
			answered <- err
		}()
		select {
		case err := <-answered:
			if err == nil {
				continue
			}
		case <-time.After(aliveEvery * aliveMissed):
			s.logger.Warn("client does not answer", s.who()...)
		}
		s.visitor.conn.Close()
		return
	}
}
