// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"log/slog"
	"time"

	"castgate/keys/hot"
)

// Decision is the answer for one account, and how it came about.
type Decision struct {
	Account string
	Offered string   // fingerprint of the key that was offered, if any
	Lines   []string // authorized_keys lines, complete with their newline
	Login   string   // whose key it is, when one key was asked for and found
	ID      int64
	Source  string // emergency, cache, github, stale
	Age     time.Duration
	Why     string
	Steps   []Step

	// Warnings are for the administrator whatever was decided: something that
	// will be missed on another day.
	Warnings []string

	entries map[string]hot.Entry // by base64, for Prepare
	firsts  []pin                // whose id was not known for this account
}

// Allowed reports whether the account opens.
func (d *Decision) Allowed() bool { return len(d.Lines) > 0 }

// First reports whether the account opens to a GitHub id that was never seen
// for it.
func (d *Decision) First() bool { return d.Allowed() && len(d.firsts) > 0 }

// take adds a line, once for each key.
func (d *Decision) take(line string, e hot.Entry) {
	if d.entries == nil {
		d.entries = map[string]hot.Entry{}
	}
	if _, twice := d.entries[e.Base64]; !twice {
		d.entries[e.Base64] = e
		d.Lines = append(d.Lines, line)
	}
}

// Log writes the one line that every decision gets, with the same fields for
// both outcomes. err is the fault of a decision that could not be made.
func (d *Decision) Log(log *slog.Logger, err error) {
	for _, w := range d.Warnings {
		log.Warn("mend this", "account", d.Account, "why", w)
	}
	level, what, why := slog.LevelInfo, "refused", d.Why
	if d.Allowed() {
		what = "allowed"
	}
	if d.Source == "emergency" || d.Source == "stale" || d.First() {
		level = slog.LevelWarn
	}
	if err != nil {
		level, what, why = slog.LevelError, "failed", err.Error()
	}
	log.Log(context.Background(), level, what, "account", d.Account, "login", d.Login, "id", d.ID,
		"key", d.Offered, "source", d.Source, "age", d.Age.Truncate(time.Second), "why", why)
}
