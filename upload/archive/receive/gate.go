// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

var (
	errBusy = &refusal{http.StatusServiceUnavailable, errors.New("too many requests at once")}
	errRate = &refusal{http.StatusTooManyRequests, errors.New("too many requests")}
)

// gate counts requests: at once of all hosts, at once of one host, and a
// host's rate by a token bucket. Hosts have certificates of the fleet, so there
// are only so many of them and the map stays small.
type gate struct {
	limits Limits
	mu     sync.Mutex
	inside int
	hosts  map[string]*visits
}

type visits struct {
	inside int
	tokens float64
	last   time.Time
}

func newGate(l Limits) *gate { return &gate{limits: l, hosts: map[string]*visits{}} }

// enter returns the function to call on leaving.
func (g *gate) enter(host string, now time.Time) (leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.hosts[host]
	if v == nil {
		v = &visits{tokens: float64(g.limits.Burst), last: now}
		g.hosts[host] = v
	}
	v.tokens = min(float64(g.limits.Burst), v.tokens+now.Sub(v.last).Seconds()*g.limits.Rate)
	v.last = now
	switch {
	case v.tokens < 1:
		return nil, errRate
	case g.inside >= g.limits.Parallel, v.inside >= g.limits.PerHost:
		return nil, errBusy
	}
	v.tokens--
	v.inside++
	g.inside++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		v.inside--
		g.inside--
	}, nil
}
