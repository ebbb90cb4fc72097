// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"fmt"
	"slices"

	"castgate/wrap/hint"
)

// Find returns the one recording of that name.
func (s *Store) Find(name string) (Entry, error) {
	n, ok := ParseName(name)
	if !ok {
		return Entry{}, hint.Add(fmt.Errorf("%q is no recording's id", name), "castgate ls lists the ids")
	}
	found, err := s.named(n)
	switch all := found.entries; {
	case err != nil:
		return Entry{}, fmt.Errorf("recording %q: %w", name, err)
	case len(all) == 0:
		return Entry{}, hint.Add(fmt.Errorf("recording %q is not in the archive %q", name, s.Name), "castgate ls lists what is there")
	case len(all) == 1 && !found.more:
		return all[0], nil
	}
	return Entry{}, found.several(name)
}

// named returns recordings of a name. An id begins with the time at which it
// was made; only when nothing is found thereabouts is the whole store gone
// through. The error is why nothing was found, where that is not all.
func (s *Store) named(n Name) (found few, err error) {
	for _, near := range []bool{true, false} {
		if found, err = s.search(n, near); len(found.entries) > 0 {
			return found, nil
		}
	}
	return found, err
}

// Named returns recordings of a name, two of each host at most: near are those
// that began when the time within the id says.
func (s *Store) Named(n Name, near bool) []Entry {
	found, _ := s.search(n, near)
	return found.entries
}

func (s *Store) search(n Name, near bool) (found few, err error) {
	for e, failed := range s.Walk(Query{ID: n.ID, Dir: n.Host, near: near}) {
		switch {
		case failed != nil:
			err = failed
		case n.Means(e.Base()) && !slices.ContainsFunc(found.entries, e.SameAs):
			found.add(e)
		}
		if found.full() {
			break
		}
	}
	return found, err
}

// SameID returns the other recordings that have the id of e, wherever they are.
func (s *Store) SameID(e Entry) (others []Entry) {
	for o, err := range s.Walk(Query{ID: e.Manifest.Session.ID}) {
		if err == nil && !o.SameAs(e) {
			others = append(others, o)
		}
	}
	return others
}
