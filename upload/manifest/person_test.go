// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"reflect"
	"strings"
	"testing"
)

func TestPersonIs(t *testing.T) {
	for name, tt := range map[string]struct {
		a, b Person
		want bool
	}{
		"login in any case":         {NewPerson("Octocat", 0), NewPerson("octoCAT", 0), true},
		"another login":             {NewPerson("octocat", 0), NewPerson("octocats", 0), false},
		"one id, renamed":           {NewPerson("alice", 5), NewPerson("alice2", 5), true},
		"a login that was taken":    {NewPerson("alice", 5), NewPerson("alice", 9), false},
		"one id unknown":            {NewPerson("alice", 5), NewPerson("Alice", 0), true},
		"one id unknown, renamed":   {NewPerson("alice", 5), NewPerson("alice2", 0), false},
		"nobody and nobody":         {Person{}, Person{}, false},
		"somebody and nobody":       {NewPerson("alice", 5), Person{}, false},
		"an id of 0 is no id":       {NewPerson("a", 0), NewPerson("b", 0), false},
		"an id below 0 is no id":    {NewPerson("a", -1), NewPerson("b", -1), false},
		"a letter that folds to s":  {NewPerson("steve", 0), NewPerson("\u017fteve", 0), false},
		"a letter that folds to k":  {NewPerson("kim", 0), NewPerson("\u212aim", 0), false},
		"a mail address":            {NewPerson("a@example.org", 0), NewPerson("a@example.org", 0), false},
		"a dash, as for no account": {NewPerson("-", 0), NewPerson("-", 0), false},
		"of an enterprise":          {NewPerson("octo_acme", 0), NewPerson("octo_ACME", 0), true},
	} {
		if tt.a.Is(tt.b) != tt.want || tt.b.Is(tt.a) != tt.want {
			t.Errorf("%s: %v and %v", name, tt.a, tt.b)
		}
	}
}

// An account and a person are nothing that the compiler lets anybody compare,
// assign or convert, and a person has no ==, which would miss a renamed one.
func TestPersonIsNoAccount(t *testing.T) {
	person, account := reflect.TypeFor[Person](), reflect.TypeFor[Account]()
	if person.Comparable() {
		t.Error("two people can be compared with ==")
	}
	for _, other := range []reflect.Type{account, reflect.TypeFor[string]()} {
		if person.ConvertibleTo(other) || other.ConvertibleTo(person) || person.AssignableTo(other) || other.AssignableTo(person) {
			t.Errorf("a person can be made a %v, or one a person", other)
		}
	}
	if reflect.TypeFor[string]().AssignableTo(account) {
		t.Error("a login can be taken for an account by mistake")
	}
}

func TestParsePerson(t *testing.T) {
	for in, want := range map[string]string{"octocat": "octocat", "octocat:583231": "octocat (id 583231)", "octo-cat_acme": "octo-cat_acme"} {
		if p, err := ParsePerson(in); err != nil || p.String() != want || !p.Known() {
			t.Errorf("%q: %v, %v", in, p, err)
		}
	}
	for _, in := range []string{"", ":5", "octocat:", "octocat:0", "octocat:-5", "octocat:x", "a b", "a@example.org", "-", "-a", "\u017fteve", strings.Repeat("a", 65)} {
		if p, err := ParsePerson(in); err == nil {
			t.Errorf("%q: %v", in, p)
		}
	}
}
