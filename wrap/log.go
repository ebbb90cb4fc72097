// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"context"
	"log/slog"

	"castgate/wrap/guard"
)

// sessionLog is the log of a session. Its lines go through the guard where there is
// one: what this process sends to syslog itself is sent as the person, and any
// program of theirs could have sent it.
type sessionLog struct {
	slog.Handler // of this process
	session      *session
}

func (t sessionLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == guard.LineEnd {
		t.session.over.Store(true)
	}
	if c := t.session.guard.Load(); c != nil && c.Say(lineOf(r)) == nil {
		return nil
	}
	return t.Handler.Handle(ctx, r)
}

func lineOf(r slog.Record) guard.Line {
	l := guard.Line{Level: r.Level, Msg: r.Message}
	r.Attrs(func(a slog.Attr) bool {
		l.Fields = append(l.Fields, a.Key, a.Value.String())
		return true
	})
	return l
}
