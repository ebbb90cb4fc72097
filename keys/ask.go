// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"maps"
	"strings"
	"time"

	"castgate/keys/known"
	"castgate/keys/settings"
)

// asker asks GitHub what is not known, and keeps the answer.
type asker struct {
	conf   *settings.Config
	store  *known.Store
	finder Finder
	bulk   []Directory // the first that works
	spare  func() error
}

// person returns what is known of a login in these teams: from the cache while
// it is fresh, else from GitHub, else from the cache as long as it may be
// stale. id is that of who is meant, 0 when only the login says. The error
// means that nothing is known.
func (a *asker) person(ctx context.Context, login string, id int64, need []string) (known.Record, known.From, error) {
	if r, how, ok := a.store.Fresh(login, need); ok {
		return r, how, nil
	}
	unlock, err := a.store.Lock(ctx, "login-"+strings.ToLower(login))
	if err != nil {
		return a.stale(login, need, err)
	}
	defer unlock()
	if r, how, ok := a.store.Fresh(login, need); ok { // asked by the process we waited for
		return r, how, nil
	}
	old, _ := a.store.Record(login)
	wait := known.PauseCold
	if _, warm := old.In(need, known.Active); warm {
		wait = known.PauseWarm
	}
	if err := a.store.MayAsk(wait); err != nil {
		return a.stale(login, need, err)
	}
	began := a.store.Now() // a refresh that begins while GitHub answers knows better
	p, err := a.finder.Find(ctx, login, id, need)
	a.store.Note(err)
	if err != nil {
		a.rememberNoes(login, p, began)
		return a.stale(login, need, err)
	}
	r, err := a.store.Remember(login, p, began)
	if err == nil {
		err = a.store.ListKeys(r)
	}
	_ = err // the answer is good; that it can't be kept is for castgate check
	return r, known.Asked, nil
}

// rememberNoes stores what was heard before a question failed: the teams that
// the login is not in. A yes without the keys is not an answer.
func (a *asker) rememberNoes(login string, p known.Person, at time.Time) {
	maps.DeleteFunc(p.Teams, func(_ string, state known.State) bool { return state == known.Active })
	if len(p.Teams) == 0 {
		return
	}
	no := known.Person{Login: login, Teams: p.Teams}
	if old, found := a.store.Record(login); found {
		no.Login = old.Login
	}
	_, _ = a.store.Remember(login, no, at)
}

// stale falls back to what was last known of a member. An old no is not worth
// anything against a GitHub that can't answer: it stays a fault.
func (a *asker) stale(login string, need []string, cause error) (known.Record, known.From, error) {
	r, how, ok := a.store.Lately(login, need)
	if _, active := r.In(need, known.Active); !ok || !active {
		return known.Record{}, known.From{}, cause
	}
	how.Source = "stale"
	return r, how, nil
}
