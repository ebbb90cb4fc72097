// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// An account belongs to a person, whom GitHub's numeric id names: a login may
// be given up and taken by somebody else, an id never. Which id an account
// belongs to is state, not cache, and is kept in the directory "state":
//
//	people/<account>  root's word: castgate-keys pin, castgate enable
//	seen/<account>    what castgate-keys itself noted of a login that opens an
//	                  account by its name
//	adopted           that what an older castgate-keys knew was taken over
//
// A file has a line for each login that the account knows by name: LOGIN:ID, the
// URL of the GitHub whose id it is, and perhaps a word. A pin says which id the
// login must have; what root says counts before what was seen. It opens nothing
// by itself, so that an account that is taken out of the group or of "accounts"
// is closed, unless root pinned it for that ("opens").
const (
	DefaultState = "/var/lib/castgate-keys"
	peopleDir    = "people"
	seenDir      = "seen"
	adoptedName  = "adopted"

	opens    = "opens"    // the account is the person's, whatever else says so
	expected = "expected" // GitHub told the id, and nobody has logged in with it
)

// pin is a login as the host names it, and the id that it must have.
type pin struct {
	login string
	id    int64  // 0 where none is known
	url   string // whose id it is; "" for any GitHub's
	word  string // "", opens or expected
}

// line is the pin as its file has it.
func (p pin) line() string {
	return strings.TrimSpace(fmt.Sprintf("%s:%d %s %s", p.login, p.id, p.url, p.word)) + "\n"
}

// pins reads those of an account from one of the two directories. An error
// means that nobody can say whose the account is.
func (s *Service) pins(dir, account string) ([]pin, error) {
	c, err := openExisting(filepath.Join(s.Config.State, dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, s.pinFault(err)
	}
	defer c.root.Close()
	body, err := c.root.ReadFile(account)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []pin
	if err == nil {
		all, err = parsePins(string(body))
	}
	if err != nil {
		return nil, s.pinFault(err)
	}
	return all, nil
}

func parsePins(text string) ([]pin, error) {
	var all []pin
	for line := range strings.Lines(text) {
		p, ok := parsePin(strings.Fields(line))
		if !ok {
			return nil, fmt.Errorf("%q is not LOGIN:ID URL", strings.TrimSpace(line))
		}
		all = append(all, p)
	}
	return all, nil
}

func parsePin(f []string) (pin, bool) {
	if len(f) == 2 {
		f = append(f, "")
	}
	if len(f) != 3 || f[2] != "" && f[2] != opens && f[2] != expected {
		return pin{}, false
	}
	login, id, err := splitLogin(f[0])
	return pin{login, id, f[1], f[2]}, err == nil && id != 0
}

// named is the pin of a login, without an id where there is none.
func named(all []pin, login string) pin {
	for _, p := range all {
		if strings.EqualFold(p.login, login) {
			return p
		}
	}
	return pin{login: login}
}

// setPin writes the pin of one login and leaves those of the account's others.
func (s *Service) setPin(dir, account string, p pin) error {
	all, err := s.pins(dir, account)
	if err != nil {
		return err
	}
	text := p.line()
	for _, other := range all {
		if !strings.EqualFold(other.login, p.login) {
			text += other.line()
		}
	}
	return s.writeState(filepath.Join(dir, account), text)
}

// writeState replaces a file of the state, "" removes it, so that it survives a
// crash. What the account's finished answer says may not be true any more.
func (s *Service) writeState(name, text string) error {
	dir, base := filepath.Split(filepath.Join(s.Config.State, name))
	c, err := openExisting(dir)
	if err != nil {
		return s.pinFault(err)
	}
	defer c.root.Close()
	c.durable = true
	if text == "" {
		err = c.remove(base)
	} else {
		err = c.replace(base, 0o644, []byte(text))
	}
	if err != nil {
		return s.pinFault(err)
	}
	return s.Cache.remove(hotName(base))
}

// adopted reports whether the ids that an older castgate-keys kept in the cache
// were taken over, or there were none.
func (s *Service) adopted() bool {
	_, err := os.Stat(filepath.Join(s.Config.State, adoptedName))
	return err == nil
}

func (s *Service) pinFault(err error) error {
	return &Fault{Class: Unkept, Op: fmt.Sprintf("look into %q for whose an account is", s.Config.State), Err: err}
}
