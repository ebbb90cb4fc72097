// SPDX-License-Identifier: AGPL-3.0-or-later

package known

import (
	"strings"
	"time"

	"castgate/keys/files"
)

// overruled remembers of which people and teams the cache says what is not true
// any more, where the cache itself can't be changed: somebody left, or took a key
// away, and the file system is full or read-only. A file that can't be written can
// often be removed; where it can't, its being wrong is written down elsewhere
// (/run is neither full nor read-only), for the next process to see.
type overruled struct{ dir *files.Dir } // nil remembers nothing

// overruledIn opens the directory, which is castgate-keys' own; root, whose
// files castgate-keys could not replace, only looks.
func overruledIn(dir string) overruled {
	d, _ := files.Open(dir)
	return overruled{d}
}

func overruledName(login string) string { return "overruled-" + strings.ToLower(login) }

// overrule makes everything that is stored of a login until now count as not
// there. The accounts' finished answers are at most cache.ttl old and end by
// themselves.
func (s *Store) overrule(login string, now time.Time) {
	if err := s.Dir.Discard(recordName(login)); err != nil {
		_ = s.overruled.dir.Save(overruledName(login), 0o600, now)
	}
}

// since reports whether what was stored at a time counts no more.
func (o overruled) since(login string, at time.Time) bool {
	var when time.Time
	return o.dir.Load(overruledName(login), &when) && at.Before(when)
}

func besideName(slug string) string { return "team-" + strings.ToLower(slug) }

// saveTeam keeps the list of a team that the cache could not, for the reason err,
// and forgets the one before when it could.
func (o overruled) saveTeam(slug string, t Team, err error) error {
	switch {
	case o.dir == nil:
		return err
	case err != nil:
		return o.dir.Save(besideName(slug), 0o600, t)
	}
	_ = o.dir.Remove(besideName(slug))
	return nil
}

// team is the list that was kept so.
func (o overruled) team(slug string) (t Team) {
	o.dir.Load(besideName(slug), &t)
	return t
}
