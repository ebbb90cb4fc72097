// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"

	"castgate/upload/archive"
)

// Indexed is a Directory that is listed and searched through an index, which
// is what a large archive needs.
type Indexed struct {
	*Directory
	Index *archive.Index
	Store *archive.Store
}

// List implements Archive. Live recordings, which are in no index, have their
// places among the others: whatever their hosts say that their start was, each
// is on one page, and takes nobody else's place.
func (x *Indexed) List(ctx context.Context, q Query) ([]Recording, error) {
	f := q.query()
	var after *Recording
	if q.Before != "" {
		last, err := x.Get(ctx, q.Before)
		if last, err = allowed(q.Scope, last, err); err != nil {
			return nil, err
		}
		after = &last
		if end := last.Manifest.Start.Add(time.Second); f.Until.IsZero() || end.Before(f.Until) {
			f.Until = end
		}
	}
	live := x.arriving("*")
	rows, err := x.list(ctx, q, f, after, live)
	for _, rec := range live {
		if q.Matches(rec) && (after == nil || newestFirst(rec, *after) > 0) {
			rows = append(rows, rec)
		}
	}
	slices.SortFunc(rows, newestFirst)
	rows = rows[:min(len(rows), q.Limit)]
	for i := range rows {
		if rows[i].Arriving() {
			x.claimsLive(&rows[i], live)
		}
	}
	return rows, err
}

// list reads the index from after on, in the order of newestFirst: starts are
// whole seconds, and the rows of one second are in the order of their ids and
// paths.
func (x *Indexed) list(ctx context.Context, q Query, f archive.Query, after *Recording, live []Recording) (rows []Recording, err error) {
	for row, err := range x.Index.List(f) {
		if err != nil || ctx.Err() != nil {
			return rows, err
		}
		if after != nil && row.Start.Equal(after.Manifest.Start) &&
			cmp.Or(cmp.Compare(row.ID, after.ID()), cmp.Compare(row.Path, after.Path)) >= 0 {
			continue
		}
		rec, err := x.read(row.Path)
		if err != nil {
			continue // gone since the index saw it; "castgate verify" finds the hole
		}
		if q.Matches(rec) {
			x.claims(&rec, row, live)
			if rows = append(rows, rec); len(rows) == q.Limit {
				break
			}
		}
	}
	return rows, nil
}

// arriving returns the live recordings that have no manifest yet: all, for the
// id "*".
func (x *Indexed) arriving(id string) []Recording {
	return slices.DeleteFunc(x.live(id), func(r Recording) bool {
		_, err := x.read(r.Path)
		return err == nil
	})
}

// claims marks a recording whose id others have. The index knows of those that
// it has seen.
func (x *Indexed) claims(rec *Recording, row archive.Row, live []Recording) {
	rec.Claimed = rec.Claimed || row.Claimed
	rec.mark(live)
	if rec.Claimed { // does its host have several?
		rec.mark(x.named(archive.Name{ID: rec.ID(), Host: rec.Host}))
	}
}

// claimsLive is claims for one that is in no index.
func (x *Indexed) claimsLive(rec *Recording, live []Recording) {
	rec.mark(x.named(archive.Name{ID: rec.ID()}))
	x.claims(rec, archive.Row{}, live)
}

// named returns what the index has of a name: two recordings of each host at most.
func (x *Indexed) named(n archive.Name) (all []Recording) {
	paths, _ := x.Index.Named(n)
	for _, p := range paths {
		if rec, err := x.read(p); err == nil {
			all = append(all, rec)
		}
	}
	return all
}

// Unnamed implements Archive.
func (x *Indexed) Unnamed(_ context.Context, since time.Time) (map[string]int, error) {
	return x.Index.Unnamed(since)
}

// Get implements Archive. What is not in the index yet is looked for where the
// time within its id says; so is every other recording of a bare id.
func (x *Indexed) Get(_ context.Context, name string) (Recording, error) {
	n, err := wholeName(name)
	if err != nil {
		return Recording{}, err
	}
	all := append(x.named(n), x.arriving(n.ID)...)
	rec, err := pick(all, n)
	if err != nil || n.Host == "" {
		for _, e := range x.Store.Named(n, true) {
			if r, err := x.read(e.Path); err == nil {
				all = append(all, r)
			}
		}
		rec, err = pick(all, n)
	}
	var several *Several
	switch {
	case err == nil:
		rec.mark(append(all, x.named(archive.Name{ID: n.ID})...))
	case errors.As(err, &several):
		markAll(several.All)
	}
	return rec, err
}

// Search implements Archive.
func (x *Indexed) Search(ctx context.Context, words string, q Query) ([]Hit, error) {
	terms := searchable(words)
	if len(terms) == 0 {
		return nil, nil
	}
	var hits []Hit
	live := x.arriving("*")
	for found, err := range x.Index.Search(terms, q.query(), 0) {
		if err != nil {
			return hits, err
		}
		if ctx.Err() != nil {
			return hits, ctx.Err()
		}
		rec, err := x.read(found.Path)
		if err != nil || !q.Matches(rec) {
			continue
		}
		x.claims(&rec, found.Row, live)
		for _, h := range found.Hits {
			hits = append(hits, Hit{rec, time.Duration(h.At * float64(time.Second)), h.Text, h.Hidden})
		}
		if len(hits) >= q.Limit {
			return hits[:q.Limit], nil
		}
	}
	return hits, nil
}

// searchable splits words as a person means them, "quoted ones" together, and
// leaves out what has no letter or number: the index knows no others.
func searchable(s string) (terms []string) {
	for i, part := range strings.Split(s, `"`) {
		if i%2 == 1 {
			terms = append(terms, part)
			continue
		}
		terms = append(terms, strings.Fields(part)...)
	}
	kept := terms[:0]
	for _, t := range terms {
		if strings.ContainsFunc(t, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
			kept = append(kept, t)
		}
	}
	return kept
}

// The index follows the store: what has arrived is found within followEvery,
// and once a day all of it is compared, for what arrived out of its time.
const (
	followEvery = 5 * time.Second
	bucketEvery = time.Minute // each look is a request for every account and host
	fullEvery   = 24 * time.Hour
	textsAtOnce = 200
)

// Follow keeps the index up to date until ctx ends.
func (x *Indexed) Follow(ctx context.Context, log *slog.Logger) {
	complain := func(err error) {
		level := slog.LevelWarn
		var claimed *archive.ClaimedError
		if errors.As(err, &claimed) {
			level = slog.LevelError
		}
		log.Log(ctx, level, "index", "why", err.Error())
	}
	every := followEvery
	if x.bucket {
		every = bucketEvery
	}
	var full time.Time
	for {
		recent := time.Since(full) < fullEvery
		if !recent {
			full = time.Now()
		}
		if err := x.update(ctx, recent, complain); err != nil && ctx.Err() == nil {
			log.Error("index", "why", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

func (x *Indexed) update(ctx context.Context, recent bool, complain func(error)) error {
	if err := x.Index.Update(ctx, x.Store, recent, complain); err != nil {
		return fmt.Errorf("update the index: %w", err)
	}
	for {
		n, err := x.Index.UpdateText(ctx, x.Store, textsAtOnce, 1, complain)
		if err != nil || n < textsAtOnce {
			return err
		}
	}
}
