// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// Accounts writes user records for the members of "teams" who have no account
// on this host, so that nss-systemd(8) knows them without useradd, and removes
// those of members who left. Call it after Refresh; it makes no call itself.
func (s *Service) Accounts() error {
	u := s.Config.Userdb
	if u.off() {
		return advise(errors.New("userdb is off"), "set userdb: {first_uid: ..., last_uid: ...}")
	}
	if s.Cache == nil {
		return s.cacheErr
	}
	c, err := s.rootDir(u.Dir, 0o755)
	if err != nil {
		return err
	}
	defer c.root.Close()
	want, faults, err := s.drop(u)
	if err != nil {
		return err
	}
	return errors.Join(faults, c.install(want, s.undecidedAccount))
}

// undecidedAccount reports whether nothing is known of a member, so that their
// account stays.
func (s *Service) undecidedAccount(name string) bool {
	_, _, decided := s.usable(name, s.Config.Teams)
	return !decided
}

// drop collects the records that should be there. faults are members who can't
// have one.
func (s *Service) drop(u Userdb) (want drop, faults, err error) {
	want = drop{}
	local, err := localNames(s.Passwd)
	if err != nil {
		return nil, nil, err
	}
	groups, err := localNames(groupFile)
	if err != nil {
		return nil, nil, err
	}
	for _, group := range u.Groups {
		if !groups[group] {
			gid := u.gid(group)
			want.record(group, ".group", gid, groupRecord{group, gid, "regular", service})
		}
	}
	for _, r := range s.members() {
		name := strings.ToLower(r.Login)
		if _, named := s.Config.Accounts[name]; named || local[name] || groups[name] {
			continue // theirs is the account that the administrator made
		}
		theirs, err := s.claim(name, r)
		if faults = errors.Join(faults, err); theirs {
			faults = errors.Join(faults, u.account(want, r, s.groupsOf(r)))
		}
	}
	return want, faults, nil
}

// claim pins an account that is made for a person, unless it was another's.
func (s *Service) claim(account string, r record) (theirs bool, err error) {
	people, err := s.pins(peopleDir, account)
	if p := named(people, r.Login); err == nil && p.word == opens {
		return p.id == r.ID && p.url == s.url(), nil
	}
	g := grant{name: account}
	if err = errors.Join(err, s.ids(&g, r.Login)); err != nil {
		return false, err
	}
	if id := g.logins[0].id; id != 0 && id != r.ID {
		return false, nil
	}
	return true, s.setOwner(account, r.Login, r.ID)
}

// members are the records of everybody in "teams" who may log in.
func (s *Service) members() []record {
	byID := map[int64]record{}
	for _, slug := range s.Config.Teams {
		t, _ := s.Cache.team(slug)
		for _, m := range t.Members {
			r, _, ok := s.usable(m.Login, s.Config.Teams)
			if _, active := r.in(s.Config.Teams, Active); ok && active && !r.Suspended {
				byID[r.ID] = r
			}
		}
	}
	return slices.Collect(maps.Values(byID))
}

func (s *Service) groupsOf(r record) []string {
	var groups []string
	for slug, group := range s.Config.Userdb.Groups {
		if r.Teams[slug].State == Active {
			groups = append(groups, group)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// localNames are the names of a file like passwd(5) or group(5).
func localNames(path string) (map[string]bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, ":")
		names[name] = true
	}
	return names, nil
}

// install writes what is new and then removes what is ours and not wanted. A
// name that somebody else's record has is left to them.
func (c *Cache) install(want drop, undecided func(account string) bool) error {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if err := c.place(name, want[name]); err != nil {
			return err
		}
	}
	return c.removeRecords(want, undecided)
}

func (c *Cache) place(name, text string) error {
	target, isLink := strings.CutPrefix(text, link)
	if !isLink {
		if old, err := c.root.ReadFile(name); err == nil && !ourRecord(name, old) {
			return fmt.Errorf("%q is there already, and not ours", name)
		}
		return c.writeIfNew(name, text)
	}
	if old, err := c.root.Readlink(name); err == nil && old == target {
		return nil
	}
	tmp := name + tmpSuffix
	_ = c.root.Remove(tmp)
	if err := c.root.Symlink(target, tmp); err != nil {
		return err
	}
	return c.root.Rename(tmp, name)
}

// ourRecord reports whether a record says that it is ours; a membership is, by
// what we write into it.
func ourRecord(name string, body []byte) bool {
	if strings.HasSuffix(name, ".membership") {
		return string(body) == "{}\n"
	}
	var r struct{ Service string }
	return json.Unmarshal(body, &r) == nil && r.Service == service
}

// removeRecords removes our records that are not wanted, and whatever points at
// them. A record goes after what points at it.
func (c *Cache) removeRecords(want drop, undecided func(account string) bool) error {
	entries, err := fs.ReadDir(c.root.FS(), ".")
	if err != nil {
		return err
	}
	var gone []string
	for _, e := range entries {
		name := e.Name()
		ext := name[strings.LastIndexByte(name, '.')+1:]
		if want[name] != "" || ext != "user" && ext != "group" && ext != "membership" {
			continue
		}
		target := name
		if e.Type()&fs.ModeSymlink != 0 {
			target, _ = c.root.Readlink(name)
		}
		body, err := c.root.ReadFile(target)
		account, _, _ := strings.Cut(target[:strings.LastIndexByte(target, '.')], ":")
		if err == nil && ourRecord(target, body) && !undecided(account) {
			gone = append(gone, name)
		}
	}
	slices.SortStableFunc(gone, func(a, b string) int { return removalRank(a) - removalRank(b) })
	for _, name := range gone {
		if err := c.remove(name); err != nil {
			return err
		}
	}
	return nil
}

// removalRank: memberships first, then numbers, then records.
func removalRank(name string) int {
	switch {
	case strings.HasSuffix(name, ".membership"):
		return 0
	case strings.Trim(name[:strings.LastIndexByte(name, '.')], "0123456789") == "":
		return 1
	}
	return 2
}
