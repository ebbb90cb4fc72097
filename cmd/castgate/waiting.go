// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"castgate/upload/archive"
	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
	"castgate/wrap/spool"
)

// spoolRows are the sessions of this host that are in no archive yet, the
// newest first. Who may not read the spool sees none.
func spoolRows(path string, q archive.Query, now time.Time) (rows []archive.Row) {
	dir, err := spool.Open(path)
	if err != nil {
		return nil
	}
	defer dir.Close()
	for _, sub := range []string{spool.Live, spool.Incoming} {
		_ = dir.Names(sub, func(id string) error {
			if r, ok := spoolRow(dir, sub, id, q, now); ok {
				rows = append(rows, r)
			}
			return nil
		}, nil)
	}
	slices.SortFunc(rows, newestFirst)
	return slices.CompactFunc(rows, func(a, b archive.Row) bool { return a.Name == b.Name }) // it moved while we looked
}

// newestFirst is the order of the lists, in which one of the spool and its delivery
// are equal: it has no path in the archive yet.
func newestFirst(a, b archive.Row) int {
	return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(b.ID, a.ID))
}

// spoolRow tells what the header of a recording does.
func spoolRow(dir *spool.Dir, sub, id string, q archive.Query, now time.Time) (row archive.Row, ok bool) {
	file, err := dir.Open(sub, id)
	if err != nil {
		return row, false // it has just gone
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return row, false
	}
	in, err := asciicast.NewReader(file)
	if err != nil || in.Header.Session == nil || in.Header.Session.ID != id {
		return row, false // just begun, or for castgate-upload to put aside
	}
	h, state, end := in.Header, manifest.StateWaiting, info.ModTime()
	if sub == spool.Live && spool.Held(file) {
		state, end = manifest.StateLive, now
	}
	start := time.Unix(h.Timestamp, 0).UTC()
	m := &manifest.Manifest{
		Session: manifest.Session(*h.Session), Command: h.Command, Start: start, End: end.UTC(),
		Duration: manifest.Seconds(max(0, end.Sub(start))), Cast: manifest.Object{Bytes: info.Size()},
	}
	entry := archive.Entry{Manifest: m, State: state}
	return archive.NewRow(entry), q.Takes(entry)
}

// merge puts the rows of the spool where they belong among the archive's. One
// that this host has in both has been delivered. Another host may have delivered
// one with its id, which began whenever that host likes: so that the spool's can
// be marked, the archive's with their ids are known beforehand.
func merge(waiting []archive.Row, archived iter.Seq2[archive.Row, error], claimed func(archive.Row) bool) iter.Seq2[archive.Row, error] {
	here := map[string]string{} // id -> name
	for i, w := range waiting {
		here[w.ID] = w.Name
		waiting[i].Claimed = claimed(w)
	}
	return func(yield func(archive.Row, error) bool) {
		for r, err := range archived {
			for err == nil && len(waiting) > 0 && newestFirst(waiting[0], r) <= 0 {
				first := waiting[0]
				waiting = waiting[1:]
				if first.Name != r.Name && !yield(first, nil) {
					return
				}
			}
			r.Claimed = r.Claimed || here[r.ID] != "" && here[r.ID] != r.Name
			if !yield(r, err) {
				return
			}
		}
		for _, w := range waiting {
			if !yield(w, nil) {
				return
			}
		}
	}
}
