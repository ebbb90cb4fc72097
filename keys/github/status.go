// SPDX-License-Identifier: AGPL-3.0-or-later

package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"castgate/keys/known"
)

// defaultWait is GitHub's advice for a secondary limit that names no time
// (docs.github.com, "Best practices for using the REST API").
const defaultWait = time.Minute

// statusFault classifies an answer that is not a success. go-github v60 takes
// a 429 for an ordinary error, so the status and the headers decide.
func statusFault(op string, r *http.Response, now time.Time) *known.Fault {
	f := &known.Fault{Class: known.Broken, Op: op, Err: fmt.Errorf("GitHub answered %d %s", r.StatusCode, http.StatusText(r.StatusCode))}
	switch {
	case r.StatusCode == http.StatusNotFound || r.StatusCode == http.StatusGone:
		f.Class = known.Missing
	case r.StatusCode == http.StatusUnauthorized:
		f.Class = known.BadToken
	case r.StatusCode == http.StatusTooManyRequests, r.StatusCode == http.StatusForbidden && limited(r.Header):
		f.Class, f.Until = known.Limited, waitUntil(r.Header, now)
	case r.StatusCode == http.StatusForbidden:
		f.Class = known.Forbidden
	}
	return f
}

func limited(h http.Header) bool {
	return h.Get("Retry-After") != "" || h.Get("X-Ratelimit-Remaining") == "0"
}

func waitUntil(h http.Header, now time.Time) time.Time {
	until := now.Add(defaultWait)
	if s, err := strconv.ParseInt(h.Get("Retry-After"), 10, 64); err == nil && s >= 0 && s <= int64(known.MaxWait/time.Second) {
		until = now.Add(time.Duration(s) * time.Second)
	} else if at, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		until = at
	} else if s, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64); err == nil && h.Get("X-Ratelimit-Remaining") == "0" {
		until = time.Unix(s, 0)
	}
	if until.After(now.Add(known.MaxWait)) {
		until = now.Add(known.MaxWait)
	}
	return until
}

// brokenFault is a call that got no answer, or none that could be read.
func brokenFault(op string, err error) *known.Fault {
	if f := known.FaultOf(err); f != nil {
		return f
	}
	var timeout interface{ Timeout() bool }
	slow := errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
	if slow {
		err = errors.New("GitHub did not answer in time")
	}
	return &known.Fault{Class: known.Broken, Op: op, Slow: slow, Err: err}
}
