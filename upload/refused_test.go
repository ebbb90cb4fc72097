// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"strings"
	"testing"

	"castgate/upload/uploadtest"
)

// TestWhatAPlaceRefusesIsPutAside has every kind of target refuse.
func TestWhatAPlaceRefusesIsPutAside(t *testing.T) {
	for name, build := range places {
		p := build(t, newBench(t).Bench)
		if p.Never != "" {
			t.Run(name+", for good", func(t *testing.T) {
				refusedForGood(t, build, "too ugly", func(p place, _ *Delivery) { p.Faults.Then(p.Never) })
			})
		}
		if p.Spoil != nil {
			t.Run(name+", another recording is there", func(t *testing.T) {
				refusedForGood(t, build, "", func(p place, d *Delivery) { p.Spoil(d) })
			})
		}
	}
}

// refusedForGood breaks a place for good: the recording goes to bad/, with the
// reason, and is not tried again.
func refusedForGood(t *testing.T, build func(*testing.T, *uploadtest.Bench) place, says string, ruin func(place, *Delivery)) {
	b := newBench(t)
	b.incoming(1, whole(1))
	p := build(t, b.Bench)
	u := b.open().with(p.Target)
	if err := u.pack(testID(1)); err != nil {
		t.Fatal(err)
	}
	ruin(p, u.delivery(testID(1), u.journal.parcel(testID(1))))
	if left, err := u.Once(t.Context()); left != 0 || err != nil {
		t.Errorf("%d left, %v", left, err)
	}
	got := b.list("spool")
	why := got["bad/"+testID(1)+".cast.txt"]
	if len(got) != 2 || got["bad/"+testID(1)+".cast"] != whole(1) || !strings.HasPrefix(why, p.Name()+": ") || !strings.Contains(why, says) {
		t.Errorf("the spool has %q", got)
	}
}
