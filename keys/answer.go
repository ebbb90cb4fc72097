// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"maps"
	"slices"
)

// Answer is what sshd would be told about an account, for programs: castgate
// enable asks it before the door opens.
type Answer struct {
	Account   string   `json:"account"`
	Keys      int      `json:"keys"`             // that open it
	People    []string `json:"people,omitempty"` // whose they are, by GitHub login
	Emergency int      `json:"emergency"`        // of the keys: open it without GitHub
	Source    string   `json:"source,omitempty"` // cache, github, stale
	Why       string   `json:"why,omitempty"`    // it does not open
	Hint      string   `json:"hint,omitempty"`
}

// Answer sums a decision up. err is the fault that Decide returned: then no key
// but one of an emergency file is let in.
func (d *Decision) Answer(err error) Answer {
	a := Answer{Account: d.Account, Keys: len(d.Lines), Emergency: len(d.Lines) - len(d.opens)}
	if err != nil {
		var h interface{ Hint() string }
		if errors.As(err, &h) {
			a.Hint = h.Hint()
		}
		a.Keys, a.Why = a.Emergency, err.Error()
		return a
	}
	if len(d.opens) == 0 {
		a.Why = d.Why
		return a
	}
	people := map[string]bool{}
	for e := range maps.Values(d.opens) {
		people[e.Login] = true
	}
	a.People, a.Source = slices.Sorted(maps.Keys(people)), d.Source
	return a
}
