// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"testing"
	"time"

	"castgate/upload/archive"
	"castgate/wrap/asciicast"
)

// TestLiveRecordingsTakeNobodysPlace has hosts stream more recordings than a
// page has rows, with starts of their own choice: whoever turns the pages sees
// each recording once.
func TestLiveRecordingsTakeNobodysPlace(t *testing.T) {
	for name, starts := range map[string]func(i int) time.Time{
		"long ago":    func(i int) time.Time { return time.Unix(int64(1000+i), 0) },
		"just now":    func(i int) time.Time { return sampleStart.AddDate(0, 0, 3).Add(time.Duration(i) * time.Minute) },
		"all at once": func(int) time.Time { return sampleStart },
		"to come":     func(i int) time.Time { return time.Date(9999, 1, 1, 0, 0, i, 0, time.UTC) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSample(t)
			const kept, live = 7, 13
			for range kept {
				s.keep(s.take("bob", "web1", "bob-gh").typed("x", "y\n").end(0))
			}
			for i := range live {
				k := s.take("zz", "evil", "")
				k.header.Timestamp, k.header.Session.ID = starts(i).Unix(), asciicast.NewID(starts(i))
				s.live(k)
			}
			for name, a := range s.archives() {
				seen := map[string]int{}
				for before := ""; ; {
					rows, err := a.List(t.Context(), Query{Scope: archive.Everything(), Limit: 5, Before: before})
					if err != nil {
						t.Fatal(name, err)
					}
					if len(rows) == 0 {
						break
					}
					for _, r := range rows {
						seen[r.Name()]++
					}
					before = rows[len(rows)-1].Name()
					if len(seen) > kept+live || seen[before] > 1 {
						t.Fatalf("%s: %s again", name, before)
					}
				}
				if len(seen) != kept+live {
					t.Errorf("%s: %d of %d seen", name, len(seen), kept+live)
				}
			}
		})
	}
}
