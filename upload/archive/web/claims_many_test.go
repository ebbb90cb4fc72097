// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"castgate/upload/archive"
)

// manifestReads counts the manifests that are opened.
type manifestReads struct {
	fs.FS
	n int
}

func (c *manifestReads) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, ".json") {
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
	read := &manifestReads{FS: x.objects}
	x.objects = read
	rows, err := x.List(t.Context(), Query{Scope: archive.Everything(), Limit: 10})
	if err != nil || len(rows) != 10 || read.n > n/2 {
		t.Errorf("%d rows, %d manifests read, %v", len(rows), read.n, err)
	}
	for _, r := range rows {
		if got, err := x.Get(t.Context(), r.Name()); !r.Claimed || err != nil || got.base != r.base {
			t.Errorf("%s: claimed %v, %v", r.Name(), r.Claimed, err)
		}
	}
	if got, err := x.Get(t.Context(), id+"@web1"); err != nil || !got.Claimed || got.Host != "web1" || read.n > n {
		t.Errorf("bob's: %+v, %d manifests read, %v", got, read.n, err)
	}
}
