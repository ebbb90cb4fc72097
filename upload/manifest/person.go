// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Account is the name of an account on a host. It says nothing of who used it:
// several people may, and an account's name may be somebody else's login.
type Account string

// Person is a GitHub user: the login, which they may change and somebody else
// may then take, and the numeric id, which stays theirs. Either may be unknown;
// the zero Person is nobody.
//
// A Person is compared by Is and in no other way: the type has no ==, and can't
// be made an Account or compared with one.
type Person struct {
	_     [0]func() // no ==
	login string
	id    int64
}

// NewPerson is who has this login and id; 0 is an id that is not known.
func NewPerson(login string, id int64) Person { return Person{login: login, id: max(id, 0)} }

// ParsePerson reads what an administrator writes: a GitHub login, or login:id.
func ParsePerson(s string) (Person, error) {
	login, number, pinned := strings.Cut(s, ":")
	if !validLogin(login) {
		return Person{}, fmt.Errorf("%q is no GitHub login", login)
	}
	if !pinned {
		return NewPerson(login, 0), nil
	}
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || id <= 0 {
		return Person{}, errors.New("what follows the colon is no GitHub id")
	}
	return NewPerson(login, id), nil
}

// Person is who opened the session. Nothing but the session hook's word for it
// counts; without the hook a recording names nobody.
func (s Session) Person() Person { return NewPerson(s.Login, s.LoginID) }

// Account is the account that was opened.
func (s Session) Account() Account { return Account(s.User) }

// Login returns the login as it was given, "" when it is not known.
func (p Person) Login() string { return p.login }

// ID returns the numeric id, 0 when it is not known.
func (p Person) ID() int64 { return p.id }

// IsZero says that nothing is known.
func (p Person) IsZero() bool { return p.login == "" && p.id == 0 }

// Known says whether p can be anybody: a name that is no GitHub login is
// nobody's.
func (p Person) Known() bool { return p.id > 0 || validLogin(p.login) }

// Is says whether p and q are one person. Where both ids are known they decide:
// a login may have changed hands. Else the login does, in any case.
func (p Person) Is(q Person) bool {
	if p.id > 0 && q.id > 0 {
		return p.id == q.id
	}
	return validLogin(p.login) && validLogin(q.login) && strings.EqualFold(p.login, q.login)
}

// String is for people to read.
func (p Person) String() string {
	if p.id > 0 {
		return fmt.Sprintf("%s (id %d)", p.login, p.id)
	}
	return p.login
}

// validLogin holds a login to GitHub's characters (a user of an enterprise has
// an underscore). Letters of other alphabets may fold to these: U+017F to s.
func validLogin(s string) bool {
	const longest = 64
	return s != "" && len(s) <= longest && s[0] != '-' && strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
	}) < 0
}
