// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"

	"castgate/keys/known"
)

// call asks for every team until GitHub can't be asked any further.
func (a *asker) call(ctx context.Context, l *roll, spare func() error) (faults []error) {
	for _, slug := range a.conf.AllTeams() {
		list, err := a.team(ctx, slug, spare)
		over := known.Is(err, known.Broken) || known.Is(err, known.Limited) || known.Is(err, known.BadToken)
		if err == nil {
			l.whole = append(l.whole, slug)
			l.doubted[slug] = a.store.Believe(slug, list, l.start)
			err = known.Shrank(slug, l.doubted[slug])
		}
		l.answered = l.answered || err == nil || known.Is(err, known.Suspicious) || known.Is(err, known.Missing)
		if err == nil || over || known.Is(err, known.Suspicious) {
			merge(l.seen, list, slug)
		}
		if over {
			return append([]error{err}, faults...) // it concerns the next question, too
		}
		if err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}

// team asks the first directory that can answer. With an error it returns
// those who were seen before.
func (a *asker) team(ctx context.Context, slug string, spare func() error) (list []known.Person, err error) {
	for _, dir := range a.bulk {
		list = nil
		err = dir.Team(ctx, slug, func(p known.Person) error {
			list = append(list, p)
			return spare()
		})
		if err == nil || known.Is(err, known.Limited) || ctx.Err() != nil {
			break
		}
	}
	return list, err
}

func merge(seen map[int64]*known.Person, list []known.Person, slug string) {
	for _, p := range list {
		if seen[p.ID] == nil {
			p.Teams = map[string]known.State{}
			seen[p.ID] = &p
		}
		seen[p.ID].Teams[slug] = known.Active
	}
}
