// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
)

// markClaims marks the recordings that have id, when there are several.
func markClaims(tx *sql.Tx, id string) (claimed *ClaimedError, err error) {
	rows, err := tx.Query("SELECT path, hash, claimed FROM recordings WHERE id = ? ORDER BY path", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Entry
	several, marked := false, 0
	for rows.Next() {
		e, was := Entry{}, 0
		if err := rows.Scan(&e.Path, &e.Hash, &was); err != nil {
			return nil, err
		}
		all, marked = append(all, e), marked+was
		several = several || e.Hash != all[0].Hash // the same manifest came by two ways
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	if !several && marked == 0 {
		return nil, nil
	}
	if _, err := tx.Exec("UPDATE recordings SET claimed = ? WHERE id = ?", several, id); err != nil || !several {
		return nil, err
	}
	return &ClaimedError{id, names(all)}, nil
}

// Claims returns the ids that several recordings have.
func (ix *Index) Claims() (all []*ClaimedError, err error) {
	rows, err := ix.db.Query("SELECT id, path FROM recordings WHERE claimed = 1 ORDER BY id, path")
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	defer rows.Close()
	of := map[string][]Entry{}
	var ids []string
	for rows.Next() {
		var id, path string
		if err := rows.Scan(&id, &path); err != nil {
			return nil, fmt.Errorf("read the index: %w", err)
		}
		if of[id] == nil {
			ids = append(ids, id)
		}
		of[id] = append(of[id], Entry{Path: path})
	}
	for _, id := range ids {
		all = append(all, &ClaimedError{id, names(of[id])})
	}
	return all, rows.Err()
}

// Claims returns the ids that several recordings have in the index at path; none
// when there is no index.
func Claims(path string) ([]*ClaimedError, error) {
	ix, err := OpenIndex(path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer ix.Close()
	return ix.Claims()
}
