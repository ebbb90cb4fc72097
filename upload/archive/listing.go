// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"iter"
	"slices"
)

// Listing lists recordings, the newest first: from the index when there is
// one, else by reading every manifest that the query may take.
type Listing struct {
	Store *Store
	Index *Index // may be nil
}

// List yields rows; an error is about one recording or directory.
func (l *Listing) List(q Query) iter.Seq2[Row, error] {
	if l.Index != nil {
		return l.Index.List(q)
	}
	return func(yield func(Row, error) bool) {
		var rows []Row
		seen := map[string]string{} // id -> the hash of a manifest
		claimed := map[string]bool{}
		for e, err := range l.Store.Walk(q) {
			if err != nil {
				if !yield(Row{}, err) {
					return
				}
				continue
			}
			r := NewRow(e)
			if hash, ok := seen[r.ID]; ok && hash != e.Hash {
				claimed[r.ID] = true
			}
			seen[r.ID] = e.Hash
			rows = append(rows, r)
		}
		slices.SortFunc(rows, newestFirst)
		for _, r := range rows {
			r.Claimed = claimed[r.ID]
			if !yield(r, nil) {
				return
			}
		}
	}
}

// ClaimsOf says whether another host has delivered a recording with the id of r,
// which is not delivered yet.
func (l *Listing) ClaimsOf(r Row) bool {
	for o, err := range l.near(r.ID) {
		if err == nil && o.Name != r.Name {
			return true
		}
	}
	return false
}

// near lists the recordings with an id: all that the index knows, else those
// where the time within the id says.
func (l *Listing) near(id string) iter.Seq2[Row, error] { return l.List(Query{ID: id, near: true}) }

// Close closes the index.
func (l *Listing) Close() error {
	if l.Index == nil {
		return nil
	}
	return l.Index.Close()
}
