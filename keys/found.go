// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"fmt"
	"strings"

	"castgate/keys/known"
	"castgate/keys/owners"
	"castgate/keys/prepared"
	"castgate/keys/pubkey"
)

// found is a person, and the teams of which one must have them as a member for
// this account.
type found struct {
	known.Record
	how   known.From
	teams []string
	named *owners.Pin // how the account names them; nil for one of a team's members
}

// add puts a person's keys into the decision, or the reason why not.
func (d *Decision) add(f found) {
	if !d.Allowed() {
		d.Source, d.Age = f.how.Source, f.how.Age
	}
	team, member := f.In(f.teams, known.Active)
	switch {
	case !member:
		d.refuse("%s", f.outside(f.teams))
		d.remark(" (%s)", f.how)
	case f.Suspended:
		d.refuse("%q is suspended", f.Login)
	case f.another() != "":
		d.refuse("%s", f.another())
		d.remark(" (%s); if the account is meant to be theirs: castgate-keys pin %s %s", f.how, d.Account, f.Login)
	default:
		d.step("%q (id %d%s) is an active member of team %q (%s)", f.Login, f.ID, f.pinned(), team, f.how)
		d.addKeys(f)
	}
}

// another says why a member is not the person whom the account names.
func (f *found) another() string {
	switch {
	case f.ID <= 0:
		return fmt.Sprintf("GitHub has not told the id of %q", f.Login)
	case f.named == nil:
		return ""
	case f.named.URL != "" && f.named.URL != f.Origin.URL:
		return fmt.Sprintf("the account belongs to id %d of %s", f.named.ID, f.named.URL)
	case f.named.ID == f.ID:
		return ""
	case f.named.ID != 0:
		return fmt.Sprintf("%q is now GitHub id %d and was %d: another person may have taken the login", f.Login, f.ID, f.named.ID)
	case !strings.EqualFold(f.named.Login, f.Login):
		return fmt.Sprintf("who was %q is %q now: the login may be taken by another person", f.named.Login, f.Login)
	}
	return ""
}

// first reports whether nobody has logged in with this id where it is named.
func (f *found) first() bool { return f.named != nil && f.named.First() }

func (f *found) pinned() string {
	switch {
	case f.first():
		return ", for the first time"
	case f.named != nil:
		return ", pinned"
	}
	return ""
}

// outside says in which way somebody is not a member.
func (f *found) outside(teams []string) string {
	if t, ok := f.In(teams, known.Pending); ok {
		return fmt.Sprintf("%q has not accepted the invitation to team %q", f.Login, t)
	}
	return fmt.Sprintf("%q is not a member of %s", f.Login, strings.Join(teams, ", "))
}

func (d *Decision) addKeys(f found) {
	if len(f.Keys) == 0 {
		d.refuse("%q has no keys on GitHub", f.Login)
	}
	for _, gk := range f.Keys {
		k, err := pubkey.ParseLine(gk.Line)
		if err != nil || d.offered != nil && !k.Equal(*d.offered) {
			continue
		}
		if why := d.policy.Refuses(k); why != "" {
			d.refuse("key %s of %q: %s", k.Fingerprint(), f.Login, why)
			continue
		}
		d.step("%s key %s of %q passes the filters", k.Type, k.Fingerprint(), f.Login)
		d.take(prepared.Line{Key: k.String(), Login: f.Login, ID: f.ID, Options: d.policy.For(d.grant.Account)})
		d.Source, d.Age, d.Why = f.how.Source, f.how.Age, "member"
		if f.first() {
			d.first(owners.Pin{Login: f.named.Login, ID: f.ID, URL: f.Origin.URL})
		}
		if d.offered != nil {
			d.Login, d.ID = f.Login, f.ID
			return
		}
	}
	if d.offered != nil && !d.Allowed() && d.Why == "" {
		d.refuse("%q has no such key on GitHub", f.Login)
	}
}
