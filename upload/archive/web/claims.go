// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"errors"
	"io/fs"
	"slices"

	"castgate/upload/archive"
	"castgate/upload/manifest"
)

// An id is its host's only: any host may give any. So a recording is found by
// its name, which has the host, and where others have its id, too, it is shown
// as such: which of them made it up only the hosts know.

// mark notes that others have the id of r.
func (r *Recording) mark(others []Recording) {
	for _, o := range others {
		if o.ID() != r.ID() || o.SameAs(r.Entry) {
			continue
		}
		r.Claimed = true
		r.twice = r.twice || o.Host == r.Host
	}
}

// markAll is mark for all of a list.
func markAll(all []Recording) {
	same := map[string][]Recording{}
	for _, r := range all {
		same[r.ID()] = append(same[r.ID()], r)
	}
	for i, r := range all {
		all[i].mark(same[r.ID()])
	}
}

// wholeName reads a name whose id is whole.
func wholeName(s string) (archive.Name, error) {
	n, ok := archive.ParseName(s)
	if !ok || !manifest.IsID(n.ID) {
		return n, fs.ErrNotExist
	}
	return n, nil
}

// pick returns the one that n means.
func pick(all []Recording, n archive.Name) (Recording, error) {
	var found []Recording
	for _, r := range all {
		if n.Means(r.Base()) && !slices.ContainsFunc(found, func(o Recording) bool { return o.SameAs(r.Entry) }) {
			found = append(found, r)
		}
	}
	return only(found)
}

func only(found []Recording) (Recording, error) {
	switch len(found) {
	case 0:
		return Recording{}, fs.ErrNotExist
	case 1:
		return found[0], nil
	}
	return Recording{}, &Several{found}
}

// allowed is what Archive.Get's answer is to somebody: what they may not see is
// not there.
func allowed(s archive.Scope, rec Recording, err error) (Recording, error) {
	all := []Recording{rec}
	var several *Several
	if errors.As(err, &several) {
		all = several.All
	} else if err != nil {
		return rec, err
	}
	return only(slices.DeleteFunc(all, func(r Recording) bool { return !s.Allows(r.Person()) }))
}
