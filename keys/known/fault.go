// SPDX-License-Identifier: AGPL-3.0-or-later

package known

import (
	"errors"
	"time"
)

// Class says what a failed call means. None of them changes what is known of
// people.
type Class string

// The classes.
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

// Error implements error.
func (f *Fault) Error() string { return f.Op + ": " + f.Err.Error() }

// Unwrap is for package errors.
func (f *Fault) Unwrap() error { return f.Err }

// Hint is what an administrator can do about it.
func (f *Fault) Hint() string {
	var given interface{ Hint() string }
	if errors.As(f.Err, &given) {
		return given.Hint()
	}
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

// FaultOf is the fault in an error, nil when there is none.
func FaultOf(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// Is reports whether an error is a fault of the class.
func Is(err error, c Class) bool {
	f := FaultOf(err)
	return f != nil && f.Class == c
}
