// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"castgate/upload/manifest"
)

// The ends of the hosts' chains are the one thing in the index that the store
// need not have any more: verify asks for them. A manifest takes the place of
// the one before it. Manifests come in any order: what the one before is to be
// is awaited, and when it comes it is no end. A chain that begins anew has an
// end of its own, whatever its numbers: they begin anew, too.

func noteHead(tx *sql.Tx, e Entry) error {
	m, host, hash := e.Manifest, manifest.HostOf(e.Path), e.Hash
	awaited, err := deleted(tx, "awaited", host, hash)
	if err != nil {
		return err
	}
	if !awaited {
		if _, err := tx.Exec("INSERT OR IGNORE INTO heads(sha256, host, sequence, id, path, start) VALUES(?,?,?,?,?,?)",
			hash, host, m.Sequence, m.Session.ID, e.Path, m.Start.Unix()); err != nil {
			return err
		}
	}
	if m.Previous == "" {
		return nil
	}
	if was, err := deleted(tx, "heads", host, m.Previous); was || err != nil {
		return err
	}
	_, err = tx.Exec("INSERT OR IGNORE INTO awaited(host, sha256) VALUES(?,?)", host, m.Previous)
	return err
}

// deleted takes a host's manifest out of a table and reports whether it was there.
func deleted(tx *sql.Tx, table, host, hash string) (bool, error) {
	done, err := tx.Exec("DELETE FROM "+table+" WHERE sha256 = ? AND host = ?", hash, host)
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n > 0, err
}

// head is a row of table heads.
type head struct {
	manifest.Known
	sequence int64
}

// heads reads the table of any version that has one. Older ones have the host's
// own name beside the path, which tells the directory's.
func heads(db *sql.DB) (all []head, err error) {
	rows, err := db.Query("SELECT host, sequence, id, path, sha256, start FROM heads ORDER BY host, sequence")
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		h := head{Known: manifest.Known{By: "the index"}}
		var start int64
		if err := rows.Scan(&h.Host, &h.sequence, &h.ID, &h.Path, &h.SHA256, &start); err != nil {
			return nil, fmt.Errorf("read the index: %w", err)
		}
		h.Host, h.At = manifest.HostOf(h.Path), time.Unix(start, 0)
		all = append(all, h)
	}
	return all, rows.Err()
}

// Heads returns the ends of the chains that the index at path remembers; none
// when there is no index.
func Heads(path string) (known []manifest.Known, err error) {
	ix, err := OpenIndex(path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer ix.Close()
	all, err := heads(ix.db)
	for _, h := range all {
		known = append(known, h.Known)
	}
	return known, err
}
