// SPDX-License-Identifier: AGPL-3.0-or-later

// Package github asks GitHub who is in a team and with which keys: by REST, which
// every GitHub has, and by GraphQL, which needs a hundredth of the calls. Beside
// the questions it has what they need: the sign-in with a token or as an App, the
// answers kept for revalidation, the limit of calls, and which class of failure an
// answer is. What is believed, and for how long, is for packages known and keys.
package github

import (
	"net/http"
	"time"

	"castgate/keys"
	"castgate/keys/known"
	"castgate/keys/settings"
)

// Connect lets a service ask the GitHub of its configuration. It makes no call.
func Connect(s *keys.Service) {
	g, now := s.Config.GitHub, func() time.Time { return s.Known.Now() }
	limit := &rate{}
	hc, err := newClient(g, s.Known, limit)
	if err != nil {
		s.Unreachable(err)
		return
	}
	rest := newREST(g, hc, now)
	rest.believe = func(slug string, list []known.Person) []known.Teammate {
		return s.Known.Believe(slug, list, now())
	}
	teams := []keys.Directory{newGraph(g, hc, now), rest}
	if g.Enterprise() { // GraphQL doesn't tell who is suspended
		teams = teams[1:]
	}
	s.Connect(rest, func() error { return limit.spare(now()) }, teams...)
}

// newClient is the one HTTP client of a process. It connects nothing yet. The
// store keeps ETags.
func newClient(g settings.GitHub, s *known.Store, r *rate) (*http.Client, error) {
	hc, net, err := newHTTP(g)
	if err != nil {
		return nil, err
	}
	base, err := g.Base()
	if err != nil {
		return nil, err
	}
	t := &transport{next: net, base: base, auth: tokenFile(g.TokenFile), etags: &etags{cache: s.Dir}, rate: r}
	if g.App.KeyFile != "" {
		a := newAppTokens(g.App, base, net, func() time.Time { return s.Now() })
		t.auth, t.rejected = a.authorization, a.reject
	}
	hc.Transport = t
	return hc, nil
}
