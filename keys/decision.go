// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"castgate/keys/owners"
	"castgate/keys/prepared"
	"castgate/keys/pubkey"
	"castgate/keys/settings"
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

	policy  settings.Policy
	grant   owners.Grant
	offered *pubkey.Key
	opens   map[string]prepared.Line // what Lines were made of, by key
	firsts  []owners.Pin             // whose id was not known for this account
}

// Allowed reports whether the account opens.
func (d *Decision) Allowed() bool { return len(d.Lines) > 0 }

// First reports whether the account opens to a GitHub id that was never seen
// for it.
func (d *Decision) First() bool { return d.Allowed() && len(d.firsts) > 0 }

// take adds a line, once for each key.
func (d *Decision) take(l prepared.Line) {
	if d.opens == nil {
		d.opens = map[string]prepared.Line{}
	}
	if _, twice := d.opens[l.Key]; !twice {
		d.opens[l.Key] = l
		d.Lines = append(d.Lines, l.String())
	}
}

// first notes that a person is let in whose id was not known.
func (d *Decision) first(p owners.Pin) {
	d.firsts = append(d.firsts, p)
	d.Why = fmt.Sprintf("member, for the first time with the id %d", p.ID)
}

// Step is one question on the way to a decision.
type Step struct {
	OK   bool
	Text string
}

func (d *Decision) step(format string, args ...any) {
	d.Steps = append(d.Steps, Step{true, fmt.Sprintf(format, args...)})
}

func (d *Decision) no(format string, args ...any) {
	d.Steps = append(d.Steps, Step{false, fmt.Sprintf(format, args...)})
}

// refuse is a step that may be the reason of the whole decision.
func (d *Decision) refuse(format string, args ...any) {
	d.no(format, args...)
	if !d.Allowed() {
		d.Why = d.Steps[len(d.Steps)-1].Text
	}
}

// remark adds to the last step what is for its reader alone.
func (d *Decision) remark(format string, args ...any) {
	d.Steps[len(d.Steps)-1].Text += fmt.Sprintf(format, args...)
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

// Recall is the decision that a finished answer stands for.
func Recall(a prepared.Answer, offered *pubkey.Key, now time.Time) *Decision {
	d := &Decision{Account: a.Account, Source: "cache", Age: now.Sub(a.From), Why: "member"}
	for _, l := range a.Lines {
		d.Lines = append(d.Lines, l.String())
	}
	if offered != nil {
		d.Offered, d.Login, d.ID = offered.Fingerprint(), a.Lines[0].Login, a.Lines[0].ID
	}
	return d
}

// answer is the finished answer that stands for the decision.
func (d *Decision) answer() prepared.Answer {
	a := prepared.Answer{Account: d.Account}
	for _, key := range slices.Sorted(maps.Keys(d.opens)) {
		a.Lines = append(a.Lines, d.opens[key])
	}
	return a
}
