// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"fmt"
	"os"

	"castgate/keys/files"
	"castgate/keys/known"
	"castgate/keys/local"
	"castgate/keys/owners"
	"castgate/keys/settings"
	"castgate/wrap/hint"
)

// Service answers sshd. It is made for one question and holds no state of its
// own: everything that lasts is in the cache.
type Service struct {
	Config *settings.Config
	Known  *known.Store
	Owners *owners.Registry

	// ConfigID says under which configuration finished answers were made
	// (prepared.ConfigID); "" makes none.
	ConfigID string

	asker
}

// New puts the service together as the configuration says. It makes no call, and
// can make none before Connect. Without a usable cache it still answers; the
// error then says what to mend.
func New(c *settings.Config) (*Service, error) {
	store := known.Open(c)
	s := &Service{Config: c, Known: store, Owners: owners.New(c, store), asker: asker{conf: c, store: store}}
	s.Unreachable(errors.New("nothing to call it with"))
	return s, store.Why
}

// Connect tells whom to ask: for one login, and for whole teams the first that
// works. spare ends a refresh that would take calls which logins may need.
func (s *Service) Connect(one Finder, spare func() error, teams ...Directory) {
	s.finder, s.spare, s.bulk = one, spare, teams
}

// Unreachable tells why GitHub can't even be called, for want of a file that the
// configuration names: emergency keys and what is stored still count.
func (s *Service) Unreachable(why error) {
	s.Connect(nowhere{why}, func() error { return nil }, nowhere{why})
}

// rootDir opens a directory of root's, that nobody else can write, for what is
// made of the cache: which must be root's or castgate-keys' then, because
// whoever else could write it would write for root.
func (s *Service) rootDir(dir string, mode os.FileMode) (*files.Dir, error) {
	if os.Geteuid() != 0 {
		return nil, hint.Add(errors.New("what sshd and the name service read must belong to root"), "run it as root")
	}
	cache := s.Known.Dir
	if cache == nil {
		return nil, s.Known.Why
	}
	if uid, err := local.Host().UID(settings.User); err != nil || cache.UID != 0 && cache.UID != uid {
		return nil, hint.Addf(fmt.Errorf("the cache %q belongs to uid %d", cache.Path, cache.UID), "chown -R %s %s", settings.User, cache.Path)
	}
	d, err := files.Make(dir, mode, -1)
	if err != nil {
		return nil, err
	}
	if d.UID != 0 {
		d.Close()
		return nil, hint.Addf(fmt.Errorf("%q belongs to uid %d", dir, d.UID), "chown root %s", dir)
	}
	return d, nil
}

// Pin makes an account a member's: a login, or LOGIN:ID. It asks GitHub for an id
// that was not given.
func (s *Service) Pin(ctx context.Context, account, entry string) (owners.Owner, error) {
	login, id, err := settings.SplitLogin(entry)
	if err != nil {
		return owners.Owner{}, err
	}
	if err := s.Owners.Pinnable(account); err != nil {
		return owners.Owner{}, err
	}
	if id == 0 {
		p, err := s.finder.Find(ctx, login, 0, s.Config.AllTeams())
		if err != nil {
			return owners.Owner{}, err
		}
		if id, login = p.ID, p.Login; id == 0 || p.Suspended {
			return owners.Owner{}, hint.Add(fmt.Errorf("%q is not a member of a team in keys.yaml", entry), "LOGIN:ID pins an id without asking GitHub")
		}
	}
	return s.Owners.Pin(account, login, id)
}
