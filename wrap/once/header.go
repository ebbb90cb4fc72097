// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"os"
	"strings"

	"castgate/wrap"
	"castgate/wrap/asciicast"
)

// record begins the recording.
func (s *session) record(t *task) (*wrap.Recorder, error) {
	rec := &wrap.Recorder{FD: s.log.fd, Start: s.start, Wake: s.wake.Sync, OnLoss: func(err error) {
		s.logger.Error("recording lost", s.who("why", err.Error())...)
	}}
	if s.LogFormat == FormatRaw {
		rec.Plain = func(p []byte) []byte { return p }
	}
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
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	h := asciicast.Header{
		Timestamp: s.start.Unix(),
		Term:      asciicast.Term{Type: valid(t.term)},
		Command:   valid(t.command),
		Env:       map[string]string{"SHELL": valid(s.place.shell)},
		Session: &asciicast.Session{
			ID: s.id, Mode: "once", Host: host, User: valid(s.place.user), UID: os.Getuid(), Key: s.visitor.print,
			Client: endpoint(s.visitor.from), Server: endpoint(s.visitor.at),
			TTY: t.tty(), Kind: t.kind, Boot: firstLine(boot), Version: "castgate " + s.Version,
		},
	}
	if lang := variable(t.prog.Env, "LANG"); lang != "" {
		h.Env["LANG"] = valid(lang)
	}
	if t.tty() {
		size, _ := s.window()
		h.Term.Cols, h.Term.Rows = int(size.Col), int(size.Row)
	}
	return h
}

func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

func firstLine(p []byte) string {
	line, _, _ := strings.Cut(string(p), "\n")
	return line
}
