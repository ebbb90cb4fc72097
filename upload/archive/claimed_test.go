// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"castgate/upload/archive/archivetest"
	"castgate/upload/manifest"
)

// indexOf is an index of an archive, with what it complained of.
func indexOf(t *testing.T, dir string) (*Index, *Store, *[]string) {
	t.Helper()
	s, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	ix, err := OpenIndex(filepath.Join(t.TempDir(), "index.sqlite"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ix.Close() })
	said := new([]string)
	if err := ix.Update(t.Context(), s, false, func(err error) { *said = append(*said, err.Error()) }); err != nil {
		t.Fatal(err)
	}
	return ix, s, said
}

// deliver writes a recording under another host's directory than its own.
func deliver(t *testing.T, dir, as string, r archivetest.Recording) {
	t.Helper()
	m, text, stored := r.Objects()
	at := filepath.Join(dir, strings.Replace(m.Dir(), "/"+r.Host+"/", "/"+as+"/", 1), m.Session.ID)
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at+manifest.CastSuffix, stored, 0o600), os.WriteFile(at+manifest.JSONSuffix, text, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestAnIDHidesNobody has other hosts, and the host itself, give an id again.
func TestAnIDHidesNobody(t *testing.T) {
	dir := t.TempDir()
	real := archivetest.Recording{User: "deploy", Host: "web1", Start: noon, Output: []string{"launch code"}}
	id := real.ID()
	for _, r := range []archivetest.Recording{
		{User: "aaa", Host: "aaa", Start: noon, Output: []string{"first"}, As: id},
		real,
		{User: "zzz", Host: "web1", Start: noon.Add(24 * time.Hour), Output: []string{"again"}, As: id},
	} {
		if _, _, err := r.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	ix, s, said := indexOf(t, dir)
	if len(*said) != 2 || !strings.Contains((*said)[1], id+"@aaa, "+id+"@web1~deploy~2026-11-20, "+id+"@web1~zzz~2026-11-21") {
		t.Errorf("it complained of %q", *said)
	}
	for _, l := range []*Listing{{Store: s}, {Store: s, Index: ix}} {
		n := 0
		for r, err := range l.List(Query{}) {
			if n++; err != nil || !r.Claimed {
				t.Errorf("%+v, %v", r, err)
			}
		}
		if n != 3 {
			t.Errorf("%d recordings", n)
		}
	}
	for name, want := range map[string]string{id + "@aaa": "aaa", id + "@web1~deploy~2026-11-20": "deploy", id[:9] + "@web1~zzz~2026-11-21": "zzz"} {
		if e, err := s.Find(name); err != nil || e.Manifest.Session.User != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	var claimed *ClaimedError
	for _, name := range []string{id, id[:9], id + "@web1"} {
		if _, err := s.Find(name); !errors.As(err, &claimed) || claimed.ID != id {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ix.UpdateText(t.Context(), s, 0, 1, fails(t)); err != nil {
		t.Fatal(err)
	}
	found := 0
	for f, err := range ix.Search([]string{"launch"}, Query{}, 0) {
		if found++; err != nil || f.User != "deploy" {
			t.Errorf("%+v, %v", f, err)
		}
	}
	if all, err := ix.Claims(); found != 1 || err != nil || len(all) != 1 || len(all[0].Names) != 3 {
		t.Errorf("%d found, claims %v, %v", found, all, err)
	}
	// What is gone claims nothing.
	for _, p := range []string{"aaa", "zzz"} {
		if err := os.RemoveAll(filepath.Join(dir, p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := ix.Update(t.Context(), s, false, fails(t)); err != nil {
		t.Fatal(err)
	}
	if all, err := ix.Claims(); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

// TestACopyHidesNobody has host evil keep a copy of web1's manifest, with nothing
// beside it.
func TestACopyHidesNobody(t *testing.T) {
	dir := t.TempDir()
	real := archivetest.Recording{User: "deploy", Host: "web1", Start: noon, Output: []string{"x"}}
	if _, _, err := real.Write(dir); err != nil {
		t.Fatal(err)
	}
	deliver(t, dir, "evil", real)
	if err := os.Remove(filepath.Join(dir, "deploy/evil/2026/11/20", real.ID()+manifest.CastSuffix)); err != nil {
		t.Fatal(err)
	}
	deliver(t, dir, "web1.example.org", real) // the same by another way
	_, s, _ := indexOf(t, dir)
	var claimed *ClaimedError
	if _, err := s.Find(real.ID()); !errors.As(err, &claimed) || len(claimed.Names) != 2 {
		t.Errorf("the bare id: %v", err)
	}
	if e, err := s.Find(real.ID() + "@web1"); err != nil || manifest.HostOf(e.Path) != "web1" {
		t.Errorf("web1's: %v", err)
	}
}

// TestNumbersTakeNobodysPlace has manifests claim a start in the year 4203, of
// which the document's number would be that of today's, and more recordings of
// one second than there are numbers.
func TestNumbersTakeNobodysPlace(t *testing.T) {
	dir := t.TempDir()
	real := archivetest.Recording{User: "deploy", Host: "web1", Start: noon, Output: []string{"launch code"}}
	late := archivetest.Recording{User: "mallory", Host: "evil", Start: time.Unix(noon.Unix()+1<<36, 0), Output: []string{"nothing"}}
	for _, r := range []archivetest.Recording{real, late} {
		if _, _, err := r.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	ix, s, _ := indexOf(t, dir)
	if _, err := ix.UpdateText(t.Context(), s, 0, 1, fails(t)); err != nil {
		t.Errorf("the text: %v", err)
	}
	found := 0
	for _, word := range []string{"launch", "nothing"} {
		n := 0
		for range ix.Search([]string{word}, Query{}, 0) {
			n++
		}
		if n != 1 {
			t.Errorf("%q is found %d times", word, n)
		}
	}
	for r, err := range ix.List(Query{Since: noon, User: "mallory"}) {
		if err != nil || r.ID != late.ID() {
			t.Errorf("%+v, %v", r, err)
		}
		found++
	}
	if found != 1 {
		t.Errorf("by -since the one of 4203 is found %d times", found)
	}
	tx, err := ix.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	at := noon.Add(time.Hour)
	for _, n := range []int64{at.Unix()<<seqBits + 1<<seqBits - 1, (at.Unix() + 1) << seqBits} { // the last of the second, the first of the next
		if _, err := tx.Exec(`INSERT INTO recordings SELECT ?, id, place, path || ?, hash, claimed, dir, user, host, login, login_id, key, client, kind, tty, command,
			start, stop, duration, exit, complete, ended, events, bytes, sha256, sealed, stored, done FROM recordings LIMIT 1`, n, fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := freeNumber(tx, at); err != nil || n != (at.Unix()+1)<<seqBits+1 {
		t.Errorf("%d, %v", n, err)
	}
}

// TestTextIsTheManifests has a manifest claim the bytes of another recording.
func TestTextIsTheManifests(t *testing.T) {
	dir := t.TempDir()
	r := archivetest.Recording{User: "mallory", Host: "evil", Start: noon, Output: []string{"nothing"}}
	m, _, err := r.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	m.Cast.SHA256 = manifest.Hash([]byte("another's"))
	text, err := m.Encode()
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, m.Path(manifest.JSONSuffix)), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	ix, s, _ := indexOf(t, dir)
	var said []error
	if _, err := ix.UpdateText(t.Context(), s, 0, 1, func(err error) { said = append(said, err) }); err != nil || len(said) != 1 || !errors.Is(said[0], ErrOther) {
		t.Errorf("%v, %v", said, err)
	}
	for f := range ix.Search([]string{"nothing"}, Query{}, 0) {
		t.Errorf("found %+v", f)
	}
}

// TestHostsThatShareAShortName: web1 of another domain says that its recording
// comes after ours, of which the end is remembered.
func TestHostsThatShareAShortName(t *testing.T) {
	dir := t.TempDir()
	ours := archivetest.Recording{User: "deploy", Host: "web1", Start: noon, Output: []string{"x"}}
	_, text, _ := ours.Objects()
	newest := manifest.Hash(text)
	deliver(t, dir, "web1.eu.example.org", ours)
	deliver(t, dir, "web1.us.example.org", archivetest.Recording{User: "deploy", Host: "web1", Start: noon.Add(time.Hour), Output: []string{"y"}, Seq: 2, Prev: newest})
	ix, _, _ := indexOf(t, dir)
	all, err := heads(ix.db)
	if err != nil || !slices.ContainsFunc(all, func(h head) bool { return h.SHA256 == newest && h.Host == "web1.eu.example.org" }) {
		t.Errorf("%v, %v", all, err)
	}
}

// TestAnIndexOfAnotherVersionIsMadeAnew keeps what is not derived.
func TestAnIndexOfAnotherVersionIsMadeAnew(t *testing.T) {
	s, all, _ := small(t)
	path := filepath.Join(t.TempDir(), "index.sqlite")
	old, err := connect(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Exec(`CREATE TABLE recordings (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
		CREATE TABLE heads (sha256 TEXT PRIMARY KEY, host TEXT NOT NULL, sequence INTEGER NOT NULL, id TEXT NOT NULL, path TEXT NOT NULL, start INTEGER NOT NULL) WITHOUT ROWID;
		INSERT INTO heads VALUES('abc', 'db9', 7, 'gone', 'deploy/db9.example.org/2026/11/19/gone.json', 1);
		PRAGMA user_version=5;`); err != nil {
		t.Fatal(err)
	}
	old.Close()
	if _, err := OpenIndex(path, false); !errors.Is(err, errOldSchema) {
		t.Errorf("who does not make it: %v", err)
	}
	ix, err := OpenIndex(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	if err := ix.Update(t.Context(), s, false, fails(t)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := ix.Count(); n != len(all) || err != nil {
		t.Errorf("%d recordings, %v", n, err)
	}
	ends, err := heads(ix.db)
	if err != nil || !slices.ContainsFunc(ends, func(h head) bool { return h.SHA256 == "abc" && h.Host == "db9.example.org" && h.sequence == 7 }) {
		t.Errorf("%v, %v", ends, err)
	}
}

func TestParseName(t *testing.T) {
	for s, want := range map[string]Name{
		"0199a5d2":                          {"0199a5d2", "", ""},
		"0199a5d2@web1.example.org":         {"0199a5d2", "web1.example.org", ""},
		"0199a5d2@we%20b":                   {"0199a5d2", "we%20b", ""},
		"0199a5d2@web1~a@b.org~2026-11-20":  {"0199a5d2", "web1", "a@b.org~2026-11-20"},
		"":                                  {},
		"web1":                              {},
		"0199a5d2@":                         {},
		"0199a5d2@web1~x":                   {},
		"0199a5d2@../x":                     {},
		"0199a5d2@we b":                     {},
		"0199a5d2-0000-7000-8000-000000000": {"0199a5d2-0000-7000-8000-000000000", "", ""},
	} {
		got, ok := ParseName(s)
		if got != want || ok != (want.ID != "") || ok && got.String() != s {
			t.Errorf("%q: %+v, %v", s, got, ok)
		}
	}
}
