// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"castgate/upload/archive/screen"
)

const (
	// maxDocument bounds the text of one document of the full-text index. Words
	// are looked for together within one.
	maxDocument = 256 << 10
	// maxText bounds the text that is indexed of one recording.
	maxText = 64 << 20
	// batch is how many recordings go into one transaction: their text waits in
	// memory, and so does who else wants to write.
	batch = 64
)

// pending is a recording whose text is not in the index.
type pending struct {
	n                 int64
	id, user          string
	login, host, path string
}

// document is a piece of a recording's transcript.
type document struct {
	text  []byte // for the full-text index
	lines []byte // for showing hits: time in milliseconds, length, text
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
		done, err := ix.addTexts(ix.transcribe(ctx, s, todo, workers), complain)
		n += done
		if err != nil || done == 0 {
			return n, err
		}
	}
	return n, ctx.Err()
}

func (ix *Index) pending(limit int) ([]pending, error) {
	rows, err := ix.db.Query("SELECT n, id, user, login, host, stored FROM recordings WHERE done = 0 ORDER BY n DESC LIMIT ?", limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []pending
	for rows.Next() {
		var p pending
		if err := rows.Scan(&p.n, &p.id, &p.user, &p.login, &p.host, &p.path); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

// transcribe runs recordings through the emulator, several at once.
func (ix *Index) transcribe(ctx context.Context, s *Store, todo []pending, workers int) []transcribed {
	out := make([]transcribed, len(todo))
	next := make(chan int)
	var wg sync.WaitGroup
	for range max(workers, 1) {
		wg.Go(func() {
			for i := range next {
				out[i] = transcribed{pending: todo[i]}
				out[i].docs, out[i].err = documents(ctx, s, todo[i].path)
			}
		})
	}
	for i := range todo {
		next <- i
	}
	close(next)
	wg.Wait()
	return out
}

// documents makes the documents of one recording.
func documents(ctx context.Context, s *Store, stored string) ([]document, error) {
	f, err := s.FS.Open(stored)
	if err != nil {
		return nil, err
	}
	in, err := unwrap(f, nil)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var docs []document
	total := 0
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	full := false
	_, err = Transcribe(ctx, in, func(l screen.Line) {
		if strings.TrimSpace(l.Text) == "" {
			return
		}
		if total += len(l.Text); total > maxText || len(docs) >= 1<<docBits {
			full = true
			enough()
			return
		}
		if len(docs) == 0 || len(docs[len(docs)-1].text)+len(l.Text) > maxDocument {
			docs = append(docs, document{})
		}
		d := &docs[len(docs)-1]
		d.text = append(append(d.text, l.Text...), '\n')
		d.lines = binary.AppendUvarint(d.lines, uint64(max(l.At, 0)/time.Millisecond))
		d.lines = binary.AppendUvarint(d.lines, uint64(len(l.Text)))
		d.lines = append(d.lines, l.Text...)
	})
	if full {
		err = nil
	}
	return docs, err
}

// addTexts writes documents in one transaction.
func (ix *Index) addTexts(all []transcribed, complain func(error)) (n int, err error) {
	tx, err := ix.db.Begin()
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	for _, t := range all {
		if errors.Is(t.err, context.Canceled) {
			continue
		}
		if t.err != nil {
			complain(fmt.Errorf("recording %s: %w", t.id, t.err))
			if errors.Is(t.err, fs.ErrNotExist) || errors.Is(t.err, fs.ErrPermission) {
				continue // it may come yet
			}
		}
		about := aboutWords(t.user, t.login, t.host)
		for i, d := range t.docs {
			doc := t.n<<docBits | int64(i)
			if _, err := tx.Exec("INSERT OR REPLACE INTO texts(doc, recording, lines) VALUES(?, ?, ?)", doc, t.n, ix.enc.EncodeAll(d.lines, nil)); err != nil {
				return n, err
			}
			if _, err := tx.Exec("INSERT INTO docs(rowid, text, about) VALUES(?, ?, ?)", doc, string(bytes.ToValidUTF8(d.text, nil)), about); err != nil {
				return n, err
			}
		}
		if _, err := tx.Exec("UPDATE recordings SET done = 1 WHERE n = ?", t.n); err != nil {
			return n, err
		}
		n++
	}
	return n, tx.Commit()
}
