// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"castgate/upload/manifest"
)

// Update brings the index up to the store: it reads the manifests of the
// directories that changed since the last time. Recent looks only at where new
// recordings usually come (sessions that began in the last month) and is quick
// for any archive. What can't be read is told to complain and tried again.
func (ix *Index) Update(ctx context.Context, s *Store, recent bool, complain func(error)) error {
	q := Query{}
	if recent {
		q.Since = time.Now()
	}
	seen := map[string]bool{}
	for dir, err := range s.days(q) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			seen[dir] = true
			err = ix.updateDir(s, dir, complain)
		}
		if err != nil {
			complain(err)
		}
	}
	if recent {
		return nil
	}
	return ix.forgetDirs(seen)
}

// settled is how old a directory's last change must be to be relied upon: a
// file that came within the same tick of the file system's clock changes no
// time.
const settled = 2 * time.Second

// updateDir compares one day's directory with the index.
func (ix *Index) updateDir(s *Store, dir string, complain func(error)) error {
	info, err := fs.Stat(s.FS, dir)
	if err != nil {
		return err
	}
	mtime := info.ModTime().UnixNano()
	var number, known int64
	err = ix.db.QueryRow("SELECT n, mtime FROM dirs WHERE path = ?", dir).Scan(&number, &known)
	if err == nil && known == mtime && !info.ModTime().IsZero() {
		return nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	names, err := s.manifests(dir)
	if err != nil {
		return err
	}
	tx, err := ix.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if number == 0 {
		if err := tx.QueryRow("INSERT INTO dirs(path, mtime) VALUES(?, 0) RETURNING n", dir).Scan(&number); err != nil {
			return err
		}
	}
	whole, err := ix.addNew(tx, s, dir, number, names, complain)
	if err != nil {
		return err
	}
	if whole && time.Since(info.ModTime()) > settled {
		if _, err := tx.Exec("UPDATE dirs SET mtime = ? WHERE n = ?", mtime, number); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// addNew puts in what is not in the index and takes out what is not in the
// directory. whole is false when something could not be read.
func (ix *Index) addNew(tx *sql.Tx, s *Store, dir string, number int64, names []string, complain func(error)) (whole bool, err error) {
	have := map[string]int64{}
	rows, err := tx.Query("SELECT path, n FROM recordings WHERE dir = ?", number)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var p string
		var n int64
		if err := rows.Scan(&p, &n); err != nil {
			return false, err
		}
		have[p] = n
	}
	if err := rows.Err(); err != nil {
		return false, err
	}
	whole = true
	for _, name := range names {
		p := dir + "/" + name
		if _, ok := have[p]; ok {
			delete(have, p)
			continue
		}
		e, _, err := s.ReadManifest(p)
		if err == nil && e.Manifest.Session.ID+manifest.JSONSuffix != name {
			err = fmt.Errorf("%q is the manifest of recording %s", p, e.Manifest.Session.ID)
		}
		if err != nil {
			complain(err)
			whole = false
			continue
		}
		claimed, err := insert(tx, e, number)
		if claimed != nil {
			complain(claimed)
		}
		if err == nil && e.Manifest.Belongs(p) { // else one host could speak for another
			err = noteHead(tx, e)
		}
		if err != nil {
			return false, err
		}
	}
	for _, n := range have {
		if err := forget(tx, n); err != nil {
			return false, err
		}
	}
	return whole, nil
}

// insert puts a recording in. claimed is not nil where others have its id.
func insert(tx *sql.Tx, e Entry, dir int64) (claimed *ClaimedError, err error) {
	r := NewRow(e)
	var exit any
	if r.Exit != nil {
		exit = *r.Exit
	}
	n, err := freeNumber(tx, r.Start)
	if err != nil {
		return nil, err
	}
	was := false
	if err := tx.QueryRow("SELECT claimed FROM recordings WHERE id = ? LIMIT 1", r.ID).Scan(&was); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	if _, err := tx.Exec(`INSERT INTO recordings(n, id, place, path, hash, claimed, dir, user, host, login, login_id, key, client, kind, tty, command, start, stop, duration,
		exit, complete, ended, events, bytes, sha256, sealed, stored, done) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		n, r.ID, manifest.HostOf(r.Path), r.Path, e.Hash, was, dir, r.User, r.Host, r.Login, r.LoginID, r.Key, r.Client, r.Kind, r.TTY, r.Command, r.Start.Unix(), nanoseconds(r.End), int64(r.Duration),
		exit, r.Complete, r.Ended, r.Events, r.Bytes, r.SHA256, r.Sealed, e.Stored(), r.Sealed || r.Kind == "transfer"); err != nil {
		return nil, err
	}
	if several, err := markClaims(tx, r.ID, was); err != nil || !several {
		return nil, err
	}
	found, err := fewOf(tx, Name{ID: r.ID})
	return found.claim(r.ID), err
}

// freeNumber is the number of a recording that began at start. Neither a start
// that no session can have nor more of one second than there are numbers, which
// are both a host's to claim, may take another's place.
func freeNumber(tx *sql.Tx, start time.Time) (n int64, err error) {
	low := min(max(start.Unix(), 0), maxStart) << seqBits
	high := low + 1<<seqBits
	err = tx.QueryRow("SELECT coalesce(max(n)+1, ?) FROM recordings WHERE n >= ? AND n < ?", low, low, high).Scan(&n)
	if err != nil || n < high {
		return n, err
	}
	// The first that is free later on, so that the order is about that of time.
	err = tx.QueryRow(`SELECT r.n+1 FROM recordings r WHERE r.n >= ?
		AND NOT EXISTS(SELECT 1 FROM recordings s WHERE s.n = r.n+1) ORDER BY r.n LIMIT 1`, high-1).Scan(&n)
	return n, err
}

// nanoseconds is a time as the index has it: the latest that there is where it is
// later than 2262, so that -since finds it.
func nanoseconds(t time.Time) int64 {
	if latest := time.Unix(0, math.MaxInt64); t.After(latest) {
		return math.MaxInt64
	}
	return t.UnixNano()
}

// The number of a recording: the second in which it began, and seqBits to tell
// apart what began in the same second. Documents have docBits more.
const (
	seqBits = 16
	docBits = 12
	// maxStart keeps a document's number within 62 bits: the year 2514.
	maxStart = 1<<(62-seqBits-docBits) - 1
)

func forget(tx *sql.Tx, n int64) error {
	var id string
	var was bool
	if err := tx.QueryRow("SELECT id, claimed FROM recordings WHERE n = ?", n).Scan(&id, &was); err != nil {
		return err
	}
	for _, stmt := range []string{
		"DELETE FROM docs WHERE rowid IN (SELECT doc FROM texts WHERE recording = ?)",
		"DELETE FROM texts WHERE recording = ?",
		"DELETE FROM recordings WHERE n = ?",
	} {
		if _, err := tx.Exec(stmt, n); err != nil {
			return err
		}
	}
	_, err := markClaims(tx, id, was)
	return err
}

// forgetDirs takes out the directories that are gone.
func (ix *Index) forgetDirs(seen map[string]bool) error {
	rows, err := ix.db.Query("SELECT path FROM dirs")
	if err != nil {
		return err
	}
	var gone []string
	for rows.Next() {
		var dir string
		if err := rows.Scan(&dir); err != nil {
			rows.Close()
			return err
		}
		if !seen[dir] {
			gone = append(gone, dir)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, dir := range gone {
		if err := ix.forgetDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func (ix *Index) forgetDir(dir string) error {
	tx, err := ix.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	rows, err := tx.Query("SELECT n FROM recordings WHERE dir = (SELECT n FROM dirs WHERE path = ?)", dir)
	if err != nil {
		return err
	}
	var all []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			rows.Close()
			return err
		}
		all = append(all, n)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, n := range all {
		if err := forget(tx, n); err != nil {
			return err
		}
	}
	if _, err := tx.Exec("DELETE FROM dirs WHERE path = ?", dir); err != nil {
		return err
	}
	return tx.Commit()
}

// aboutWords are a recording's words in the second column of docs. Names are
// spelled in hexadecimal: the tokenizer must not cut them.
func aboutWords(user manifest.Account, who manifest.Person, host, place string) string {
	words := append(personWords(who), word('u', string(user)), word('h', host))
	if place != host {
		words = append(words, word('h', place))
	}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " ")
}

// personWords are the words of which a person's recordings have one at least.
func personWords(p manifest.Person) []string {
	words := []string{word('l', strings.ToLower(p.Login()))}
	if p.ID() > 0 {
		words = append(words, word('i', strconv.FormatInt(p.ID(), 10)))
	}
	return words
}

func word(kind byte, name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("%c%x", kind, name)
}
