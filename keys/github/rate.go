// SPDX-License-Identifier: AGPL-3.0-or-later

package github

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"castgate/keys/known"
)

// rate is what the last answers said about the limit of calls, which all hosts
// with the same token share: 5,000 in an hour.
//
// A refresh is for convenience, a login is not. So a refresh uses the first half
// of the hour's calls and leaves the second to logins, which need three each. A
// team of 1,000 costs a host 10 calls by GraphQL, so 200 hosts get at least one
// whole refresh each in an hour (200 x 10 of 2,500), and more when they are
// fewer; by REST the first refresh costs 2,010, and after that nothing: answers
// that did not change are not counted. Between two refreshes, logins keep their
// own person's record fresh.
type rate struct {
	mu     sync.Mutex
	limit  int
	left   int
	reset  time.Time
	counts bool // whether the last call was counted
}

func (r *rate) see(resp *http.Response) {
	h := resp.Header
	limit, err1 := strconv.Atoi(h.Get("X-Ratelimit-Limit"))
	left, err2 := strconv.Atoi(h.Get("X-Ratelimit-Remaining"))
	reset, err3 := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return // Enterprise Server has no limits by default
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limit, r.left, r.reset, r.counts = limit, left, time.Unix(reset, 0), resp.StatusCode != http.StatusNotModified
}

// spare stops a refresh that would take from the logins' half, until the hour
// is over.
func (r *rate) spare(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.counts || r.left >= r.limit/2 {
		return nil
	}
	until := r.reset
	if until.After(now.Add(known.MaxWait)) || until.Before(now) {
		until = now.Add(known.MaxWait)
	}
	return &known.Fault{Class: known.Limited, Op: "refresh", Until: until, Err: known.ErrSpare}
}
