// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"castgate/upload/archive/archivetest"
)

// manyClaims is an archive in which host evil has given web1's id n times, each
// time with the account that sorts before.
func manyClaims(t *testing.T, n int) (dir, id string) {
	t.Helper()
	dir = t.TempDir()
	web1 := archivetest.Recording{User: "deploy", Host: "web1", Start: noon, Output: []string{"launch code"}}
	all := []archivetest.Recording{web1}
	for i := range n {
		all = append(all, archivetest.Recording{User: fmt.Sprintf("a%05d", i), Host: "evil", Start: noon, Output: []string{"x"}, As: web1.ID()})
	}
	for _, r := range all {
		if _, _, err := r.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	return dir, web1.ID()
}

// TestManyClaimsCostNoMoreThanOthers counts what the index writes and says.
func TestManyClaimsCostNoMoreThanOthers(t *testing.T) {
	const n = 400
	dir, id := manyClaims(t, n)
	store, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	ix, err := OpenIndex(filepath.Join(t.TempDir(), "index.sqlite"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	ix.db.SetMaxOpenConns(1) // total_changes is a connection's
	said, longest := 0, 0
	if err := ix.Update(t.Context(), store, false, func(err error) { said, longest = said+1, max(longest, len(err.Error())) }); err != nil {
		t.Fatal(err)
	}
	var changes int
	if err := ix.db.QueryRow("SELECT total_changes()").Scan(&changes); err != nil || changes > 10*n {
		t.Errorf("%d rows changed for %d recordings, %v", changes, n, err)
	}
	if said != n || longest > 1000 {
		t.Errorf("%d complaints of up to %d bytes", said, longest)
	}
	all, err := ix.Claims()
	if err != nil || len(all) != 1 || !all[0].More || len(all[0].Names) != 3 || !slices.Contains(all[0].Names, id+"@web1") {
		t.Errorf("claims: %v, %v", all, err)
	}
	for r, err := range ix.List(Query{}) {
		if err != nil || !r.Claimed {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// TestOneHostFillsNoPlaces: the recording that is meant is named among others.
func TestOneHostFillsNoPlaces(t *testing.T) {
	dir, id := manyClaims(t, 20)
	ix, s, _ := indexOf(t, dir)
	for _, name := range []string{id, id[:9]} {
		if _, err := s.Find(name); err == nil || !strings.Contains(err.Error(), id+"@web1, and more") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{id + "@web1", id + "@evil~a00019~2026-11-20"} {
		if _, err := s.Find(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		n, _ := ParseName(name)
		if in, err := ix.Open(s, n); err != nil {
			t.Errorf("%s, by the index: %v", name, err)
		} else {
			in.Close()
		}
	}
}
