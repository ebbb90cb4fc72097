// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"castgate/upload/archive"
	"castgate/wrap/asciicast"
)

// A recording is prepared once, when it is first looked at: read through a
// terminal emulator (feed.go) and cut into segments, each with the sequences
// that paint the screen at its start. The player (asciinema-player's segmented mode)
// fetches one segment to show any moment, whatever the recording's size.
//
// What the player insists on: the first event of a segment is at its start, no
// two segments start at one time, none starts at the end, and the last event
// is at the end.

// segmentSize is the text of one segment: large enough that plain play fetches
// seldom, small enough that a seek is at once. It may be more, up to maxSegment
// and an event, until there is a moment to part at, between two times.
const (
	segmentSize = 256 << 10
	maxSegment  = 4 * segmentSize
)

// tick is what the player tells times apart by. Where far too much happened at
// one time, what follows is a tick later.
const tick = time.Microsecond

// sink keeps the prepared files.
type sink interface {
	put(name string, data []byte) error
}

// segmentIndex is what the player reads first.
type segmentIndex struct {
	Version  int          `json:"version"`
	Duration json.Number  `json:"duration"`
	Term     segmentTerm  `json:"term"`
	Segments []segmentRef `json:"segments"`
}

type segmentTerm struct {
	Cols int `json:"cols"`
	Rows int `json:"rows"`
}

type segmentRef struct {
	Start json.Number `json:"start"`
	URL   string      `json:"url"`
}

// segment is one segment under construction.
type segment struct {
	start  time.Duration
	term   segmentTerm
	init   string
	events []byte // `[t,"o","..."],[...]`
}

// preparer makes the files of one recording.
type preparer struct {
	out     sink
	index   segmentIndex
	feed    *feed
	outline *outliner
	current *segment
	last    time.Duration
	n       int // events in current
}

// prepare reads the recording to its end, or to where it is damaged. reveal shows
// as text what was written into control strings.
func prepare(cast io.Reader, out sink, reveal bool) error {
	rec, err := archive.NewEvents(cast)
	if err != nil {
		return fmt.Errorf("read the recording: %w", err)
	}
	p := newPreparer(rec.Header, out, reveal)
	for {
		ev, err := rec.Next()
		if err != nil {
			return p.finish(err)
		}
		if err := p.event(ev); err != nil {
			return err
		}
	}
}

func newPreparer(h asciicast.Header, out sink, reveal bool) *preparer {
	p := &preparer{out: out, feed: newFeed(h.Term, reveal), outline: newOutliner()}
	p.outline.out.Start = h.Timestamp
	p.feed.screen.Lines = p.outline.line
	p.index = segmentIndex{Version: 1, Term: segmentTerm{p.feed.cols, p.feed.rows}}
	p.current = p.segment(0)
	return p
}

func (p *preparer) segment(at time.Duration) *segment {
	cols, rows, init := p.feed.snapshot()
	return &segment{start: at, term: segmentTerm{cols, rows}, init: init}
}

func (p *preparer) event(ev asciicast.Event) error {
	ev.Time = max(ev.Time.Truncate(tick), p.last)
	if size := len(p.current.events); size > maxSegment || size > segmentSize && ev.Time > p.last {
		ev.Time = max(ev.Time, p.last+tick)
		p.feed.sync(p.last, true, p.add)
		if err := p.flush(); err != nil {
			return err
		}
		p.current, p.n = p.segment(ev.Time), 0
		p.add(asciicast.Event{Time: ev.Time, Code: asciicast.Output}) // at its start
	}
	p.last = ev.Time
	p.outline.event(ev)
	p.feed.run(ev)
	p.feed.sync(ev.Time, false, p.add)
	p.outline.shows(p.feed.screen, ev.Time)
	switch ev.Code {
	case asciicast.Marker, asciicast.Exit:
		p.add(ev)
	}
	return nil
}

func (p *preparer) add(ev asciicast.Event) {
	s := p.current
	if p.n > 0 {
		s.events = append(s.events, ',')
	}
	p.n++
	s.events = append(s.events, '[')
	s.events = append(s.events, seconds(ev.Time)...)
	s.events = append(s.events, ',')
	s.events = appendJSON(s.events, ev.Code)
	s.events = append(s.events, ',')
	s.events = appendJSON(s.events, string(ev.Text))
	s.events = append(s.events, ']')
}

// appendJSON appends s as a JSON string, with < and > escaped: segments are
// also written into the single-file download.
func appendJSON(dst []byte, s string) []byte {
	text, _ := json.Marshal(s) // of a string, never fails
	return append(dst, text...)
}

// seconds writes a time the same way wherever it stands: the player compares.
func seconds(d time.Duration) json.Number {
	return json.Number(strconv.FormatFloat(d.Truncate(tick).Seconds(), 'f', 6, 64))
}

// flush writes the current segment.
func (p *preparer) flush() error {
	s, n := p.current, len(p.index.Segments)
	name := "s" + strconv.Itoa(n) + ".json"
	p.index.Segments = append(p.index.Segments, segmentRef{seconds(s.start), name})
	out := fmt.Appendf(nil, `{"snapshot":{"cols":%d,"rows":%d,"init":`, s.term.Cols, s.term.Rows)
	out = appendJSON(out, s.init)
	out = append(out, `},"events":[`...)
	out = append(out, s.events...)
	return p.out.put(name, append(out, "]}"...))
}

// finish writes what is left. why is the reader's last error.
func (p *preparer) finish(why error) error {
	var syntax *asciicast.SyntaxError
	switch {
	case errors.Is(why, io.EOF):
	case errors.Is(why, asciicast.ErrTorn), errors.As(why, &syntax):
		p.outline.out.Cut = true
	default:
		return fmt.Errorf("read the recording: %w", why)
	}
	if len(p.index.Segments) > 0 {
		p.last = max(p.last, p.current.start+tick)
	}
	p.feed.end()
	p.feed.sync(p.last, true, p.add)
	p.add(asciicast.Event{Time: p.last, Code: asciicast.Output}) // the last event is at the end
	if err := p.flush(); err != nil {
		return err
	}
	p.feed.screen.Close()
	p.index.Duration = seconds(p.last)
	return errors.Join(putJSON(p.out, "index.json", p.index), putJSON(p.out, "outline.json", p.outline.finish()))
}

func putJSON(out sink, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return out.put(name, data)
}
