// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"castgate/upload/archive/archivetest"
	"castgate/upload/manifest"
)

// TestMillion measures the index: make bench-archive, which takes the rows of a
// table from the file CASTGATE_BENCH_TABLE. Without the variables it runs with
// a few recordings, so that it can't rot.
func TestMillion(t *testing.T) {
	n := 400
	if s := os.Getenv("CASTGATE_BENCH_RECORDINGS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	fleet := archivetest.Fleet{Users: 50, Hosts: 20, Days: max(n/10_000, 1), PerDay: 10, First: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	if n < 10_000 {
		fleet = archivetest.Fleet{Users: 5, Hosts: 4, Days: max(n/200, 1), PerDay: 10, First: fleet.First}
	}
	dir := t.TempDir()
	if at := os.Getenv("CASTGATE_BENCH_DIR"); at != "" {
		dir = at // on a real disk, where the temporary directory is memory
	}
	file := filepath.Join(dir, "index.sqlite")
	ix, err := OpenIndex(file, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { ix.Close() }()
	s := &Store{FS: fleet, Name: "generated"}
	began := time.Now()
	timed := func(what string, f func() string) {
		t.Helper()
		start := time.Now()
		got := f()
		archivetest.Measured(t, what, time.Since(start), got)
	}
	timed("index: manifests", func() string {
		if err := ix.Update(t.Context(), s, false, fails(t)); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d recordings of %d accounts on %d hosts", fleet.Size(), fleet.Users, fleet.Hosts)
	})
	timed("index: screen text", func() string {
		added, err := ix.UpdateText(t.Context(), s, 0, runtime.NumCPU(), fails(t))
		if err != nil || added != fleet.Size() {
			t.Fatalf("%d added, %v", added, err)
		}
		return archivetest.PeakMemory(t)
	})
	ix.Close()
	timed("index: open", func() string {
		if ix, err = OpenIndex(file, false); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d MiB", info.Size()>>20)
	})
	timed("index: nothing new where new ones come", func() string {
		if err := ix.Update(t.Context(), s, true, fails(t)); err != nil {
			t.Fatal(err)
		}
		return ""
	})
	last := fleet.First.AddDate(0, 0, fleet.Days)
	list := func(f Query, most int) func() string {
		return func() string {
			rows := 0
			for _, err := range ix.List(f) {
				if err != nil {
					t.Fatal(err)
				}
				if rows++; rows == most {
					break
				}
			}
			return fmt.Sprintf("%d rows", rows)
		}
	}
	user, host := archivetest.UserName(fleet.Users/2), archivetest.HostName(fleet.Hosts/2)
	timed("ls, the newest 100", list(Query{}, 100))
	timed("ls -user -host", list(Query{User: manifest.Account(user), Host: host}, 0))
	timed("ls -user", list(Query{User: manifest.Account(user)}, 0))
	timed("ls -login -since 7 days", list(Query{Login: manifest.NewPerson(strings.ToUpper(user+"-gh"), 0), Since: last.AddDate(0, 0, -7)}, 0))
	timed("ls -host -since -until, one day", list(Query{Host: host, Since: last.AddDate(0, 0, -2), Until: last.AddDate(0, 0, -1)}, 0))
	timed("ls ID", list(Query{ID: fleet.Recording(0, 0, 0, 1).ID()}, 0))
	search := func(want int, f Query, words ...string) func() string {
		return func() string {
			found, hits := 0, 0
			for r, err := range ix.Search(words, f, 100) {
				if err != nil {
					t.Fatal(err)
				}
				found++
				hits += len(r.Hits)
			}
			if found < want {
				t.Errorf("search %q: %d recordings, want %d", words, found, want)
			}
			return fmt.Sprintf("%d recordings, %d lines", found, hits)
		}
	}
	timed("search, a word of one recording", search(1, Query{}, fmt.Sprintf("needle%07d", fleet.Size()/2)))
	timed("search, a word of nearly all", search(20, Query{}, "word0"))
	timed("search, two common words", search(1, Query{}, "word1", "command7"))
	timed("search, a beginning", search(1, Query{}, "needle00001*"))
	timed("search, a phrase", search(0, Query{}, "word0 word1"))
	timed("search -user -host, a common word", search(1, Query{User: manifest.Account(user), Host: host}, "word0"))
	timed("search -since -until, a common word", search(0, Query{Since: last.AddDate(0, 0, -2), Until: last.AddDate(0, 0, -1)}, "word0"))
	timed("search, a word that nobody saw", search(0, Query{}, "nowhere"))
	archivetest.Measured(t, "all of this", time.Since(began), archivetest.PeakMemory(t))
}
