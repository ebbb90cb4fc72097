// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ruleOlder opens what an older castgate-keys opened until root has run Adopt.
const ruleOlder = "the cache of an older castgate-keys"

// Unadopted reports whether accounts open by it.
func (s *Service) Unadopted() bool {
	all, _ := s.Owners()
	return slices.ContainsFunc(all, func(o Owner) bool { return o.Rule == ruleOlder })
}

// Adopt takes over what an older castgate-keys knew, which opened every account
// whose name was a member's login and kept the ids of members in the cache: it
// pins the accounts that open so until now, each to the id it opens to, and
// returns them for the administrator to look at. Until it has run, the cache
// itself goes on saying so (owner), that nobody is locked out by an upgrade.
func (s *Service) Adopt() (done []Owner, err error) {
	if s.adopted() {
		return nil, nil
	}
	if err := s.nothingKnown(); err != nil {
		return nil, err
	}
	all, err := s.Owners()
	for _, o := range all {
		if o.Root && o.Rule != ruleOlder || o.ID == 0 || o.ID != s.cached(o.Login) || s.left(o) {
			continue
		}
		if perr := s.pinOwner(o); perr != nil {
			return done, errors.Join(err, perr)
		}
		o.Root = true
		done = append(done, o)
	}
	if err == nil {
		err = s.writeState(adoptedName, "what an older castgate-keys knew was taken over\n")
	}
	return done, err
}

// nothingKnown is the error of a cache that says nothing: what it knew once may
// come back, so that it is not the end of it.
func (s *Service) nothingKnown() error {
	if s.Cache == nil {
		return s.cacheErr
	}
	if known, err := s.Cache.list("people"); err != nil || len(known) > 0 {
		return err
	}
	return advise(fmt.Errorf("no account is taken over: the cache %q is empty", s.Cache.dir),
		"an account that opened by its name alone opens in the group %s, or pinned by castgate-keys pin ACCOUNT LOGIN", peopleGroup)
}

// directoryNames are the logins that an older castgate-keys knew and that may be
// accounts which passwd(5) does not have. The directory service is not asked; a
// name that it does not have either only stays the login's.
func (s *Service) directoryNames() (names []string) {
	if s.Cache == nil {
		return nil
	}
	local, _ := localNames(s.Passwd)
	known, _ := s.Cache.list("people")
	anywhere := s.hasDirectory()
	for _, name := range known {
		if s.cached(name) != 0 && !local[name] && (anywhere || s.hasRecord(name)) {
			names = append(names, name)
		}
	}
	return names
}

// hasDirectory reports whether accounts come from anywhere but files on the host.
func (s *Service) hasDirectory() bool {
	text, _ := os.ReadFile(s.NSSwitch)
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		sources, ok := strings.CutPrefix(strings.TrimSpace(line), "passwd:")
		if ok && slices.ContainsFunc(strings.Fields(sources), func(s string) bool {
			return s[0] != '[' && !strings.HasSuffix(s, "]") && !slices.Contains([]string{"files", "compat", "systemd"}, s)
		}) {
			return true
		}
	}
	return false
}

// hasRecord reports whether nss-systemd(8) finds a user record of the name.
func (s *Service) hasRecord(name string) bool {
	dirs := []string{s.Config.Userdb.Dir, "/etc/userdb", "/run/userdb", "/run/host/userdb", "/usr/lib/userdb"}
	return slices.ContainsFunc(dirs, func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, name+".user"))
		return err == nil
	})
}

// left reports whether an account opened to somebody who is no member any more.
func (s *Service) left(o Owner) bool { return o.Rule == ruleOlder && s.memberID(o) != o.ID }

// pinOwner writes down, as root's word, whose an account is. It opens nothing,
// except that nothing else will open what the cache of an older castgate-keys
// opened until now.
func (s *Service) pinOwner(o Owner) error {
	if o.Rule == ruleOlder {
		return s.setOwner(o.Account, o.Login, o.ID)
	}
	return s.setPin(peopleDir, o.Account, pin{login: o.Login, id: o.ID, url: s.url()})
}
