// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"castgate/upload/archive/screen"
	"castgate/upload/manifest"
)

const (
	// maxDocument bounds the text of one document of the full-text index. Words
	// are looked for together within one.
	maxDocument = 256 << 10
	// maxText bounds the text that is indexed of one recording. With that of
	// every worker it is what the work takes of memory at most.
	maxText = 16 << 20
	// batch is how many recordings go into one transaction.
	batch = 512
)

// pending is a recording whose text is not in the index.
type pending struct {
	n              int64
	id, host, path string
	user           manifest.Account
	who            manifest.Person
	cast           manifest.Object // what it must be
}

// document is a piece of a recording's transcript.
type document struct {
	text   []byte // for the full-text index
	hidden []byte // the same of lines that were hidden
	lines  []byte // for showing hits: time in milliseconds, how it was hidden, length, text
}

// size is what counts against maxDocument.
func (d *document) size() int { return len(d.text) + len(d.hidden) }

func (d *document) add(l screen.Line) {
	words := &d.text
	if l.Hidden != screen.Visible {
		words = &d.hidden
	}
	*words = append(append(*words, l.Text...), '\n')
	for _, other := range Readings(l.Text) {
		*words = append(append(*words, other...), '\n')
	}
	d.lines = binary.AppendUvarint(d.lines, uint64(max(l.At, 0)/time.Millisecond))
	d.lines = binary.AppendUvarint(d.lines, uint64(l.Hidden))
	d.lines = binary.AppendUvarint(d.lines, uint64(len(l.Text)))
	d.lines = append(d.lines, l.Text...)
}

// transcribed is a recording on its way into the index.
type transcribed struct {
	pending
	docs []document
	err  error
}

// UpdateText puts the text of at most limit recordings into the index, the
// newest first; 0 is all. What can't be read is told to complain and counts as
// done, unless it is not there.
func (ix *Index) UpdateText(ctx context.Context, s *Store, limit, workers int, complain func(error)) (n int, err error) {
	for ctx.Err() == nil {
		want := batch
		if limit > 0 {
			want = min(batch, limit-n)
		}
		todo, err := ix.pending(want)
		if err != nil || len(todo) == 0 {
			return n, err
		}
		done, err := ix.addTexts(ctx, s, todo, workers, complain)
		n += done
		if err != nil || done == 0 {
			return n, err
		}
	}
	return n, ctx.Err()
}

func (ix *Index) pending(limit int) ([]pending, error) {
	rows, err := ix.db.Query("SELECT n, id, user, login, login_id, host, stored, bytes, sha256 FROM recordings WHERE done = 0 ORDER BY n DESC LIMIT ?", limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []pending
	for rows.Next() {
		var p pending
		var login string
		var id int64
		if err := rows.Scan(&p.n, &p.id, &p.user, &login, &id, &p.host, &p.path, &p.cast.Bytes, &p.cast.SHA256); err != nil {
			return nil, err
		}
		p.who = manifest.NewPerson(login, id)
		all = append(all, p)
	}
	return all, rows.Err()
}

// transcribe runs recordings through the emulator, several at once.
func transcribe(ctx context.Context, s *Store, todo []pending, workers int) <-chan transcribed {
	next, out := make(chan pending), make(chan transcribed)
	var wg sync.WaitGroup
	for range max(workers, 1) {
		wg.Go(func() {
			for p := range next {
				docs, err := documents(ctx, s, p)
				out <- transcribed{p, docs, err}
			}
		})
	}
	go func() {
		for _, p := range todo {
			next <- p
		}
		close(next)
		wg.Wait()
		close(out)
	}()
	return out
}

// documents makes the documents of one recording. There are none where it is
// not the one of its manifest.
func documents(ctx context.Context, s *Store, p pending) ([]document, error) {
	in, err := s.open(p.path, p.cast, nil)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var docs []document
	total := 0
	until, enough := context.WithCancel(ctx)
	defer enough()
	full := false
	_, err = Transcribe(until, in, func(l screen.Line) {
		if strings.TrimSpace(l.Text) == "" {
			return
		}
		if total += len(l.Text); total > maxText || len(docs) >= 1<<docBits {
			full = true
			enough()
			return
		}
		if len(docs) == 0 || docs[len(docs)-1].size()+len(l.Text) > maxDocument {
			docs = append(docs, document{})
		}
		docs[len(docs)-1].add(l)
	})
	if full {
		_, err = io.Copy(io.Discard, in) // the rest tells what all of it is
	}
	if errors.Is(err, ErrOther) {
		return nil, err
	}
	return docs, err
}

// addTexts transcribes recordings and writes what comes of it.
func (ix *Index) addTexts(ctx context.Context, s *Store, todo []pending, workers int, complain func(error)) (n int, err error) {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	w := &textWriter{ix: ix}
	for t := range transcribe(ctx, s, todo, workers) {
		if err != nil || errors.Is(t.err, context.Canceled) {
			continue // the workers come to their end
		}
		if t.err != nil {
			complain(fmt.Errorf("recording %s: %w", t.id, t.err))
			if errors.Is(t.err, fs.ErrNotExist) || errors.Is(t.err, fs.ErrPermission) {
				continue // it may come yet
			}
		}
		if err = w.add(t); err != nil {
			giveUp()
			continue
		}
		n++
	}
	return n, errors.Join(err, w.flush())
}

// textWriter gathers recordings and writes many in one transaction. Within it,
// the full-text index comes last: FTS5 writes what it holds in memory whenever
// a statement on another table may have to be undone, and whenever a number is
// not larger than the one before.
type textWriter struct {
	ix   *Index
	held []transcribed
	size int
}

func (w *textWriter) add(t transcribed) error {
	w.held = append(w.held, t)
	for _, d := range t.docs {
		w.size += d.size() + len(d.lines)
	}
	if len(w.held) < batch && w.size < maxText {
		return nil
	}
	return w.flush()
}

func (w *textWriter) flush() error {
	held := w.held
	w.held, w.size = nil, 0
	if len(held) == 0 {
		return nil
	}
	tx, err := w.ix.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	slices.SortFunc(held, func(a, b transcribed) int { return cmp.Compare(a.n, b.n) })
	for _, write := range []func(*sql.Tx, transcribed) error{w.lines, w.words} {
		for _, t := range held {
			if err := write(tx, t); err != nil {
				return fmt.Errorf("recording %s: %w", t.id, err)
			}
		}
	}
	return tx.Commit()
}

func (w *textWriter) lines(tx *sql.Tx, t transcribed) error {
	for i, d := range t.docs {
		packed := w.ix.enc.EncodeAll(d.lines, nil)
		if _, err := tx.Exec("INSERT INTO texts(doc, recording, lines) VALUES(?, ?, ?)", t.n<<docBits|int64(i), t.n, packed); err != nil {
			return err
		}
	}
	_, err := tx.Exec("UPDATE recordings SET done = 1 WHERE n = ?", t.n)
	return err
}

func (w *textWriter) words(tx *sql.Tx, t transcribed) error {
	about := aboutWords(t.user, t.who, t.host, manifest.HostOf(t.path))
	for i, d := range t.docs {
		if _, err := tx.Exec("INSERT INTO docs(rowid, text, hidden, about) VALUES(?, ?, ?, ?)", t.n<<docBits|int64(i), string(d.text), string(d.hidden), about); err != nil {
			return err
		}
	}
	return nil
}
