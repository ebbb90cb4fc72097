// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"strings"
	"time"
)

// Hidden says how the person at the terminal may not have seen a line, or how
// somebody who watches the recording may not see it.
type Hidden uint8

// The ways to hide.
const (
	Visible     Hidden = iota
	InString           // written into a control string
	Concealed          // in colours that hide it; a second line has what was to see
	OffScreen          // behind the last column, or cut off by another size
	Overwritten        // other text was written there
	ErasedText         // it was cleared, or scrolled out of a region
	RubbedOut          // with backspaces
	Flickered          // on an alternate screen that was there for less than a second
	Charset            // letters in a character set that shows other signs
	Stacked            // more combining or invisible characters than one cell keeps
	Invisible          // spelled with characters that no terminal shows
	Unfollowed         // so much work for few bytes that it was not done
)

var hiddenNames = [...]string{
	"", "control string", "concealed", "off screen", "overwritten", "erased", "rubbed out", "flickered", "character set", "stacked", "invisible", "not followed",
}

// String is a name for people; none for what is visible.
func (h Hidden) String() string { return hiddenNames[h] }

// readable is the shortest time in which a person reads a screen.
const readable = time.Second

// note is a line that belongs to a place on the screen, and is given out with
// its row: before it when the row was blank.
type note struct {
	Line
	before bool
}

const (
	// maxNotes bounds the bytes of all rows' notes; others are given out at once.
	maxNotes = 1 << 20
	noteCost = 64 // what one takes beside its text
	// maxSkipped is how often it is told that something was not followed.
	maxSkipped = 100
)

// note keeps a line at the cursor's row.
func (s *Screen) note(l Line) {
	rec := &s.record
	if rec.noted+len(l.Text)+noteCost > maxNotes {
		s.emit(l)
		return
	}
	rec.noted += len(l.Text) + noteCost
	r := s.b.lines[s.b.y]
	r.notes = append(r.notes, note{l, r.empty || s.b.x == 0})
}

// giveNotes gives out those notes that come before the row's text, or the rest.
func (s *Screen) giveNotes(r *row, before bool) {
	if len(r.notes) == 0 {
		return
	}
	kept := r.notes[:0]
	for _, n := range r.notes {
		if before && !n.before {
			kept = append(kept, n)
			continue
		}
		s.record.noted -= len(n.Text) + noteCost
		s.emit(n.Line)
	}
	clear(r.notes[len(kept):])
	r.notes = kept
}

// unfollowed notes that what was written here was not followed.
func (s *Screen) unfollowed() {
	if s.Lines == nil || s.record.skipped >= maxSkipped {
		return
	}
	s.record.skipped++
	s.emit(Line{At: s.Now, Kind: String, Hidden: Unfollowed, Text: "[so much work for so few bytes that the screen may differ, and what it hid is not here]"})
}

// stringByte takes a byte of a control string. again means that it is to be run
// once more.
func (s *Screen) stringByte(c byte) (again bool) {
	p := &s.parse
	s.str.Now = s.Now
	switch {
	case p.state == strEscape && c == '\\', c == 0x07 && p.state == oscString:
		s.str.End(true)
		p.state = ground
	case c == 0x18 || c == 0x1a:
		s.str.End(false)
		p.state = ground
	case c == 0x1b:
		p.state = strEscape
	case p.state == strEscape:
		s.str.End(false)
		p.state, p.prefix, p.inter, p.params = escape, 0, 0, p.params[:0]
		again = true
	case !s.str.Add(c):
		p.state = ground
	}
	s.givePieces()
	return again
}

func (s *Screen) givePieces() {
	for _, p := range s.str.Pieces {
		l := Line{At: p.At, Kind: String, Hidden: InString, Text: p.Line()}
		if p.Format != "" {
			l.Kind, l.Hidden = Image, Visible
		}
		if s.Lines != nil && strings.TrimSpace(l.Text) != "" {
			s.note(l)
		}
	}
	s.str.Pieces = s.str.Pieces[:0]
}

// closeString ends what has not ended at the end of the session.
func (s *Screen) closeString() {
	if s.parse.state >= str {
		s.str.End(false)
	}
	s.str.Flush()
	s.givePieces()
}
