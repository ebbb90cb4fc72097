// SPDX-License-Identifier: AGPL-3.0-or-later

// Package known is what the host knows of an organisation on GitHub: what was
// said of people and teams, when, and for how long it may be believed. It is kept
// in the cache, a directory of small files that all processes on the host share.
// What GitHub says (Person, State) and how a question fails (Fault) is here as
// well, because only an answer with authority changes what is known: "GitHub did
// not answer" is never "nobody is a member". It asks nobody and decides nothing.
package known

// State is what GitHub says of a login and a team.
type State string

// The states of a membership. Pending is an invitation not yet accepted: it
// opens nothing.
const (
	Active  State = "active"
	Pending State = "pending"
	None    State = "none"
)

// Person is a GitHub user as far as a login needs to know.
type Person struct {
	Login     string
	ID        int64 // 0: not asked, as for somebody who is in no team
	Teams     map[string]State
	Keys      []Key
	Suspended bool

	MaybeSuspended bool // who was asked can't tell
}

// Key is a person's key and the number GitHub gave it, 0 where it wasn't told.
type Key struct {
	ID   int64  `json:"id,omitempty"`
	Line string `json:"key"` // TYPE BASE64, already parsed once
}
