// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Class says what a failed call means. None of them changes what the cache
// knows about people: "GitHub did not answer" is never "nobody is a member".
type Class string

const (
	Missing    Class = "missing"    // 404: a team, an organisation, a login
	BadToken   Class = "token"      // 401: expired, revoked, mistyped
	Limited    Class = "limited"    // 403 or 429 with a limit in its headers
	Forbidden  Class = "forbidden"  // 403 else: scope, SAML
	Broken     Class = "broken"     // 5xx, network, TLS, HTML, cut JSON
	Incomplete Class = "incomplete" // a list that did not reach its end
	Suspicious Class = "suspicious" // a team that shrank more than is likely
	Unkept     Class = "unkept"     // not GitHub: the host does not know whose an account is
)

// Fault is a call that failed, with what it means.
type Fault struct {
	Class Class
	Op    string    // what was asked, for people
	Until time.Time // for Limited: when GitHub will answer again
	Slow  bool      // for Broken: it took all the time there was
	Err   error
}

func (f *Fault) Error() string { return f.Op + ": " + f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

// Hint is what an administrator can do about it.
func (f *Fault) Hint() string {
	switch f.Class {
	case Missing:
		return "is the team's slug right, and may the token see the team (read:org, its owner a member of the organisation)?"
	case BadToken:
		return "the token expired or was revoked: write a new one into token_file"
	case Limited:
		return "the limit is per token: give each group of hosts its own, or raise cache.ttl"
	case Forbidden:
		return "the token needs read:org and, with SAML, an authorisation for the organisation"
	case Suspicious:
		return "if they really left, a refresh a minute later believes it"
	case Unkept:
		return "systemd-tmpfiles --create castgate.conf gives the directory its owner and mode; castgate-keys pin lists what is in it"
	}
	return ""
}

func faultOf(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return nil
}

func isClass(err error, c Class) bool {
	f := faultOf(err)
	return f != nil && f.Class == c
}

// maxWait bounds what a header may ask for: GitHub's windows are an hour.
const maxWait = time.Hour

// defaultWait is GitHub's advice for a secondary limit that names no time
// (docs.github.com, "Best practices for using the REST API").
const defaultWait = time.Minute

// statusFault classifies an answer that is not a success. go-github v60 takes
// a 429 for an ordinary error, so the status and the headers decide.
func statusFault(op string, r *http.Response, now time.Time) *Fault {
	f := &Fault{Class: Broken, Op: op, Err: fmt.Errorf("GitHub answered %d %s", r.StatusCode, http.StatusText(r.StatusCode))}
	switch {
	case r.StatusCode == http.StatusNotFound || r.StatusCode == http.StatusGone:
		f.Class = Missing
	case r.StatusCode == http.StatusUnauthorized:
		f.Class = BadToken
	case r.StatusCode == http.StatusTooManyRequests, r.StatusCode == http.StatusForbidden && limited(r.Header):
		f.Class, f.Until = Limited, waitUntil(r.Header, now)
	case r.StatusCode == http.StatusForbidden:
		f.Class = Forbidden
	}
	return f
}

func limited(h http.Header) bool {
	return h.Get("Retry-After") != "" || h.Get("X-Ratelimit-Remaining") == "0"
}

func waitUntil(h http.Header, now time.Time) time.Time {
	until := now.Add(defaultWait)
	if s, err := strconv.ParseInt(h.Get("Retry-After"), 10, 64); err == nil && s >= 0 && s <= int64(maxWait/time.Second) {
		until = now.Add(time.Duration(s) * time.Second)
	} else if at, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		until = at
	} else if s, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64); err == nil && h.Get("X-Ratelimit-Remaining") == "0" {
		until = time.Unix(s, 0)
	}
	if until.After(now.Add(maxWait)) {
		until = now.Add(maxWait)
	}
	return until
}

// brokenFault is a call that got no answer, or none that could be read.
func brokenFault(op string, err error) *Fault {
	if f := faultOf(err); f != nil {
		return f
	}
	var timeout interface{ Timeout() bool }
	slow := errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
	if slow {
		err = errors.New("GitHub did not answer in time")
	}
	return &Fault{Class: Broken, Op: op, Slow: slow, Err: err}
}
