// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"
)

// asciicast v1 (https://docs.asciinema.org/manual/asciicast/v1/) is one JSON
// document, often of many lines, with the events as [delay, "data"] in it. It is
// read at once, so it may be no larger than a line of the others.

// document returns the whole document of which line is the first line, nil when
// that is no v1.
func (r *Reader) document(line []byte) []byte {
	whole := append(append([]byte(nil), line...), '\n')
	rest, err := io.ReadAll(io.LimitReader(r.in, MaxLine))
	if whole = append(whole, rest...); err != nil || !json.Valid(whole) {
		return nil
	}
	r.offset += int64(len(rest))
	return whole
}

func (r *Reader) nextV1() (Event, error) {
	if len(r.v1) == 0 || r.done != nil {
		if r.done == nil {
			r.done = io.EOF
		}
		return Event{}, r.done
	}
	var ev [2]json.RawMessage
	var delay float64
	var text string
	err := json.Unmarshal(r.v1[0], &ev)
	if err == nil {
		err = json.Unmarshal(ev[0], &delay)
	}
	if err == nil {
		err = json.Unmarshal(ev[1], &text)
	}
	if err == nil && (delay < 0 || delay > maxSeconds) {
		err = fmt.Errorf("the time %q is out of range", ev[0])
	}
	if err != nil {
		return Event{}, r.syntax(fmt.Errorf("not an event, %.80q: want [seconds, \"data\"]: %w", r.v1[0], err))
	}
	r.v1 = r.v1[1:]
	r.now += time.Duration(math.Round(delay*1e6)) * time.Microsecond
	r.text = append(r.text[:0], text...)
	return Event{Time: r.now, Code: Output, Data: r.text, Text: r.text}, nil
}
