// SPDX-License-Identifier: AGPL-3.0-or-later

package known

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"castgate/keys/pubkey"
	"castgate/keys/settings"
)

// The file "logins" in the cache says whose key a key is, for those who know
// only the key: the session hook and the recorder. It is world-readable, holds
// what GitHub shows to everybody, and is replaced whole by rename. To read it
// no package is needed: one line for each key, sorted, five fields with one
// blank between them,
//
//	SHA256:fingerprint login github-id key-id unix-time
//
// of which a reader takes the first three and ignores any that follow. A line
// that starts otherwise than with "SHA256:" is not a key's. The key id is 0
// when GitHub didn't tell it; the time is when the line was first fetched. No
// fingerprint stands in it twice: a key that two people claim is nobody's.
const loginsName = "logins"

// readLogins returns the lines by fingerprint.
func (s *Store) readLogins() map[string]string {
	lines := map[string]string{}
	body, _ := s.Dir.Read(loginsName)
	for line := range strings.Lines(string(body)) {
		if fp, _, ok := strings.Cut(line, " "); ok && strings.HasPrefix(fp, "SHA256:") {
			lines[fp] = strings.TrimSuffix(line, "\n")
		}
	}
	return lines
}

// OwnerOf is the login a key belongs to, "" when it is not known.
func (s *Store) OwnerOf(fingerprint string) string {
	body, _ := s.Dir.Read(loginsName)
	for line := range bytes.Lines(body) {
		if !bytes.HasPrefix(line, []byte(fingerprint+" ")) {
			continue
		}
		if f := strings.Fields(string(line)); len(f) > 2 && settings.CheckLogin(f[1]) == nil {
			return f[1]
		}
	}
	return ""
}

// HasLogins reports whether there is a list to look into.
func (s *Store) HasLogins() bool {
	body, err := s.Dir.Read(loginsName)
	return err == nil && len(body) > 0
}

// ListKeys brings the lines of one person up to date.
func (s *Store) ListKeys(r Record) error {
	return s.updateLogins(func(lines map[string]string) {
		id := fmt.Sprintf(" %d ", r.ID)
		for fp, line := range lines {
			if strings.Contains(line, id) && ownID(line) == r.ID {
				delete(lines, fp)
			}
		}
	}, []Record{r})
}

// Relist writes the file anew from all records.
func (s *Store) Relist() error {
	names, err := s.Logins()
	if err != nil {
		return err
	}
	var all []Record
	for _, name := range names {
		if r, ok := s.Record(name); ok {
			all = append(all, r)
		}
	}
	return s.updateLogins(func(lines map[string]string) { clear(lines) }, all)
}

func ownID(line string) (id int64) {
	if fields := strings.Fields(line); len(fields) >= 3 {
		_, _ = fmt.Sscan(fields[2], &id)
	}
	return id
}

// updateLogins replaces lines under a lock; a line that says the same keeps its
// time.
func (s *Store) updateLogins(forget func(map[string]string), add []Record) error {
	if s.Dir == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), ListWait)
	defer cancel()
	unlock, err := s.Lock(ctx, loginsName)
	if err != nil {
		return err
	}
	defer unlock()
	before := s.readLogins()
	lines := maps.Clone(before)
	forget(lines)
	for _, r := range add {
		addLines(lines, before, r)
	}
	maps.DeleteFunc(lines, func(_, line string) bool { return line == "" })
	if maps.Equal(lines, before) {
		return nil
	}
	all := slices.Sorted(maps.Values(lines))
	return s.Dir.Write(loginsName, 0o644, []byte(strings.Join(append(all, ""), "\n")))
}

// ListWait bounds the wait for another process that writes a small file, which
// takes it milliseconds.
const ListWait = time.Second

// addLines adds the keys of a member. A key that another person has already
// becomes nobody's: an empty line.
func addLines(lines, before map[string]string, r Record) {
	if !r.listed() {
		return
	}
	for _, gk := range r.Keys {
		k, err := pubkey.ParseLine(gk.Line)
		if err != nil {
			continue
		}
		fp := k.Fingerprint()
		line := fmt.Sprintf("%s %s %d %d", fp, r.Login, r.ID, gk.ID)
		other, taken := lines[fp]
		switch {
		case taken && ownID(other) != r.ID:
			lines[fp] = ""
		case strings.HasPrefix(before[fp], line+" "):
			lines[fp] = before[fp]
		default:
			lines[fp] = fmt.Sprintf("%s %d", line, r.At.Unix())
		}
	}
}
