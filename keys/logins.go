// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
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
func (c *Cache) readLogins() map[string]string {
	lines := map[string]string{}
	if c == nil {
		return lines
	}
	body, err := c.read(loginsName)
	if err != nil {
		return lines
	}
	for sc := bufio.NewScanner(bytes.NewReader(body)); sc.Scan(); {
		if fp, _, ok := strings.Cut(sc.Text(), " "); ok && strings.HasPrefix(fp, "SHA256:") {
			lines[fp] = sc.Text()
		}
	}
	return lines
}

// ownerOf is the login a key belongs to, "" when it is not known.
func (c *Cache) ownerOf(fingerprint string) string {
	if c == nil {
		return ""
	}
	body, err := c.read(loginsName)
	if err != nil {
		return ""
	}
	start := []byte(fingerprint + " ")
	after, found := bytes.CutPrefix(body, start)
	if !found {
		_, after, found = bytes.Cut(body, append([]byte("\n"), start...))
	}
	line, _, whole := bytes.Cut(after, []byte("\n"))
	fields := strings.Fields(string(line))
	if !found || !whole || len(fields) < 2 || checkLogin(fields[0]) != nil {
		return ""
	}
	return fields[0]
}

// hasLogins reports whether there is a list to look into.
func (c *Cache) hasLogins() bool {
	if c == nil {
		return false
	}
	body, err := c.read(loginsName)
	return err == nil && len(body) > 0
}

// listKeys brings the lines of one person up to date.
func (c *Cache) listKeys(r record) error {
	return c.updateLogins(func(lines map[string]string) {
		id := fmt.Sprintf(" %d ", r.ID)
		for fp, line := range lines {
			if strings.Contains(line, id) && ownID(line) == r.ID {
				delete(lines, fp)
			}
		}
	}, []record{r})
}

// relist writes the file anew from all records.
func (c *Cache) relist() error {
	names, err := c.list("people")
	if err != nil {
		return err
	}
	var all []record
	for _, name := range names {
		if r, ok := c.record(name); ok {
			all = append(all, r)
		}
	}
	return c.updateLogins(func(lines map[string]string) { clear(lines) }, all)
}

func ownID(line string) (id int64) {
	if fields := strings.Fields(line); len(fields) >= 3 {
		_, _ = fmt.Sscan(fields[2], &id)
	}
	return id
}

// updateLogins replaces lines under a lock; a line that says the same keeps its
// time.
func (c *Cache) updateLogins(forget func(map[string]string), add []record) error {
	if c == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), listWait)
	defer cancel()
	unlock, err := c.lock(ctx, loginsName)
	if err != nil {
		return err
	}
	defer unlock()
	before := c.readLogins()
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
	return c.write(loginsName, 0o644, []byte(strings.Join(append(all, ""), "\n")))
}

// listWait bounds the wait for another process that writes the list, which
// takes it milliseconds.
const listWait = time.Second

// addLines adds the keys of a member. A key that another person has already
// becomes nobody's: an empty line.
func addLines(lines, before map[string]string, r record) {
	if !r.listed() {
		return
	}
	for _, gk := range r.Keys {
		k, err := ParseLine(gk.Line)
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

var errNoList = errors.New("its list is not in the cache")
