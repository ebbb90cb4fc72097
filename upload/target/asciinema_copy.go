// SPDX-License-Identifier: AGPL-3.0-or-later

package target

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"castgate/wrap/asciicast"
)

// What an asciinema server refuses, of a whole file that it parses (its
// recordings.ex, v2.ex, v3.ex): more than 720x200, environment keys that are
// not upper case, a theme that is not whole, no event, a code that it does not
// know when it writes the file again. The copy has none of these. It is in v3,
// or in v2 for servers of before 2025, and without our comments.
const (
	serverCols = 720
	serverRows = 200
	maxCommand = 255
)

var (
	envKey = regexp.MustCompile(`^[A-Z0-9_]+$`)
	colour = regexp.MustCompile(`^#[0-9a-f]{6}$`)
)

// asciinemaCopy writes cast as the server takes it.
func asciinemaCopy(w io.Writer, cast io.Reader, version int, title string) error {
	r, err := asciicast.NewReader(cast)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	c := castCopy{version: version}
	line, err := c.header(r.Header, title)
	if err != nil {
		return err
	}
	_, _ = out.Write(line) // a bufio.Writer keeps its error
	events := 0
	for {
		ev, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if line := c.event(ev); len(line) > 0 {
			events++
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
	}
	if events == 0 {
		_, _ = out.Write(c.event(asciicast.Event{Code: asciicast.Marker, Text: []byte("nothing was shown")}))
	}
	return out.Flush()
}

type castCopy struct {
	version int
	enc     asciicast.Encoder
	buf     []byte
}

func (c *castCopy) header(h asciicast.Header, title string) ([]byte, error) {
	h.Title = title
	h.Command = cut(h.Command, maxCommand)
	h.Tags = nil
	h.Term.Cols, h.Term.Rows = fit(h.Term.Cols, h.Term.Rows)
	h.Term.Type = cut(h.Term.Type, 64)
	if t := h.Term.Theme; t != nil && !wholeTheme(t) {
		h.Term.Theme = nil
	}
	env := map[string]string{}
	for k, v := range h.Env {
		if envKey.MatchString(k) {
			env[k] = v
		}
	}
	h.Env = env
	if c.version == 3 {
		return asciicast.AppendHeader(nil, h), nil
	}
	if h.Term.Type != "" {
		env["TERM"] = h.Term.Type
	}
	line, err := json.Marshal(map[string]any{
		"version": 2, "width": h.Term.Cols, "height": h.Term.Rows, "timestamp": h.Timestamp,
		"title": h.Title, "command": h.Command, "env": env,
	})
	return append(line, '\n'), err
}

func wholeTheme(t *asciicast.Theme) bool {
	palette := strings.Split(t.Palette, ":")
	if len(palette) != 8 && len(palette) != 16 {
		return false
	}
	for _, c := range append(palette, t.Fg, t.Bg) {
		if !colour.MatchString(c) {
			return false
		}
	}
	return true
}

// event returns the event's line, nothing when the server has no use for it.
func (c *castCopy) event(ev asciicast.Event) []byte {
	text := string(ev.Text)
	if ev.Code == asciicast.Resize {
		var cols, rows int
		if n, _ := fmt.Sscanf(text, "%dx%d", &cols, &rows); n != 2 {
			return nil
		}
		cols, rows = fit(cols, rows)
		text = fmt.Sprintf("%dx%d", cols, rows)
	}
	if c.version == 3 {
		return c.v3(ev, text)
	}
	switch ev.Code {
	case asciicast.Output, asciicast.Input, asciicast.Marker, asciicast.Resize:
	default:
		return nil
	}
	data, err := json.Marshal(text)
	if err != nil {
		return nil // strings always encode
	}
	at := strconv.FormatFloat(ev.Time.Truncate(time.Microsecond).Seconds(), 'f', 6, 64)
	return fmt.Appendf(c.buf[:0], "[%s, %q, %s]\n", at, ev.Code, data)
}

func (c *castCopy) v3(ev asciicast.Event, text string) []byte {
	b := c.buf[:0]
	switch ev.Code {
	case asciicast.Output:
		b = c.enc.Flush(c.enc.AppendOutput(b, ev.Time, []byte(text)), ev.Time)
	case asciicast.Input:
		b = c.enc.Flush(c.enc.AppendInput(b, ev.Time, []byte(text)), ev.Time)
	case asciicast.Marker:
		b = c.enc.AppendMarker(b, ev.Time, text)
	case asciicast.Resize:
		var cols, rows int
		_, _ = fmt.Sscanf(text, "%dx%d", &cols, &rows)
		b = c.enc.AppendResize(b, ev.Time, cols, rows)
	case asciicast.Exit:
		status, err := strconv.Atoi(text)
		if err != nil {
			return nil
		}
		b = c.enc.AppendExit(b, ev.Time, status)
	}
	c.buf = b
	return b
}

func fit(cols, rows int) (int, int) {
	cols, rows = asciicast.Clamp(cols, rows)
	return min(cols, serverCols), min(rows, serverRows)
}

// cut shortens s to n bytes at most, at a character's end.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
