// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"cmp"
	"database/sql"
	"fmt"
	"io"
	"io/fs"

	"castgate/upload/manifest"
)

// All recordings of an id are marked alike, so that one of them tells what the
// others are: a host may give an id as often as it likes, and each time costs the
// same.

// markClaims marks the recordings that have id, when there are several. The same
// manifest twice is one that came by two ways.
func markClaims(tx *sql.Tx, id string, was bool) (several bool, err error) {
	err = tx.QueryRow(`SELECT EXISTS(SELECT 1 FROM recordings WHERE id = ?1
		AND hash <> (SELECT hash FROM recordings WHERE id = ?1 LIMIT 1))`, id).Scan(&several)
	if err == nil && several != was {
		_, err = tx.Exec("UPDATE recordings SET claimed = ? WHERE id = ?", several, id)
	}
	return several, err
}

// querier is the index, or a transaction on it.
type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
}

// fewOf returns recordings of a name whose id is whole: of each host the first.
func fewOf(q querier, n Name) (found few, err error) {
	if base := n.base(); base != "" {
		err = addTo(&found, q, "path = ?", base+manifest.JSONSuffix)
		return found, err
	}
	if n.Host != "" {
		err = addTo(&found, q, "id = ? AND place = ?", n.ID, n.Host)
		return found, err
	}
	for last := ""; !found.full(); {
		err = addTo(&found, q, "id = ?1 AND place = (SELECT min(place) FROM recordings WHERE id = ?1 AND place > ?2)", n.ID, last)
		if err != nil || len(found.entries) == 0 {
			return found, err
		}
		at := manifest.HostOf(found.entries[len(found.entries)-1].Path)
		if at == last {
			return found, nil
		}
		last = at
	}
	return found, nil
}

// addTo reads one more of a host than there is room for, which tells that there
// are more.
func addTo(found *few, q querier, where string, args ...any) error {
	rows, err := q.Query("SELECT path, hash FROM recordings WHERE "+where+" ORDER BY path LIMIT ?", append(args, maxPerHost+1)...)
	if err != nil {
		return fmt.Errorf("read the index: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e Entry
		if err := rows.Scan(&e.Path, &e.Hash); err != nil {
			return fmt.Errorf("read the index: %w", err)
		}
		found.add(e)
	}
	return rows.Err()
}

// Named returns the paths of manifests that n, whose id is whole, means: two of
// each host at most.
func (ix *Index) Named(n Name) (paths []string, err error) {
	found, err := fewOf(ix.db, n)
	for _, e := range found.entries {
		paths = append(paths, e.Path)
	}
	return paths, err
}

// Open opens the one recording of that name, unpacked; fs.ErrNotExist when the
// index has none.
func (ix *Index) Open(s *Store, n Name) (io.ReadCloser, error) {
	if !IsID(n.ID) {
		return nil, fs.ErrNotExist
	}
	found, err := fewOf(ix.db, n)
	for i := range found.entries {
		e := &found.entries[i]
		if *e, _, err = s.ReadManifest(e.Path); err != nil {
			return nil, err
		}
	}
	switch len(found.entries) {
	case 0:
		return nil, cmp.Or(err, fs.ErrNotExist)
	case 1:
		return s.Open(found.entries[0], nil)
	}
	return nil, found.several(n.String())
}

// Claims returns the ids that several recordings have.
func (ix *Index) Claims() (all []*ClaimedError, err error) {
	ids, err := ix.claimedIDs()
	for _, id := range ids {
		found, err := fewOf(ix.db, Name{ID: id})
		if err != nil {
			return nil, err
		}
		all = append(all, found.claim(id))
	}
	return all, err
}

func (ix *Index) claimedIDs() (ids []string, err error) {
	rows, err := ix.db.Query("SELECT DISTINCT id FROM recordings WHERE claimed = 1 ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read the index: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
