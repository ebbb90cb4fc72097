// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"cmp"
	"fmt"
	"path"
	"slices"
)

// Claimed is the fault of a recording, whose manifest is at p, with the id of
// which another has a manifest at other. Nobody but the hosts can tell whose it
// is: one of them has made it up.
func Claimed(p, id, other string) Fault {
	return Fault{FaultClaimed, p, id, HostOf(p), fmt.Sprintf("%q has the same id: one of the two is made up", path.Dir(other))}
}

// claimed returns the recordings of which others have the id. The same manifest
// in two places is one recording that came by two ways.
func (v *Verifier) claimed() (faults []Fault) {
	var all []*link
	for _, host := range sortedKeys(v.chains) {
		all = append(all, v.chains[host].links...)
	}
	slices.SortStableFunc(all, func(a, b *link) int { return cmp.Compare(a.id, b.id) })
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].id == all[0].id {
			n++
		}
		for _, l := range all[:n] {
			if i := slices.IndexFunc(all[:n], func(o *link) bool { return o.hash != l.hash }); i >= 0 {
				faults = append(faults, Claimed(l.path, l.id, all[i].path))
			}
		}
		all = all[n:]
	}
	return faults
}
