// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
)

// rate is what the last answers said about the limit of calls, which all hosts
// with the same token share: 5,000 in an hour.
//
// A refresh is for convenience, a login is not. So a refresh uses the first half
// of the hour's calls and leaves the second to logins, which need three each. A
// team of 1,000 costs a host 10 calls by GraphQL, so 200 hosts get at least one
// whole refresh each in an hour (200 x 10 of 2,500), and more when they are
// fewer; by REST the first refresh costs 1,010, and after that nothing: answers
// that did not change are not counted. Between two refreshes, logins keep their
// own person's record fresh.
type rate struct {
	mu     sync.Mutex
	limit  int
	left   int
	counts bool // whether the last call was counted
}

func (r *rate) see(resp *http.Response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	limit, err := strconv.Atoi(resp.Header.Get("X-Ratelimit-Limit"))
	left, err2 := strconv.Atoi(resp.Header.Get("X-Ratelimit-Remaining"))
	if err == nil && err2 == nil {
		r.limit, r.left, r.counts = limit, left, resp.StatusCode != http.StatusNotModified
	}
}

func (r *rate) low() bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts && r.left < r.limit/2
}

// spare stops a refresh that would take from the logins' half.
func (s *Service) spare() error {
	if s.rate.low() {
		return &Fault{Class: Limited, Op: "refresh", Err: errors.New("half of the hour's calls are used; the other half is for logins")}
	}
	return nil
}
