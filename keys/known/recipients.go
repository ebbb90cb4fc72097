// SPDX-License-Identifier: AGPL-3.0-or-later

package known

import (
	"fmt"
	"slices"
	"strings"

	"castgate/keys/pubkey"
)

// recipients/<team> has the keys of a team's members, for castgate-upload to
// seal recordings to: authorized_keys lines, world-readable, replaced whole by
// rename. Only the teams of seal_teams are there: who is in another team is
// not for others to know. A team without a key has an empty file.
const recipientsDir = "recipients"

// WriteRecipients writes the files of the teams that were just seen whole, and
// removes those of teams that are no longer asked for. The file of a team that
// could not be seen stays as it was, as everything in the cache does.
func (s *Store) WriteRecipients(teams, whole []string) error {
	if s.Dir == nil {
		return nil
	}
	there, err := s.Dir.List(recipientsDir)
	if err != nil {
		return err
	}
	for _, name := range there {
		if !slices.Contains(teams, name) {
			if err := s.Dir.Remove(recipientsDir + "/" + name); err != nil {
				return err
			}
		}
	}
	for _, slug := range teams {
		if !slices.Contains(whole, slug) {
			continue
		}
		if err := s.Dir.Public(recipientsDir); err != nil {
			return fmt.Errorf("write the cache: %w", err)
		}
		if err := s.Dir.Write(recipientsDir+"/"+slug, 0o644, []byte(s.recipients(slug))); err != nil {
			return err
		}
	}
	return nil
}

// recipients are the lines of a team: each key once, sorted.
func (s *Store) recipients(slug string) string {
	var lines []string
	t, _ := s.Team(slug)
	for _, m := range t.Members {
		r, ok := s.Record(m.Login)
		if !ok || r.ID != m.ID || r.Suspended || r.Teams[slug].State != Active {
			continue
		}
		for _, gk := range r.Keys {
			if k, err := pubkey.ParseLine(gk.Line); err == nil && k.Seals() {
				lines = append(lines, k.String()+" github:"+r.Login+"\n")
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "")
}
