// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Level says how much a finding matters.
type Level string

// The levels. Only Fail makes `castgate check` exit with status 1.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "FAIL"
)

// Finding is one line of the report: what was looked at, and where that isn't
// as it should be, why it matters and what to do.
type Finding struct {
	Level Level  `json:"level"`
	What  string `json:"what"`
	Why   string `json:"why,omitempty"`
	Fix   string `json:"fix,omitempty"`
}

func ok(what string) []Finding { return []Finding{{Level: OK, What: what}} }

func warn(what, why, fix string) []Finding { return []Finding{{Warn, what, why, fix}} }

func failed(what, why, fix string) []Finding { return []Finding{{Fail, what, why, fix}} }

// String is the line a person reads.
func (f Finding) String() string {
	parts := []string{f.What}
	for _, p := range []string{f.Why, f.Fix} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return fmt.Sprintf("%-4s %s", f.Level, oneLine(strings.Join(parts, " - ")))
}

// oneLine keeps what others wrote (a program's message, a user's name) from
// making a second line or moving the cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.TrimSpace(s))
}

// Failed reports whether one of the findings is a failure.
func Failed(all []Finding) bool {
	for _, f := range all {
		if f.Level == Fail {
			return true
		}
	}
	return false
}

// WriteText prints one line for each finding.
func WriteText(w io.Writer, all []Finding) error {
	for _, f := range all {
		if _, err := fmt.Fprintln(w, f); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON prints the findings as one array.
func WriteJSON(w io.Writer, all []Finding) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(all)
}

// names lists some of many in a sentence.
func names(all []string) string {
	const most = 5 // what fits into a line that somebody reads
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	return strings.Join(all, ", ")
}
