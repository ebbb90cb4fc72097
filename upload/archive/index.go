// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"castgate/upload/manifest"
	"castgate/wrap/hint"
)

// Index is what makes a large archive quick to list and search: a SQLite file
// that is derived from the Store, but for the ends of the hosts' chains
// (index_heads.go), and may be deleted at any time.
//
// Table recordings has the manifests. What tells two apart is their path, never
// the id, which any host may give; place is the name of the host's directory,
// and claimed marks those whose id another manifest has, too. The text that the screens showed is cut
// into documents; table texts has their lines, packed, and the full-text index
// docs their words. The number of a document grows with the time at which its
// session began, so that "the newest first" is the index's own order and a
// range of time is a range of numbers. What a query may ask for (account,
// person, host) is in the full-text index, too, as words of a second column; and
// each index of recordings has all of it, so that only rows that are wanted are
// read.
type Index struct {
	db  *sql.DB
	dec *zstd.Decoder
	enc *zstd.Encoder
}

// schemaVersion is raised with every change of schema, or of what a transcript
// is; an index of another version is made anew.
const schemaVersion = 8

const schema = `
CREATE TABLE recordings (
	n INTEGER PRIMARY KEY,
	id TEXT NOT NULL,
	place TEXT NOT NULL,
	path TEXT NOT NULL UNIQUE,
	hash TEXT NOT NULL,
	claimed INTEGER NOT NULL DEFAULT 0,
	dir INTEGER NOT NULL,
	user TEXT NOT NULL,
	host TEXT NOT NULL,
	login TEXT NOT NULL COLLATE NOCASE,
	login_id INTEGER NOT NULL,
	key TEXT NOT NULL,
	client TEXT NOT NULL,
	kind TEXT NOT NULL,
	tty INTEGER NOT NULL,
	command TEXT NOT NULL,
	start INTEGER NOT NULL,
	stop INTEGER NOT NULL,
	duration INTEGER NOT NULL,
	exit INTEGER,
	complete INTEGER NOT NULL,
	ended TEXT NOT NULL,
	events INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	sha256 TEXT NOT NULL,
	sealed INTEGER NOT NULL,
	stored TEXT NOT NULL,
	done INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX by_id ON recordings(id, place, path);
CREATE INDEX by_claim ON recordings(id) WHERE claimed = 1;
CREATE INDEX by_start ON recordings(start);
CREATE INDEX by_user ON recordings(user, start, host, login, stop);
CREATE INDEX by_login ON recordings(login, start, user, host, stop, login_id);
CREATE INDEX by_login_id ON recordings(login_id, start) WHERE login_id > 0;
CREATE INDEX by_host ON recordings(host, start, user, login, stop);
CREATE INDEX by_place ON recordings(place, start) WHERE place <> host;
CREATE INDEX by_dir ON recordings(dir);
CREATE INDEX not_done ON recordings(done) WHERE done = 0;
CREATE TABLE dirs (n INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, mtime INTEGER NOT NULL);
CREATE TABLE texts (doc INTEGER PRIMARY KEY, recording INTEGER NOT NULL, lines BLOB NOT NULL);
CREATE INDEX by_recording ON texts(recording);
CREATE TABLE heads (sha256 TEXT PRIMARY KEY, host TEXT NOT NULL, sequence INTEGER NOT NULL, id TEXT NOT NULL, path TEXT NOT NULL, start INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE awaited (host TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (host, sha256)) WITHOUT ROWID;
CREATE VIRTUAL TABLE docs USING fts5(text, hidden, about, content='', contentless_delete=1, tokenize="unicode61 remove_diacritics 2");
`

// createFile makes the file before SQLite does: it holds what was on screens,
// so only its owner and the group of its directory may read it. The group may
// write it, too: the page's user brings up to date what root has begun.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return hint.Add(fmt.Errorf("make the index: %w", err), "key \"index\" of "+ConfigPath+" says where it is; its directory must be writable, too")
	}
	defer f.Close()
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	// Who isn't in the group keeps the file for itself.
	if stat, ok := dir.Sys().(*syscall.Stat_t); ok && f.Chown(-1, int(stat.Gid)) == nil {
		return f.Chmod(0o660)
	}
	return nil
}

var errOldSchema = errors.New("it was made by another version")

func openIndex(path string) (*Index, error) {
	db, err := connect(path)
	if err != nil {
		return nil, err
	}
	ix := &Index{db: db}
	if err := ix.prepare(); err != nil {
		db.Close()
		return nil, err
	}
	if ix.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(4*maxDocument)); err != nil {
		return nil, err
	}
	ix.enc, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10))
	return ix, err
}

func connect(path string) (*sql.DB, error) {
	// The driver takes the pragmas from the query; nothing in the path may end it.
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	q := url.Values{}
	for _, pragma := range []string{"busy_timeout(15000)", "journal_mode(WAL)", "synchronous(NORMAL)", "cache_size(-65536)", "temp_store(MEMORY)"} {
		q.Add("_pragma", pragma)
	}
	q.Set("_txlock", "immediate") // or two writers may wait for each other
	dsn.RawQuery = q.Encode()
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4) // each has a cache of 64 MiB
	return db, nil
}

func (ix *Index) prepare() error {
	version, err := ix.version()
	if err != nil || version == schemaVersion {
		return err
	}
	if version != 0 {
		return errOldSchema
	}
	tx, err := ix.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec(fmt.Sprintf("%s PRAGMA user_version=%d;", schema, schemaVersion)); err == nil {
		return tx.Commit()
	}
	if version, err = ix.version(); err == nil && version != schemaVersion { // else another program was quicker
		err = errOldSchema
	}
	return err
}

func (ix *Index) version() (v int, err error) {
	err = ix.db.QueryRow("PRAGMA user_version").Scan(&v)
	return v, err
}

// Close closes the file.
func (ix *Index) Close() error {
	ix.dec.Close()
	return ix.db.Close()
}

const rowColumns = `r.id, r.user, r.host, r.login, r.login_id, r.key, r.client, r.kind, r.tty, r.command, r.start, r.stop, r.duration, r.exit,
	r.complete, r.ended, r.events, r.bytes, r.sha256, r.sealed, r.path, r.place, r.claimed`

func scanRow(scan func(...any) error, more ...any) (Row, error) {
	var r Row
	var place string
	var start, end, duration int64
	var exit sql.NullInt64
	err := scan(append([]any{
		&r.ID, &r.User, &r.Host, &r.Login, &r.LoginID, &r.Key, &r.Client, &r.Kind, &r.TTY, &r.Command, &start, &end, &duration, &exit,
		&r.Complete, &r.Ended, &r.Events, &r.Bytes, &r.SHA256, &r.Sealed, &r.Path, &place, &r.Claimed,
	}, more...)...)
	r.Start, r.End = time.Unix(start, 0).UTC(), time.Unix(0, end).UTC()
	r.Duration = manifest.Seconds(duration)
	r.Name = Name{ID: r.ID, Host: place}.String()
	if exit.Valid {
		status := int(exit.Int64)
		r.Exit = &status
	}
	return r, err
}

// Terms for a query's host: its name for itself or its directory's, which is that
// of its certificate. Each has the name once or twice.
const (
	eitherHost = "(r.host = ? OR r.place = ?)"
	ownHost    = "r.host = ?"
	placeOnly  = "r.place = ? AND r.place <> r.host"
)

// where is the query in SQL, with one of the terms for the host.
func (q Query) where(host string) (string, []any) {
	terms := []string{"1"}
	var args []any
	add := func(term string, arg ...any) { terms, args = append(terms, term), append(args, arg...) }
	if q.User != "" {
		add("r.user = ?", string(q.User))
	}
	for _, p := range q.wanted() { // takesPerson has the last word
		if p.ID() == 0 {
			add("r.login = ?", p.Login())
		} else {
			add("(r.login = ? OR r.login_id = ? AND r.login_id > 0)", p.Login(), p.ID())
		}
	}
	if q.Host != "" {
		add(host, slices.Repeat([]any{q.Host}, strings.Count(host, "?"))...)
	}
	if q.Dir != "" {
		add("r.place = ?", q.Dir)
	}
	if q.Client != "" {
		add("(r.client = ? OR substr(r.client, 1, ?) = ?)", q.Client, utf8.RuneCountInString(q.Client)+1, q.Client+" ")
	}
	if q.Kind != "" {
		add("r.kind = ?", q.Kind)
	}
	if q.State != "" {
		add("CASE WHEN r.sealed THEN ? WHEN r.complete THEN ? ELSE ? END = ?", manifest.StateSealed, manifest.StateDelivered, manifest.StateInterrupted, q.State)
	}
	if !q.Since.IsZero() {
		add("r.stop >= ?", q.Since.UnixNano())
		add("r.start >= ?", q.Since.Add(-maxSession).Unix())
	}
	if !q.Until.IsZero() {
		add("r.start < ?", ceilSeconds(q.Until))
	}
	if q.ID != "" {
		add("r.id >= ?", q.ID)
		add("r.id < ?", q.ID+"g") // after every hexadecimal digit
	}
	return strings.Join(terms, " AND "), args
}

// selection reads the rows of a query in their order. Those of a host are read
// in two parts, each in the order of an index.
func (q Query) selection() (string, []any) {
	const columns = "SELECT " + rowColumns + " FROM recordings r WHERE "
	where, args := q.where(ownHost)
	text := columns + where
	if q.Host != "" {
		where, more := q.where(placeOnly)
		text, args = text+" UNION ALL "+columns+where, append(args, more...)
	}
	return text + " ORDER BY r.start DESC, r.id DESC, r.path DESC", args
}

func ceilSeconds(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// List yields the recordings that the query takes, the newest first.
func (ix *Index) List(q Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		text, args := q.selection()
		rows, err := ix.db.Query(text, args...)
		if err != nil {
			yield(Row{}, fmt.Errorf("read the index: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scanRow(rows.Scan)
			if err == nil && !q.takesPerson(r.Person()) {
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Row{}, fmt.Errorf("read the index: %w", err))
		}
	}
}

// Count returns how many recordings there are, and how many of those that can
// be searched were not yet.
func (ix *Index) Count() (all, pending int, err error) {
	err = ix.db.QueryRow("SELECT (SELECT count(*) FROM recordings), (SELECT count(*) FROM recordings WHERE done = 0)").Scan(&all, &pending)
	return all, pending, err
}

// Unnamed counts, for each host, the recordings of sessions that began since
// then and that name no person.
func (ix *Index) Unnamed(since time.Time) (map[string]int, error) {
	rows, err := ix.db.Query("SELECT host, count(*) FROM recordings WHERE login = '' AND login_id = 0 AND start >= ? GROUP BY host", since.Unix())
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	defer rows.Close()
	count := map[string]int{}
	for rows.Next() {
		var host string
		var n int
		if err := rows.Scan(&host, &n); err != nil {
			return nil, fmt.Errorf("read the index: %w", err)
		}
		count[host] = n
	}
	return count, rows.Err()
}
