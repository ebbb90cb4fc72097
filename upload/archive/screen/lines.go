// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"bytes"
	"hash/maphash"
	"strings"
	"time"
)

// The transcript is the text that a person at the terminal could read, once
// each, in the order in which it went away:
//
//   - Scrolled: a line that left the main screen at the top. Rows that the
//     terminal wrapped are one line again, so that words are whole.
//   - Erased: a row that was cleared, scrolled out of a region, or written over
//     after the cursor had left it, on the main screen.
//   - Alternate: the same on the alternate screen, and what was on it when it
//     was left: the pages of less, the files in vim.
//   - Final: what stood on the main screen at the end.
//
// Not in it is what a line was before the cursor left it: a password that was
// typed and erased with backspace, the states of a progress bar. Full-screen
// programs repaint much; of Erased and Alternate rows each text comes once, and
// of those that differ only in their digits a limited number.

// Line is a line of the transcript.
type Line struct {
	At   time.Duration // when its last character was put on the screen
	Kind Kind
	Text string // no control characters; bidi controls and the like as they were
}

// Kind says why a line is in the transcript.
type Kind uint8

// The kinds.
const (
	Scrolled Kind = iota
	Erased
	Alternate
	Final
)

func (k Kind) String() string { return [...]string{"scrolled", "erased", "alternate", "final"}[k] }

const (
	// maxLine bounds a line that was joined from wrapped rows, in bytes.
	maxLine = 64 << 10
	// maxSeen bounds the memory of what has been shown already.
	maxSeen = 1 << 14
	// maxAlike is how many rows are kept that differ in digits only: a log file
	// in less has a screen or two of them, a clock has one every second.
	maxAlike = 200
)

// recorder is the state of the transcript.
type recorder struct {
	row    *row          // the last one written to
	joined []byte        // wrapped rows that have left
	at     time.Duration // of joined
	open   bool          // joined is in use
	lost   []byte        // wrapped rows that were erased or scrolled out
	lostAt time.Duration // of lost
	buf    []byte
	seen   map[uint64]struct{}
	alike  map[uint64]int
	seed   maphash.Seed
}

// touch is called before the cells from x to end of r change.
func (s *Screen) touch(b *buffer, r *row, x, end int) {
	if s.Lines == nil {
		return
	}
	if prev := s.record.row; prev != r {
		if prev != nil {
			s.finish(b, prev)
		}
		s.record.row = r
	}
	if !r.finished {
		return
	}
	if r.old == "" && !r.blankIn(x, end) {
		r.old, r.oldAt = string(r.text(nil, true)), r.at
	}
	r.finished = false
}

// finish is called when the cursor has left r. What stood there before it came
// is lost now, unless it was only edited.
func (s *Screen) finish(b *buffer, r *row) {
	if r.old != "" {
		s.record.buf = r.text(s.record.buf[:0], true)
		if !edited(r.old, s.record.buf) {
			s.emitOnce(b, r.oldAt, []byte(r.old))
		}
		r.old = ""
	}
	r.finished = true
}

// edited says that half of what stood there is there still, at its ends.
func edited(old string, now []byte) bool {
	n := min(len(old), len(now))
	head := 0
	for head < n && old[head] == now[head] {
		head++
	}
	tail := 0
	for tail < n-head && old[len(old)-1-tail] == now[len(now)-1-tail] {
		tail++
	}
	return 2*(head+tail) >= len(old)
}

// loseRows is called before the rows from y to end go away.
func (s *Screen) loseRows(b *buffer, y, end int) {
	for ; y < end && y < len(b.lines); y++ {
		s.lose(b, b.lines[y], y+1 < len(b.lines) && b.lines[y+1].wrapped)
	}
}

// lose is called before a row goes away that is not kept as scrollback.
// continued tells that the row after it, which wrapped, goes next.
func (s *Screen) lose(b *buffer, r *row, continued bool) {
	if s.Lines == nil {
		return
	}
	s.finish(b, r)
	rec := &s.record
	if !r.wrapped {
		s.flushLost(b) // what continued the row before stayed
	}
	if len(rec.lost) == 0 || !r.isBlank() {
		rec.lostAt = r.at
	}
	rec.lost = r.text(rec.lost, !continued)
	if !continued || len(rec.lost) >= maxLine {
		s.flushLost(b)
	}
}

func (s *Screen) flushLost(b *buffer) {
	rec := &s.record
	s.emitOnce(b, rec.lostAt, bytes.TrimRight(rec.lost, " "))
	rec.lost = rec.lost[:0]
}

// leaveTop is called before a row goes to the scrollback.
func (s *Screen) leaveTop(r *row, continued bool) {
	if s.Lines == nil {
		return
	}
	s.finish(s.main, r)
	s.join(r, continued, Scrolled)
}

// join puts wrapped rows together and emits the line when it is whole.
func (s *Screen) join(r *row, continued bool, kind Kind) {
	rec := &s.record
	if !r.wrapped {
		s.flush(kind) // what continued the row before is gone
	}
	rec.joined, rec.at, rec.open = r.text(rec.joined, !continued), r.at, true
	if !continued || len(rec.joined) >= maxLine {
		s.flush(kind)
	}
}

// flush emits a line that was joined so far.
func (s *Screen) flush(kind Kind) {
	rec := &s.record
	if !rec.open || s.Lines == nil {
		return
	}
	text := strings.TrimRight(string(rec.joined), " ")
	s.Lines(Line{At: rec.at, Kind: kind, Text: text})
	rec.joined, rec.open = rec.joined[:0], false
}

// emitOnce emits an erased row, unless there were enough like it.
func (s *Screen) emitOnce(b *buffer, at time.Duration, text []byte) {
	if len(text) == 0 || !s.record.isNew(text) {
		return
	}
	kind := Erased
	if b == s.alt {
		kind = Alternate
	}
	s.Lines(Line{At: at, Kind: kind, Text: string(text)})
}

func (rec *recorder) isNew(text []byte) bool {
	if rec.seen == nil {
		rec.seed = maphash.MakeSeed()
	}
	if len(rec.seen) >= maxSeen || rec.seen == nil {
		rec.seen, rec.alike = map[uint64]struct{}{}, map[uint64]int{}
	}
	hash := maphash.Bytes(rec.seed, text)
	if _, ok := rec.seen[hash]; ok {
		return false
	}
	rec.seen[hash] = struct{}{}
	var masked [256]byte
	n := copy(masked[:], text)
	for i, c := range masked[:n] {
		if c >= '0' && c <= '9' {
			masked[i] = '0'
		}
	}
	hash = maphash.Bytes(rec.seed, masked[:n])
	rec.alike[hash]++
	return rec.alike[hash] <= maxAlike
}

// Close emits what the screen shows at the end. The Screen may not be written
// to any more.
func (s *Screen) Close() {
	if s.Lines == nil {
		return
	}
	if s.alt != nil {
		s.loseRows(s.alt, 0, s.rows)
		s.flushLost(s.alt)
	}
	s.flushLost(s.main)
	rows := s.main.lines
	for len(rows) > 0 && rows[len(rows)-1].isBlank() {
		rows = rows[:len(rows)-1]
	}
	for i, r := range rows {
		s.finish(s.main, r)
		s.join(r, i+1 < len(rows) && rows[i+1].wrapped, Final)
	}
	s.flush(Final)
}
