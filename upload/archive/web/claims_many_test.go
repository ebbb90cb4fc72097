// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"castgate/upload/archive"
	"castgate/upload/manifest"
)

// opens counts what is opened that it counts.
type opens struct {
	fs.FS
	counts func(name string) bool
	n      int
}

func (c *opens) Open(name string) (fs.File, error) {
	if c.counts(name) {
		c.n++
	}
	return c.FS.Open(name)
}

// TestManyClaimsAreNotReadForEach has host evil give the id of bob's session
// again and again: neither a list nor a page reads them all.
func TestManyClaimsAreNotReadForEach(t *testing.T) {
	const n = 120
	s := newSample(t)
	s.odd = true
	bob := s.take("bob", "web1", "bob-gh").typed("true", "").end(0)
	id := s.keep(bob)
	for i := range n {
		k := s.take(fmt.Sprintf("u%d", i), "evil", "").typed("t", "n\n").end(0)
		k.header.Session.ID, k.header.Timestamp = id, bob.header.Timestamp
		s.keep(k)
	}
	x := s.indexed()
	read := &opens{FS: x.objects, counts: func(name string) bool { return strings.HasSuffix(name, manifest.JSONSuffix) }}
	x.objects = read
	rows, err := x.List(t.Context(), Query{Scope: archive.Everything(), Limit: 10})
	if err != nil || len(rows) != 10 || read.n > n/2 {
		t.Errorf("%d rows, %d manifests read, %v", len(rows), read.n, err)
	}
	for _, r := range rows {
		if got, err := x.Get(t.Context(), r.Name()); !r.Claimed || err != nil || got.Path != r.Path {
			t.Errorf("%s: claimed %v, %v", r.Name(), r.Claimed, err)
		}
	}
	if got, err := x.Get(t.Context(), id+"@web1"); err != nil || !got.Claimed || got.Host != "web1" || read.n > n {
		t.Errorf("bob's: %+v, %d manifests read, %v", got, read.n, err)
	}
}

// TestWhatIsNotThereIsLookedForNearby: to ask for ids that nobody has costs the
// page no walk through the archive.
func TestWhatIsNotThereIsLookedForNearby(t *testing.T) {
	s := newSample(t)
	s.keep(s.take("bob", "web1", "bob-gh").typed("true", "").end(0))
	x := s.indexed()
	walk := &opens{FS: x.Store.FS, counts: func(name string) bool { return strings.Contains(name, "/2026/") }}
	x.Store.FS = walk
	for _, name := range []string{"00d5d3f7-0000-7000-8000-000000000001", "00d5d3f7-0000-7000-8000-000000000001@web1"} {
		if _, err := x.Get(t.Context(), name); !errors.Is(err, fs.ErrNotExist) || walk.n > 0 {
			t.Errorf("%s: %v, %d directories looked at", name, err, walk.n)
		}
	}
}
