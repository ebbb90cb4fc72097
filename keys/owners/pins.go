// SPDX-License-Identifier: AGPL-3.0-or-later

package owners

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"castgate/keys/files"
	"castgate/keys/known"
	"castgate/keys/prepared"
	"castgate/keys/settings"
	"castgate/wrap/hint"
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
	peopleDir   = "people"
	seenDir     = "seen"
	adoptedName = "adopted"

	opens    = "opens"    // the account is the person's, whatever else says so
	expected = "expected" // GitHub told the id, and nobody has logged in with it
)

// Pin is a login as the host names it, and the id that it must have.
type Pin struct {
	Login string
	ID    int64  // 0 where none is known
	URL   string // whose id it is; "" for any GitHub's
	word  string // "", opens or expected
}

// line is the pin as its file has it.
func (p Pin) line() string {
	return strings.TrimSpace(fmt.Sprintf("%s:%d %s %s", p.Login, p.ID, p.URL, p.word)) + "\n"
}

// First reports whether nobody has logged in with the id where the pin is.
func (p Pin) First() bool { return p.ID == 0 || p.word == expected }

// pins are the files of the state.
type pins struct {
	dir   string
	store *known.Store // whose locks keep two processes from writing at once
}

// read reads those of an account from one of the two directories. An error
// means that nobody can say whose the account is.
func (s *pins) read(dir, account string) ([]Pin, error) {
	var body []byte
	d, err := files.Open(filepath.Join(s.dir, dir))
	if err == nil {
		defer d.Close()
		body, err = d.Read(account)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	all, perr := parsePins(string(body))
	if err = errors.Join(err, perr); err != nil {
		return nil, s.fault(err)
	}
	return all, nil
}

func parsePins(text string) ([]Pin, error) {
	var all []Pin
	for line := range strings.Lines(text) {
		p, ok := parsePin(strings.Fields(line))
		if !ok {
			return nil, fmt.Errorf("%q is not LOGIN:ID URL", strings.TrimSpace(line))
		}
		all = append(all, p)
	}
	return all, nil
}

func parsePin(f []string) (Pin, bool) {
	if len(f) == 2 {
		f = append(f, "")
	}
	if len(f) != 3 || f[2] != "" && f[2] != opens && f[2] != expected {
		return Pin{}, false
	}
	login, id, err := settings.SplitLogin(f[0])
	return Pin{login, id, f[1], f[2]}, err == nil && id != 0
}

// named is the pin of a login, without an id where there is none.
func named(all []Pin, login string) Pin {
	for _, p := range all {
		if strings.EqualFold(p.Login, login) {
			return p
		}
	}
	return Pin{Login: login}
}

// set writes the pin of one login and leaves those of the account's others.
func (s *pins) set(dir, account string, p Pin) error {
	unlock, err := s.lock(account)
	if err != nil {
		return s.fault(err)
	}
	defer unlock()
	all, err := s.read(dir, account)
	if err != nil {
		return err
	}
	text := p.line()
	for _, other := range all {
		if !strings.EqualFold(other.Login, p.Login) {
			text += other.line()
		}
	}
	return s.write(filepath.Join(dir, account), text)
}

// lock lets nobody else change whose an account is, or write down an answer
// that stands on it.
func (s *pins) lock(account string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), known.ListWait)
	defer cancel()
	return s.store.Lock(ctx, "pin-"+account)
}

// replace is write under the lock.
func (s *pins) replace(account, text string, dirs ...string) error {
	unlock, err := s.lock(account)
	if err != nil {
		return s.fault(err)
	}
	defer unlock()
	for _, dir := range dirs {
		err = errors.Join(err, s.write(filepath.Join(dir, account), text))
	}
	return err
}

// write replaces a file of the state, "" removes it, so that it survives a
// crash. What the account's finished answer says may not be true any more.
func (s *pins) write(name, text string) error {
	dir, base := filepath.Split(filepath.Join(s.dir, name))
	d, err := files.Open(dir)
	if err != nil {
		return s.fault(err)
	}
	defer d.Close()
	if text == "" {
		err = d.RemoveDurably(base)
	} else {
		err = d.WriteDurably(base, 0o644, []byte(text))
	}
	if err != nil {
		return s.fault(err)
	}
	return s.store.Dir.Remove(prepared.Name(base))
}

// accounts are those that have a pin.
func (s *pins) accounts() (names []string) {
	for _, dir := range []string{peopleDir, seenDir} {
		if d, err := files.Open(filepath.Join(s.dir, dir)); err == nil {
			found, _ := d.List(".")
			d.Close()
			names = append(names, found...)
		}
	}
	return names
}

// adopted reports whether the ids that an older castgate-keys kept in the cache
// were taken over, or there were none.
func (s *pins) adopted() bool {
	_, err := os.Stat(filepath.Join(s.dir, adoptedName))
	return err == nil
}

func (s *pins) fault(err error) error {
	if errors.Is(err, fs.ErrNotExist) && s.dir != settings.DefaultState {
		err = hint.Addf(err, "install -d %[1]s %[1]s/people && install -d -o %[2]s %[1]s/seen", s.dir, settings.User)
	}
	return &known.Fault{Class: known.Unkept, Op: fmt.Sprintf("look into %q for whose an account is", s.dir), Err: err}
}
