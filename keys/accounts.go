// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"castgate/keys/known"
	"castgate/keys/userdb"
	"castgate/wrap/hint"
)

// Accounts writes user records for the members of "teams" who have no account
// on this host, so that nss-systemd(8) knows them without useradd, and removes
// those of members who left. Call it after Refresh; it makes no call itself.
func (s *Service) Accounts() error {
	u := s.Config.Userdb
	if u.Off() {
		return hint.Add(errors.New("userdb is off"), "set userdb: {first_uid: ..., last_uid: ...}")
	}
	d, err := s.rootDir(u.Dir, 0o755)
	if err != nil {
		return err
	}
	defer d.Close()
	want, faults, err := s.records()
	if err != nil {
		return err
	}
	return errors.Join(faults, want.Install(d, s.undecidedAccount))
}

// undecidedAccount reports whether nothing is known of a member, so that their
// account stays.
func (s *Service) undecidedAccount(name string) bool {
	_, _, decided := s.Known.Lately(name, s.Config.Teams)
	return !decided
}

// records collects the records that should be there. faults are members who
// can't have one.
func (s *Service) records() (want *userdb.Records, faults, err error) {
	accounts, err := s.Owners.Host.Accounts()
	if err != nil {
		return nil, nil, err
	}
	groups, err := s.Owners.Host.Groups()
	if err != nil {
		return nil, nil, err
	}
	want = userdb.New(s.Config.Userdb)
	for _, group := range s.Config.Userdb.Groups {
		if !groups[group] {
			want.Group(group)
		}
	}
	for _, r := range s.members() {
		name := strings.ToLower(r.Login)
		if _, named := s.Config.Accounts[name]; named || accounts[name] || groups[name] {
			continue // theirs is the account that the administrator made
		}
		theirs, err := s.Owners.Claim(name, r.Login, r.ID)
		if faults = errors.Join(faults, err); theirs {
			faults = errors.Join(faults, want.Account(r.Login, r.ID, s.groupsOf(r)))
		}
	}
	return want, faults, nil
}

// members are the records of everybody in "teams" who may log in.
func (s *Service) members() []known.Record {
	byID := map[int64]known.Record{}
	for _, slug := range s.Config.Teams {
		t, _ := s.Known.Team(slug)
		for _, m := range t.Members {
			r, _, ok := s.Known.Lately(m.Login, s.Config.Teams)
			if _, active := r.In(s.Config.Teams, known.Active); ok && active && !r.Suspended {
				byID[r.ID] = r
			}
		}
	}
	return slices.Collect(maps.Values(byID))
}

func (s *Service) groupsOf(r known.Record) []string {
	var groups []string
	for slug, group := range s.Config.Userdb.Groups {
		if r.Teams[slug].State == known.Active {
			groups = append(groups, group)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}
