// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"castgate/upload/archive/screen"
	"castgate/wrap/asciicast"
)

// Outline is what the page needs to know of a recording beside its events:
// where nothing happens, how much happens when, what to mark, what was to read.
type Outline struct {
	Start    int64        `json:"start"` // unix time
	Duration float64      `json:"duration"`
	First    float64      `json:"first"`    // the first moment with something on the screen
	Idle     [][2]float64 `json:"idle"`     // from, to
	Activity []int        `json:"activity"` // 0..100 for each part of the duration
	Markers  []Mark       `json:"markers"`
	Lines    []OutLine    `json:"lines"`
	Hidden   []OutLine    `json:"hidden"`  // those that were hidden, also where there are more lines
	Strings  bool         `json:"strings"` // some of it was written into control strings
	Cut      bool         `json:"cut"`     // the recording ends within a line, or is damaged there
	More     bool         `json:"more"`    // there are more lines or markers than these

	MoreHidden bool `json:"moreHidden"`
}

// Mark is something worth finding.
type Mark struct {
	At    float64 `json:"t"`
	Kind  string  `json:"kind"` // marker, resize, exit
	Label string  `json:"label"`
}

// OutLine is a line of the transcript.
type OutLine struct {
	At     float64 `json:"t"`
	Text   string  `json:"text"`
	Hidden string  `json:"hidden,omitempty"` // how, see screen.Hidden
}

// idleAfter is when a pause is skipped: shorter ones are how people type.
const idleAfter = 2 * time.Second

// Bounds of an outline: the bars of a mini-map, and what a browser can show.
const (
	bars        = 240
	maxMarks    = 1000
	maxIdle     = 20_000
	maxOutLine  = 20_000
	maxLineText = 2000
	maxOutText  = 4 << 20
	maxHidden   = 5000 // lines that were hidden, and of each its first maxHidText bytes
	maxHidText  = 300
)

// outliner reads events. It knows the duration only at the end, so activity is
// counted by the second first; a session of days would need coarser ones, so
// they double in width when they are too many.
type outliner struct {
	out   Outline
	text  int // bytes of its lines
	last  time.Duration
	width time.Duration
	count []int

	looks int           // at the screen, for First
	begun time.Duration // when there was something on it
	first time.Duration // First so far
	found bool          // it will be no other
}

// A recording opens on the first moment with something on the screen: when what
// came with it, in bursts that have no gap of settle between them, stands there,
// but not long after. A screen that has nothing on it for maxLooks events, each
// of which is searched, opens on the start.
const (
	settle   = 300 * time.Millisecond
	longest  = 2 * time.Second
	maxLooks = 1000
)

// shows is told of the screen after each event.
func (o *outliner) shows(s *screen.Screen, at time.Duration) {
	if o.found || o.begun > 0 && (at-o.begun > longest || at-o.first > settle) {
		o.found = true
		return
	}
	if o.looks++; o.looks > maxLooks || s.Blank() {
		o.found = o.looks > maxLooks
		return
	}
	if o.begun == 0 {
		o.begun = max(at, 1)
	}
	o.first = at
	o.out.First = at.Seconds()
}

const maxCounts = 1 << 16

func newOutliner() *outliner { return &outliner{width: 100 * time.Millisecond} }

func (o *outliner) event(ev asciicast.Event) {
	if gap := ev.Time - o.last; gap > idleAfter && len(o.out.Idle) < maxIdle {
		o.out.Idle = append(o.out.Idle, [2]float64{o.last.Seconds(), ev.Time.Seconds()})
	}
	o.last = ev.Time
	o.add(ev.Time, len(ev.Data))
	switch ev.Code {
	case asciicast.Marker:
		o.mark(ev, "marker")
	case asciicast.Resize:
		o.mark(ev, "resize")
	case asciicast.Exit:
		o.mark(ev, "exit")
	}
}

// line takes a line of the transcript. A line is known when it leaves the
// screen, so they come in another order than they were written.
func (o *outliner) line(l screen.Line) {
	text := strings.TrimRight(l.Text, " ")
	if text == "" {
		return
	}
	o.hidden(l, text)
	if len(o.out.Lines) == maxOutLine || o.text > maxOutText {
		o.out.More = true
		return
	}
	text = cut(text, maxLineText)
	o.text += len(text)
	o.out.Lines = append(o.out.Lines, OutLine{l.At.Seconds(), visible(text), l.Hidden.String()})
}

// hidden lists what was hidden. However much is shown first, it is there.
func (o *outliner) hidden(l screen.Line, text string) {
	if l.Hidden == screen.Visible {
		return
	}
	o.out.Strings = o.out.Strings || l.Hidden == screen.InString
	if len(o.out.Hidden) == maxHidden {
		o.out.MoreHidden = true
		return
	}
	o.out.Hidden = append(o.out.Hidden, OutLine{l.At.Seconds(), visible(cut(text, maxHidText)), l.Hidden.String()})
}

func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}

func (o *outliner) mark(ev asciicast.Event, kind string) {
	if len(o.out.Markers) == maxMarks {
		o.out.More = true
		return
	}
	o.out.Markers = append(o.out.Markers, Mark{ev.Time.Seconds(), kind, visible(string(ev.Text))})
}

func (o *outliner) add(at time.Duration, n int) {
	for at/o.width >= maxCounts {
		half := o.count[:(len(o.count)+1)/2]
		for i := range half {
			sum := o.count[2*i]
			if 2*i+1 < len(o.count) {
				sum += o.count[2*i+1]
			}
			half[i] = sum
		}
		o.count, o.width = half, 2*o.width
	}
	i := int(at / o.width)
	for len(o.count) <= i {
		o.count = append(o.count, 0)
	}
	o.count[i] += n
}

// finish spreads the counts over the bars. A bar shows the order of magnitude:
// a screen of text and a keystroke are both worth seeing.
func (o *outliner) finish() Outline {
	for _, lines := range [][]OutLine{o.out.Lines, o.out.Hidden} {
		slices.SortStableFunc(lines, func(a, b OutLine) int { return cmp.Compare(a.At, b.At) })
	}
	o.out.Duration = o.last.Seconds()
	o.out.Activity = make([]int, bars)
	sums, top := make([]int, bars), 0
	for i, n := range o.count {
		b := min(bars-1, int(int64(i)*int64(o.width)*bars/max(1, int64(o.last))))
		sums[b] += n
		top = max(top, bitLen(sums[b]))
	}
	for b, n := range sums {
		if top > 0 {
			o.out.Activity[b] = 100 * bitLen(n) / top
		}
	}
	return o.out
}

func bitLen(n int) (bits int) {
	for ; n > 0; n >>= 1 {
		bits++
	}
	return bits
}
