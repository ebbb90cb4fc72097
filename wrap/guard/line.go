// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Line is a line of the log about a session, which the recorder has the guard
// write. What the recorder sends to syslog itself is sent under its user's id,
// and any program of theirs can send the same; what comes from the guard was
// said by the recorder of that session.
type Line struct {
	Level  slog.Level `json:"level"`
	Msg    string     `json:"msg"`
	Fields []string   `json:"fields"` // a key, its value, the next key
}

// Lines that mean something to the guard, too.
const (
	LineStart   = "session start"
	LineEnd     = "session end"
	LineRefused = "session refused"
	LineBack    = "guard back" // said to the guard that was started meanwhile
)

// Limits of a line: more than the recorder has to say. A byte is at most six
// in JSON.
const (
	maxFields = 2 * 32
	maxField  = 512
	maxLine   = 6*maxFields*maxField + 1<<10
)

func (l Line) encode() ([]byte, error) {
	fields := l.Fields[:min(len(l.Fields), maxFields)]
	for i := range fields {
		fields[i] = strings.ToValidUTF8(clip(fields[i], maxField), "\ufffd")
	}
	return json.Marshal(Line{l.Level, clip(l.Msg, maxField), fields})
}

func decodeLine(b []byte) (Line, error) {
	var l Line
	if len(b) > maxLine {
		return l, fmt.Errorf("a line of %d bytes", len(b))
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return l, err
	}
	if l.Msg == "" || len(l.Fields) > maxFields || len(l.Fields)%2 != 0 {
		return l, errors.New("not a line")
	}
	return l, nil
}

// relay writes a session's line. Whose session it is, is not the recorder's to say.
func (g *Guard) relay(s *session, l Line) {
	switch l.Msg {
	case LineStart, LineBack:
		if s.who == nil {
			s.who = l.Fields
		}
	case LineEnd, LineRefused:
		s.who = []string{} // and LineBack, which may come after it, changes that no more
	}
	g.write(s, l.Level, l.Msg, l.Fields)
}

// goesOn says that the session's start was told and its end was not.
func (s *session) goesOn() bool { return len(s.who) > 0 }

func (g *Guard) write(s *session, level slog.Level, msg string, fields []string, more ...any) {
	args := []any{"session", s.Session, "uid", s.uid, "pid", s.peer.pid}
	for i := 0; i+1 < len(fields); i += 2 {
		switch fields[i] {
		case "session", "uid", "pid":
		default:
			args = append(args, fields[i], fields[i+1])
		}
	}
	g.Log.Log(context.Background(), level, msg, append(args, more...)...)
}
