// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"strconv"
	"strings"
	"time"

	"castgate/wrap/guard"
)

// guardUnit is what journald itself notes of the guard's lines. A recorder's
// own are sent under its user's id, and any program of theirs could have sent
// them: nothing that excuses a session may rest on these.
const guardUnit = "_SYSTEMD_UNIT=castgate-guard.service"

// told is what the guard's log says about sessions.
type told struct {
	byHand  map[string]bool    // whose recorder sshd did not start: a shell before it could have shown anything
	refused map[connection]int // sessions of sshd's that castgate-wrap refused
}

// guardLog reads it. Where there was no guard it is empty.
func (h *Host) guardLog(since time.Time) (told, error) {
	messages, err := h.journal(since, guardUnit)
	return understand(messages), err
}

func understand(messages []entry) told {
	t := told{map[string]bool{}, map[connection]int{}}
	for _, m := range messages {
		f := logFields(m.text)
		switch f["msg"] {
		case "session":
			if s := guard.Standing(f["standing"]); s != guard.Direct {
				t.byHand[f["session"]] = true
			}
		case guard.LineRefused:
			if addr, port, is := strings.Cut(f["client"], " "); is && !t.byHand[f["session"]] {
				t.refused[connection{f["account"], addr, port}]++
			}
		}
	}
	return t
}

// logFields reads "key=value …", where what has anything unusual is quoted
// (slog.TextHandler). What is in the quotes is never taken for a field.
func logFields(line string) map[string]string {
	all := map[string]string{}
	for line != "" {
		var key, value string
		key, line = logWord(line, "=")
		value, line = logWord(line, " ")
		if _, twice := all[key]; !twice {
			all[key] = value
		}
	}
	return all
}

// logWord takes a word off a line. Other quotes than " are the word's own.
func logWord(line, end string) (word, rest string) {
	if strings.HasPrefix(line, `"`) {
		if quoted, err := strconv.QuotedPrefix(line); err == nil {
			word, _ = strconv.Unquote(quoted)
			return word, strings.TrimPrefix(line[len(quoted):], end)
		}
	}
	word, rest, _ = strings.Cut(line, end)
	return word, rest
}
