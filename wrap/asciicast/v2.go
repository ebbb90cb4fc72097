// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
)

// headerV2 is the first line of asciicast v2.
type headerV2 struct {
	Version       int               `json:"version"`
	Width         int               `json:"width"`
	Height        int               `json:"height"`
	Timestamp     int64             `json:"timestamp,omitempty"`
	IdleTimeLimit float64           `json:"idle_time_limit,omitempty"`
	Command       string            `json:"command,omitempty"`
	Title         string            `json:"title,omitempty"`
	Env           map[string]string `json:"env,omitempty"`
	Theme         *Theme            `json:"theme,omitempty"`
}

// WriteV2 writes a recording for players of before v3: times count from the
// start, there are no comments, and bytes that are not UTF-8 are U+FFFD. The
// exit status has no event there and is left out. What a torn recording has is
// written, and torn tells.
func WriteV2(w io.Writer, r *Reader) (torn bool, err error) {
	h := r.Header
	env := maps.Clone(h.Env)
	if h.Term.Type != "" {
		if env == nil {
			env = map[string]string{}
		}
		env["TERM"] = h.Term.Type
	}
	cols, rows := Clamp(h.Term.Cols, h.Term.Rows)
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(headerV2{2, cols, rows, h.Timestamp, h.IdleTimeLimit, h.Command, h.Title, env, h.Term.Theme}); err != nil {
		return false, fmt.Errorf("encode the header: %w", err)
	}
	for {
		ev, err := r.Next()
		if err != nil {
			if torn = errors.Is(err, ErrTorn); torn || errors.Is(err, io.EOF) {
				err = nil
			}
			return torn, errors.Join(err, out.Flush())
		}
		switch ev.Code {
		case Output, Input, Marker, Resize:
		default:
			continue
		}
		us := ev.Time.Microseconds()
		fmt.Fprintf(out, "[%d.%06d, %q, ", us/1e6, us%1e6, ev.Code)
		text, err := json.Marshal(string(appendFFFD(nil, ev.Data)))
		if err != nil {
			return false, err
		}
		if _, err := out.Write(append(text, "]\n"...)); err != nil {
			return false, err
		}
	}
}
