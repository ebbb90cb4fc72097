// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"slices"
	"time"
)

// visit is all that somebody did on the page of a recording after they opened
// it: to look at it, to play it and to read it are three events of the log, and
// one line of "watched by".
type visit struct {
	Time time.Time // of the first
	Who  string
	Done []Event // in the order in which they were done first, each once
}

// visits groups events, of which the newest is the first, as they are.
func visits(events []Event) (all []visit) {
	for _, ev := range slices.Backward(events) {
		i := len(all) - 1
		for i >= 0 && !all[i].has(ev) {
			i--
		}
		if i < 0 {
			all = append(all, visit{ev.Time, ev.Who, []Event{ev}})
			continue
		}
		v := &all[i]
		if !slices.ContainsFunc(v.Done, func(o Event) bool { return o.What == ev.What && o.Detail == ev.Detail }) {
			v.Done = append(v.Done, ev)
		}
	}
	slices.Reverse(all)
	return all
}

// has says that ev belongs to the visit: the same person did it from the same
// place, before they opened the page anew and before their session had ended.
func (v *visit) has(ev Event) bool {
	first := v.Done[0]
	return ev.What != "view" && ev.Who == v.Who && ev.Client == first.Client && ev.Time.Sub(first.Time) < sessionMax
}
