// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"castgate/wrap/asciicast"
	"castgate/wrap/record"
)

// record begins the recording.
func (s *session) record(t *task) (*record.Recorder, error) {
	rec := &record.Recorder{FD: s.log.fd, Start: s.start, Wake: s.wake.Sync, Raw: s.LogFormat == FormatRaw, OnLoss: func(err error) {
		s.logger.Error("recording lost", s.who("why", err.Error())...)
	}}
	if err := rec.Begin(s.header(t)); err != nil {
		return nil, fault(StatusLog, "write the log: %w", err)
	}
	if t.original != "" {
		if err := rec.Marker("the client asked for: " + t.original); err != nil {
			return nil, fault(StatusLog, "write the log: %w", err)
		}
	}
	return rec, nil
}

func (s *session) header(t *task) asciicast.Header {
	facts := record.Facts{
		Start: s.start, Command: t.command, Shell: s.place.shell, Term: t.term, Lang: variable(t.prog.Env, "LANG"),
		Session: asciicast.Session{
			ID: s.id, Mode: "once", User: s.place.user, Key: s.visitor.print, Client: endpoint(s.visitor.from),
			Server: endpoint(s.visitor.at), TTY: t.tty(), Kind: t.kind, Asked: t.original, Version: "castgate " + s.Version,
		},
	}
	if t.tty() {
		size, _ := s.window()
		facts.Size = *size
	}
	return facts.Header()
}
