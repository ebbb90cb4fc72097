// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"castgate/upload/manifest"
)

// Query says which recordings are meant. What is zero is not asked for. It is the
// one answer for every list and search: of the files, of the index, of the spool
// and on the page.
type Query struct {
	User   manifest.Account
	Login  manifest.Person // who opened the session, on whatever account
	Scope  *Scope          // what may be seen; nil for who may read the files
	Host   string          // as the host calls itself, or as its certificate does
	Client string          // the address
	Kind   string
	State  manifest.State // of Entry.Status
	Since  time.Time      // sessions that went on then or later
	Until  time.Time      // sessions that began before
	ID     string         // the beginning of the id
	Dir    string         // name of the host's directory: with the id it means one recording

	Visible bool // of a search: leave out text that was hidden

	near bool // look only where the time within the id says
}

var idPrefix = regexp.MustCompile(`^[0-9a-f]{1,8}(-|-[0-9a-f-]{1,27})?$`)

// IsID says whether s can be the beginning of a recording's id.
func IsID(s string) bool { return idPrefix.MatchString(s) }

// Takes says whether the query takes a recording.
func (q Query) Takes(e Entry) bool {
	m, s, place := e.Manifest, &e.Manifest.Session, e.Name().Host
	return (q.User == "" || q.User == s.Account()) &&
		(q.Host == "" || q.Host == s.Host || q.Host == place) &&
		(q.Dir == "" || q.Dir == place) &&
		(q.Client == "" || q.Client == s.Client || strings.HasPrefix(s.Client, q.Client+" ")) &&
		(q.Kind == "" || q.Kind == s.Kind) &&
		(q.State == "" || q.State == e.Status()) &&
		q.takesPerson(s.Person()) &&
		(q.Since.IsZero() || e.State == manifest.StateLive || !m.End.Before(q.Since)) &&
		(q.Until.IsZero() || m.Start.Before(q.Until)) &&
		strings.HasPrefix(s.ID, q.ID)
}

// takesPerson is the part of Takes that is about who it was.
func (q Query) takesPerson(p manifest.Person) bool {
	return (q.Login.IsZero() || q.Login.Is(p)) && (q.Scope == nil || q.Scope.Allows(p))
}

// wanted are the people of whom each must be the one who opened the session;
// the index is asked for their sessions only.
func (q Query) wanted() (people []manifest.Person) {
	if !q.Login.IsZero() {
		people = append(people, q.Login)
	}
	if q.Scope != nil {
		if p, ok := q.Scope.one(); ok {
			people = append(people, p)
		}
	}
	return people
}

func (q Query) userDir() string {
	name, _ := manifest.Element(string(q.User)) // an empty or too long one is no directory
	return name
}

// maxSession is the longest session that Since still finds by its start.
const maxSession = 31 * 24 * time.Hour

// clockSlack is how far the time within an id may be from the session's start.
const clockSlack = 24 * time.Hour

// dates returns the first and last day, as 2006-01-02, on which what the query
// takes may have begun.
func (q Query) dates() (since, until string) {
	since, until = "0000-00-00", "9999-99-99"
	const day = "2006-01-02"
	if !q.Since.IsZero() {
		since = q.Since.UTC().Add(-maxSession).Format(day)
	}
	if !q.Until.IsZero() {
		until = q.Until.UTC().Format(day)
	}
	if a, b, ok := idDates(q.ID); ok && q.near {
		since = max(since, a.Add(-clockSlack).Format(day))
		if b.Year() <= 9998 {
			until = min(until, b.Add(clockSlack).Format(day))
		}
	}
	return since, until
}

// idDates returns the days on which a session with such an id began: a UUIDv7
// begins with 48 bits of milliseconds since 1970 (RFC 9562 section 5.7).
func idDates(prefix string) (since, until time.Time, ok bool) {
	digits := strings.ReplaceAll(prefix, "-", "")
	if len(digits) > 12 {
		digits = digits[:12]
	}
	low := digits + strings.Repeat("0", 12-len(digits))
	high := digits + strings.Repeat("f", 12-len(digits))
	var a, b int64
	if _, err := fmt.Sscanf(low+" "+high, "%x %x", &a, &b); err != nil || len(digits) == 0 {
		return time.Time{}, time.Time{}, false
	}
	return time.UnixMilli(a).UTC(), time.UnixMilli(b).UTC(), true
}

// ParseTime reads what a person writes for a time: a date, with or without a
// time of day, in the local zone, RFC 3339, or how long ago: 90m, 24h, 7d.
func ParseTime(s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	switch s {
	case "today":
		return time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location()), nil
	case "yesterday":
		return time.Date(now.Year(), now.Month(), now.Day()-1, 0, 0, 0, 0, now.Location()), nil
	}
	if n, ok := strings.CutSuffix(s, "d"); ok {
		var days int
		if _, err := fmt.Sscanf(n+" ", "%d ", &days); err == nil && days >= 0 && days < 100_000 && fmt.Sprint(days) == n {
			return now.AddDate(0, 0, -days), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, errors.New("want a date (2026-11-22), a date and time (2026-11-22 15:04) or how long ago (90m, 24h, 7d)")
}

// ParseMoment reads a time within a recording: 90, 90s, 1m30s, 12:30, 1:02:03.5.
func ParseMoment(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no time in a recording: want 90, 1m30s, 12:30 or 1:02:03", s)
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return d, nil
	}
	parts := strings.Split(s, ":")
	if len(parts) > 3 {
		return 0, bad
	}
	var total time.Duration
	for i, part := range parts {
		if strings.Trim(part, "0123456789.") != "" || part == "" {
			return 0, bad
		}
		d, err := time.ParseDuration(part + "s")
		if err != nil || i > 0 && d >= time.Minute || d > 1e6*time.Second {
			return 0, bad
		}
		total = total*60 + d
	}
	return total, nil
}
