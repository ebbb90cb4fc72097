// SPDX-License-Identifier: AGPL-3.0-or-later

package known

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"castgate/keys/files"
	"castgate/keys/local"
	"castgate/keys/settings"
	"castgate/wrap/hint"
)

// Store is what is known, as the cache keeps it:
//
//	people/<login>   one GitHub user: id, state per team, keys, when asked
//	teams/<slug>     the ids and logins of a team's members
//	accounts/<name>  the answer for one account, ready to print (package prepared)
//	etags/           answers to revalidate (package github)
//	locks/           empty files to lock
//	bulk, state      when all was last asked; what GitHub asked us to wait for
//	logins           which key belongs to whom (logins.go)
//	recipients/      the keys of the teams in seal_teams (recipients.go)
//
// Only the last two are for others to read: who is in which team is not theirs to know.
// All of it may be deleted at any time. Whatever can't be read, or doesn't
// parse, or claims to be from the future, counts as not there.
type Store struct {
	Dir    *files.Dir      // nil: nothing is kept
	Why    error           // why Dir is nil
	Origin settings.Origin // whose answers these are
	Now    func() time.Time

	conf      *settings.Config
	overruled overruled
}

// Open opens the store that the configuration names. A directory that others
// may write is refused, because they could open every account; then there is a
// store all the same, that keeps nothing and says why.
//
// What was said of another organisation counts as not there. What another URL
// said of this one is never fresh: the logins and ids there may be other
// people's. It may still be stale, so that a slip of the pen in "url" locks
// nobody out.
func Open(c *settings.Config) *Store {
	s := &Store{Origin: c.GitHub.Origin(), Now: time.Now, conf: c}
	uid, _ := local.Host().UID(settings.User) // or nobody's
	dir, err := files.Make(c.Cache.Dir, 0o755, uid)
	if s.Dir = dir; dir != nil {
		s.overruled = overruledIn(c.GitHub.App.TokenDir)
	}
	var path *fs.PathError
	switch {
	case errors.As(err, &path) && path.Op == "mkdir":
		err = hint.Addf(fmt.Errorf("make the cache: %w", err), "systemd-tmpfiles --create makes it, or: install -d -o castgate-keys %s", c.Cache.Dir)
	case err != nil:
		err = fmt.Errorf("open the cache: %w", err)
	}
	s.Why = err
	return s
}

// Lock lets one process at a time do what the name stands for.
func (s *Store) Lock(ctx context.Context, name string) (unlock func(), err error) {
	unlock, err = s.Dir.Lock(ctx, name)
	if err != nil {
		err = &Fault{Class: Broken, Op: "ask GitHub", Err: err}
	}
	return unlock, err
}

// ETags is where package github keeps answers to revalidate, and keepETags how
// long one stays that no question has used.
const (
	ETags     = "etags"
	keepETags = 7 * 24 * time.Hour
)

// Sweep removes what processes that were killed have left, and old answers to
// revalidate.
func (s *Store) Sweep() {
	for _, dir := range []string{".", people, "teams", "accounts", recipientsDir} {
		s.Dir.Sweep(dir, files.Ever)
	}
	s.Dir.Sweep(ETags, keepETags)
}

// clockSkew is how far in the future a stored time may lie before the clock
// must have been set back and the entry's age says nothing.
const clockSkew = time.Minute

// age is how long ago at was; false when at lies in the future, which means
// that the clock was set back and nothing is known about the age.
func age(now, at time.Time) (time.Duration, bool) {
	d := now.Sub(at)
	return max(d, 0), !Ahead(at, now) && !at.IsZero()
}

// Ahead reports whether a time lies so far in the future that a clock was wrong.
func Ahead(at, now time.Time) bool { return at.After(now.Add(clockSkew)) }
