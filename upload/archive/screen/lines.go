// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"hash/maphash"
	"iter"
	"strings"
	"time"
	"unicode"
)

// The transcript is the text that a person at the terminal could read, once
// each, in the order in which it went away:
//
//   - Scrolled: a line that left the main screen at the top. Rows that the
//     terminal wrapped are one line again, so that words are whole.
//   - Erased: a row that was cleared, scrolled out of a region, or written over,
//     on the main screen. Each time the cursor goes back, what stood there is
//     compared with what stands there when it goes back again or leaves.
//   - Alternate: the same on the alternate screen, and what was on it when it
//     was left: the pages of less, the files in vim.
//   - Final: what stood on the main screen at the end.
//   - String: a line of text that was written into a control string, where
//     most terminals show nothing; asciicast.ControlString says which are text.
//   - Image: the place of an image.
//
// A line says how it was hidden, when it was: see Hidden. What was rubbed out
// with backspaces is there, as a line editor's corrections are; what was typed
// and not echoed, as passwords are, was never written.
//
// Not in it is what was written over when no word of it is gone: the states of
// a progress bar or a clock, which differ in digits and signs, come once for a
// row, beside what stands there in the end. Full-screen programs repaint much;
// of Erased and Alternate rows each text comes once, and of those that differ
// only in their digits a limited number.

// Line is a line of the transcript.
type Line struct {
	At     time.Duration // when its last character was put on the screen
	Kind   Kind
	Hidden Hidden // how the person at the terminal may not have seen it
	Text   string // no control characters; bidi controls and the like as they were
}

// Kind says why a line is in the transcript.
type Kind uint8

// The kinds.
const (
	Scrolled Kind = iota
	Erased
	Alternate
	Final
	String
	Image
)

func (k Kind) String() string {
	return [...]string{"scrolled", "erased", "alternate", "final", "string", "image"}[k]
}

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
	row     *row                // the last one written to
	next    int                 // the column where that writing goes on
	cursor  int                 // the column after printing and backspaces
	back    bool                // there were backspaces
	rubbing bool                // what was written last began there
	shifted bool                // what was done last moved what stands behind it
	words   map[string]struct{} // of a row, for lost
	joined  joined              // wrapped rows that have left
	open    bool                // joined is in use
	lost    joined              // wrapped rows that were erased or scrolled out
	lostHow Hidden
	buf     []byte
	masked  []byte
	seen    map[uint64]struct{}
	alike   map[uint64]int
	seed    maphash.Seed

	altSince time.Duration // when the alternate screen was switched to
	noted    int           // bytes of all rows' notes
	skipped  int           // notes of unfollowed
	beyond   gathered      // the last column, without wrapping
	drawn    gathered      // letters of the line-drawing set
	stacked  gathered      // what a cell had no place for
	gathers  bool          // one of them is not empty
}

// touch is called before the cells from x to end of r change: ink says that
// characters are put there, not blanks.
func (s *Screen) touch(b *buffer, r *row, x, end int, ink bool) {
	if s.Lines == nil {
		return
	}
	rec := &s.record
	switch {
	case rec.row != r:
		if rec.row != nil {
			s.settle(b, rec.row)
		}
		rec.row, rec.rubbing = r, false
	case x != rec.next:
		rubbing := rec.back && x == rec.cursor
		if rubbing && !rec.rubbing && !ink {
			s.settle(b, r) // each rubbing out is one of its own
		}
		rec.rubbing = rubbing
		if (x < rec.next || rec.shifted) && !rec.rubbing && r.old != "" && !(s.spend(r.width) && r.isBlank()) {
			s.settle(b, r) // not yet what is erased to be drawn anew
		}
	case ink:
		rec.rubbing = false
	}
	rec.next, rec.back, rec.shifted = x, false, false
	if r.old == "" && !r.blankIn(x, end) && s.spend(4*r.width) {
		r.old, r.oldAt, r.how = r.lead+string(r.text(nil, true)), r.at, ErasedText
		switch {
		case ink:
			r.how = Overwritten
		case rec.rubbing:
			r.how = RubbedOut
		}
	}
}

// printed is called when the cursor is behind what was printed.
func (rec *recorder) printed(x int) { rec.next, rec.cursor = x, x }

// backspace is called when the cursor went back.
func (rec *recorder) backspace(from, to int) {
	if rec.back = from == rec.cursor; rec.back {
		rec.cursor = to
	}
}

// settle is called when the cursor has left r, or begins to write on it anew.
// What stood there before is lost now, unless its words are there still.
func (s *Screen) settle(b *buffer, r *row) {
	if r.old == "" {
		return
	}
	s.record.buf = r.text(s.record.buf[:0], true)
	if s.record.gone(r, string(s.record.buf)) {
		s.emitOnce(b, r.oldAt, []byte(r.old), r.how)
	}
	r.old = ""
}

// gone says that a word of r.old is not to be read in now, or for the first
// time in this row a number.
func (rec *recorder) gone(r *row, now string) bool {
	if strings.HasPrefix(now, r.old) {
		return false
	}
	if rec.words == nil {
		rec.words = map[string]struct{}{}
	}
	clear(rec.words)
	for word := range words(now) {
		rec.words[word] = struct{}{}
	}
	shape, number := "0", false
	for word := range words(r.old) {
		_, kept := rec.words[word]
		switch isDigit := word[0] >= '0' && word[0] <= '9'; {
		case !kept && !isDigit:
			return true
		case !isDigit:
			shape += " " + word
		case !kept:
			number = true
		}
	}
	if !number || shape == r.shape && r.how != RubbedOut {
		return false
	}
	r.shape = shape
	return true
}

// words yields the runs of letters and those of digits: 10s and 11s differ in a
// number.
func words(s string) iter.Seq[string] {
	const other, letter, digit = 0, 1, 2
	return func(yield func(string) bool) {
		start, kind := 0, other
		for i, r := range s + " " {
			next := other
			switch {
			case r >= '0' && r <= '9':
				next = digit
			case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r):
				next = letter
			}
			if next == kind {
				continue
			}
			if kind != other && !yield(s[start:i]) {
				return
			}
			start, kind = i, next
		}
	}
}

// loseRows is called before the rows from y to end go away.
func (s *Screen) loseRows(b *buffer, y, end int, how Hidden) {
	for ; y < end && y < len(b.lines); y++ {
		s.lose(b, b.lines[y], y+1 < len(b.lines) && b.lines[y+1].wrapped, how)
	}
}

// lose is called before a row goes away that is not kept as scrollback.
// continued tells that the row after it, which wrapped, goes next.
func (s *Screen) lose(b *buffer, r *row, continued bool, how Hidden) {
	if s.Lines == nil {
		return
	}
	s.settle(b, r)
	rec := &s.record
	if !r.wrapped {
		s.flushLost(b) // what continued the row before stayed
	}
	s.giveNotes(r, true)
	rec.lost.add(r, !continued)
	rec.lostHow = how
	if !continued || len(rec.lost.text) >= maxLine {
		s.flushLost(b)
	}
	s.giveNotes(r, false)
}

func (s *Screen) flushLost(b *buffer) {
	rec := &s.record
	text, shown := rec.lost.take()
	how := rec.lostHow
	if shown != nil {
		s.emitOnce(b, rec.lost.at, text, Concealed)
		text = shown
	}
	s.emitOnce(b, rec.lost.at, text, how)
}

// leaveTop is called before a row goes to the scrollback.
func (s *Screen) leaveTop(r *row, continued bool) {
	if s.Lines == nil {
		return
	}
	s.settle(s.main, r)
	s.join(r, continued, Scrolled)
}

// join puts wrapped rows together and emits the line when it is whole.
func (s *Screen) join(r *row, continued bool, kind Kind) {
	rec := &s.record
	if !r.wrapped {
		s.flush(kind) // what continued the row before is gone
	}
	s.giveNotes(r, true)
	rec.joined.add(r, !continued)
	rec.joined.at, rec.open = r.at, true
	if !continued || len(rec.joined.text) >= maxLine {
		s.flush(kind)
	}
	s.giveNotes(r, false)
}

// flush emits a line that was joined so far.
func (s *Screen) flush(kind Kind) {
	rec := &s.record
	if !rec.open || s.Lines == nil {
		return
	}
	rec.open = false
	text, shown := rec.joined.take()
	line := Line{At: rec.joined.at, Kind: kind, Text: string(text)}
	if shown != nil {
		line.Hidden = Concealed
		s.emit(line)
		if len(shown) == 0 {
			return
		}
		line.Hidden, line.Text = Visible, string(shown)
	}
	s.emit(line)
}

// emitOnce emits an erased row, unless there were enough like it. On the
// alternate screen nothing stays, and programs repaint it: what was there is
// hidden only when it came and went at once, or was concealed.
func (s *Screen) emitOnce(b *buffer, at time.Duration, text []byte, how Hidden) {
	if len(text) == 0 || !s.record.isNew(text) {
		return
	}
	kind := Erased
	if b == s.alt {
		kind = Alternate
		switch {
		case how == Concealed:
		case s.Now-s.record.altSince < readable:
			how = Flickered
		default:
			how = Visible
		}
	}
	s.emit(Line{At: at, Kind: kind, Hidden: how, Text: string(text)})
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
	rec.masked = append(rec.masked[:0], text...)
	for i, c := range rec.masked {
		if c >= '0' && c <= '9' {
			rec.masked[i] = '0'
		}
	}
	hash = maphash.Bytes(rec.seed, rec.masked)
	rec.alike[hash]++
	return rec.alike[hash] <= maxAlike
}

// Close emits what the screen shows at the end. The Screen may not be written
// to any more.
func (s *Screen) Close() {
	if s.Lines == nil {
		return
	}
	s.closeString()
	s.giveGathered()
	if s.record.row != nil {
		s.settle(s.b, s.record.row)
	}
	if s.alt != nil {
		s.record.altSince = s.Now - readable // it may have stood there for long after
		s.loseRows(s.alt, 0, s.rows, ErasedText)
		s.flushLost(s.alt)
	}
	s.flushLost(s.main)
	rows := s.main.lines
	for len(rows) > 0 && rows[len(rows)-1].isBlank() {
		rows = rows[:len(rows)-1]
	}
	for i, r := range rows {
		s.join(r, i+1 < len(rows) && rows[i+1].wrapped, Final)
	}
	s.flush(Final)
	for _, r := range s.main.lines[len(rows):] {
		s.giveNotes(r, false)
	}
}
