// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"castgate/upload/archive"
	"castgate/upload/manifest"
)

// archives opens the store in each of the ways there are.
func (s *sample) archives() map[string]Archive {
	s.t.Helper()
	dir, err := OpenDirectory(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	bucket := s.indexed()
	if bucket.Directory, err = OpenBucket(s.dir, os.DirFS(s.dir)); err != nil {
		s.t.Fatal(err)
	}
	bucket.Signers = s.signers()
	return map[string]Archive{"directory": dir, "indexed": s.indexed(), "bucket": bucket}
}

func (s *sample) indexed() *Indexed {
	s.t.Helper()
	dir, err := OpenDirectory(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	store, err := archive.OpenDir(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	index, err := archive.OpenIndex(filepath.Join(s.t.TempDir(), "index.sqlite"), true)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { index.Close() })
	dir.Signers = s.signers()
	x := &Indexed{Directory: dir, Index: index, Store: store}
	if err := x.update(s.t.Context(), false, func(err error) {
		if !s.odd {
			s.t.Error(err)
		}
	}); err != nil {
		s.t.Fatal(err)
	}
	return x
}

// TestArchives holds every Archive to the same answers.
func TestArchives(t *testing.T) {
	s := newSample(t)
	ids := s.fill()
	all := archive.Everything()
	for name, a := range s.archives() {
		t.Run(name, func(t *testing.T) {
			list := func(q Query) (got []string) {
				t.Helper()
				if q.Limit == 0 {
					q.Limit = 1000
				}
				rows, err := a.List(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					got = append(got, r.ID())
				}
				return got
			}
			everything := list(Query{Scope: all})
			if len(everything) != 71 || !slices.Equal(everything[:3], []string{ids["waiting"], ids["live"], ids["main"]}) {
				t.Errorf("%d recordings, the first %q", len(everything), everything[:3])
			}
			var paged []string
			for before := ""; ; before = paged[len(paged)-1] {
				page := list(Query{Scope: all, Limit: 9, Before: before})
				if len(page) == 0 {
					break
				}
				paged = append(paged, page...)
			}
			if !slices.Equal(paged, everything) {
				t.Errorf("pages: %d of %d, in another order", len(paged), len(everything))
			}
			for what, tt := range map[string]struct {
				q    Query
				want int
			}{
				"user":       {Query{Query: archive.Query{User: "deploy"}, Scope: all}, 17},
				"login":      {Query{Query: archive.Query{Login: manifest.NewPerson("ALICE-GH", 0)}, Scope: all}, 18},
				"host":       {Query{Query: archive.Query{Host: "web1.example.org"}, Scope: all}, 1},
				"kind":       {Query{Query: archive.Query{Kind: "command"}, Scope: all}, 16},
				"sealed":     {Query{Query: archive.Query{State: manifest.StateSealed}, Scope: all}, 1},
				"live":       {Query{Query: archive.Query{State: manifest.StateLive}, Scope: all}, 1},
				"waiting":    {Query{Query: archive.Query{State: manifest.StateWaiting}, Scope: all}, 1},
				"client":     {Query{Query: archive.Query{Client: "192.0.2.7"}, Scope: all}, 71},
				"no client":  {Query{Query: archive.Query{Client: "192.0.2.8"}, Scope: all}, 0},
				"since":      {Query{Query: archive.Query{Since: sampleStart.Add(24 * time.Hour)}, Scope: all}, 33},
				"until":      {Query{Query: archive.Query{Until: sampleStart.Add(38 * time.Minute)}, Scope: all}, 1},
				"nobody":     {Query{}, 0},
				"account":    {Query{Scope: sessionsOf("mallory")}, 0},
				"own login":  {Query{Scope: sessionsOf("Octocat")}, 17},
				"team":       {Query{Scope: sessionsOf("octocat", "bob-gh")}, 35},
				"own, other": {Query{Query: archive.Query{User: "alice"}, Scope: sessionsOf("octocat")}, 0},
				"own, asked": {Query{Query: archive.Query{Login: manifest.NewPerson("bob-gh", 0)}, Scope: sessionsOf("octocat")}, 0},
				"no login":   {Query{Query: archive.Query{Login: manifest.NewPerson("a b", 0)}, Scope: all}, 0},
			} {
				if got := list(tt.q); len(got) != tt.want {
					t.Errorf("%s: %d recordings, want %d", what, len(got), tt.want)
				}
			}
			unnamed, err := a.Unnamed(t.Context(), sampleStart.Add(24*time.Hour))
			if want := map[string]int{"web1": 4, "web2": 2, "db1": 3}; err != nil || !maps.Equal(unnamed, want) {
				t.Errorf("recordings that name nobody: %v, %v, want %v", unnamed, err, want)
			}
			testSearch(t, a, ids)
			testGet(t, a, ids)
		})
	}
}

func sessionsOf(logins ...string) archive.Scope {
	var people []manifest.Person
	for _, l := range logins {
		people = append(people, manifest.NewPerson(l, 0))
	}
	return archive.SessionsOf(people...)
}

func testSearch(t *testing.T, a Archive, ids map[string]string) {
	t.Helper()
	for words, want := range map[string]string{"sever_name": "main", "NGINX emerg": "main", "alert": "hostile", "zebra": "", "': --": ""} {
		hits, err := a.Search(t.Context(), words, Query{Scope: archive.Everything(), Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		if (want == "") != (len(hits) == 0) {
			t.Errorf("%q: %d hits", words, len(hits))
		}
		for _, h := range hits {
			if h.Recording.ID() != ids[want] {
				t.Errorf("%q: found in %s: %q", words, h.Recording.ID(), h.Line)
			}
		}
	}
	if hits, err := a.Search(t.Context(), "nginx", Query{Scope: sessionsOf("bob-gh"), Limit: 50}); err != nil || len(hits) != 0 {
		t.Errorf("bob finds %d lines of others, %v", len(hits), err)
	}
}

func testGet(t *testing.T, a Archive, ids map[string]string) {
	t.Helper()
	for _, id := range []string{"", "x", "../../../etc/passwd", ids["main"][:20], "01935b7e-0000-7000-8000-00000000ffff"} {
		if _, err := a.Get(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, name := range []string{"main", "live", "interrupted"} {
		rec, err := a.Get(t.Context(), ids[name])
		if err != nil {
			t.Fatal(err)
		}
		in, err := a.Cast(t.Context(), rec)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(in); err != nil || len(text) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
		in.Close()
	}
}
