// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"castgate/upload/archive"
	"castgate/upload/manifest"
)

// Auditor is somebody who is signed in.
type Auditor struct {
	Name   string // as the page and the audit log show it
	Role   string // own, team or all
	Person manifest.Person
	Scope  archive.Scope
}

// Roles.
const (
	RoleOwn  = "own"
	RoleTeam = "team"
	RoleAll  = "all"
)

// What each role sees is in its Scope, which knows people only.
func seesAll(name string, p manifest.Person) Auditor {
	return Auditor{name, RoleAll, p, archive.Everything()}
}

func seesTeam(name string, p manifest.Person, members []manifest.Person) Auditor {
	return Auditor{name, RoleTeam, p, archive.SessionsOf(append(members, p)...)}
}

func seesOwn(name string, p manifest.Person) Auditor {
	return Auditor{name, RoleOwn, p, archive.SessionsOf(p)}
}

// A session ends after sessionIdle without a request and at the latest after
// sessionMax, which is also how long somebody who left the team still sees
// the page. maxSessions bounds memory; the oldest goes first.
const (
	sessionIdle = time.Hour
	sessionMax  = 8 * time.Hour
	maxSessions = 10_000
)

// sessions are kept in memory: a restart signs everybody out, nothing is on
// disk that could be stolen, and signing out ends a session for good.
type sessions struct {
	mu  sync.Mutex
	all map[string]*session
	now func() time.Time
}

type session struct {
	who         Auditor
	start, last time.Time
}

func newSessions() *sessions { return &sessions{all: map[string]*session{}, now: time.Now} }

// begin returns the new session's name, which is its secret.
func (s *sessions) begin(who Auditor) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	id := rand.Text()
	s.all[id] = &session{who, s.now(), s.now()}
	return id
}

func (s *sessions) forget() {
	oldest := ""
	for id, v := range s.all {
		if s.expired(v) {
			delete(s.all, id)
		} else if oldest == "" || v.last.Before(s.all[oldest].last) {
			oldest = id
		}
	}
	if len(s.all) >= maxSessions {
		delete(s.all, oldest)
	}
}

func (s *sessions) expired(v *session) bool {
	return s.now().Sub(v.last) > sessionIdle || s.now().Sub(v.start) > sessionMax
}

func (s *sessions) get(id string) (Auditor, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.all[id]
	if v == nil {
		return Auditor{}, false
	}
	if s.expired(v) {
		delete(s.all, id)
		return Auditor{}, false
	}
	v.last = s.now()
	return v.who, true
}

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, id)
}

// cookieName returns the session cookie's name. With __Host- a browser takes it
// only over TLS, for this host, for every path: no neighbour can plant one.
func cookieName(secure bool) string {
	if secure {
		return "__Host-castgate"
	}
	return "castgate"
}

func setCookie(w http.ResponseWriter, secure bool, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life.Seconds()),
		Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
