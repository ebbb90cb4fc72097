// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"castgate/upload/archive"
	"castgate/upload/manifest"
)

// TestEveryListAnswersAlike asks each way to list or search the same: what ls and
// search find, the page finds, over midnight and by every name of a host.
func TestEveryListAnswersAlike(t *testing.T) {
	s := newSample(t)
	midnight := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	at := func(k *take, start time.Time) *take {
		k.header.Timestamp = start.Unix()
		return k.show(time.Second, "needle\r\n")
	}
	ids := map[string]string{ // id -> what it is called here
		s.keep(at(s.take("bob", "web1", "bob-gh"), midnight.Add(-2*time.Hour)).end(0)):                                     "evening",
		s.keep(at(s.take("bob", "web1", "bob-gh"), midnight.Add(-10*time.Minute)).show(30*time.Minute, "late\r\n").end(1)): "over midnight",
		s.keep(at(s.take("eve", "web2", "eve-gh"), midnight.Add(2*time.Hour))):                                             "certified",
		s.keep(at(s.take("eve", "web3.example.org", "eve-gh"), midnight.Add(3*time.Hour)).end(0)):                          "named in full",
	}
	// As where the host's certificate has its full name, and its header the short one.
	if err := os.Rename(filepath.Join(s.dir, "eve/web2"), filepath.Join(s.dir, "eve/web2.example.org")); err != nil {
		t.Fatal(err)
	}
	pages := s.archives()
	x := pages["indexed"].(*Indexed)
	ways := map[string]func(q Query) ([]string, error){
		"ls": func(q Query) ([]string, error) { return rowIDs(&archive.Listing{Store: x.Store}, q.query()) },
		"ls, by index": func(q Query) ([]string, error) {
			return rowIDs(&archive.Listing{Store: x.Store, Index: x.Index}, q.query())
		},
		"castgate search": func(q Query) (got []string, err error) {
			for f, err := range x.Index.Search([]string{"needle"}, q.query(), 0) {
				if err != nil {
					return nil, err
				}
				got = append(got, f.ID)
			}
			return got, nil
		},
	}
	for name, a := range pages {
		ways["page, "+name] = func(q Query) (got []string, err error) {
			rows, err := a.List(t.Context(), q)
			for _, r := range rows {
				got = append(got, r.ID())
			}
			return got, err
		}
		ways["page's search, "+name] = func(q Query) (got []string, err error) {
			hits, err := a.Search(t.Context(), "needle", q)
			for _, h := range hits {
				got = append(got, h.Recording.ID())
			}
			return got, err
		}
	}
	all := []string{"certified", "evening", "named in full", "over midnight"}
	for what, tt := range map[string]struct {
		q    archive.Query
		want []string
	}{
		"all":                   {archive.Query{}, all},
		"since midnight":        {archive.Query{Since: midnight}, []string{"certified", "named in full", "over midnight"}},
		"until midnight":        {archive.Query{Until: midnight}, []string{"evening", "over midnight"}},
		"the day before":        {archive.Query{Since: midnight.AddDate(0, 0, -1), Until: midnight}, []string{"evening", "over midnight"}},
		"since it had ended":    {archive.Query{Since: midnight.Add(time.Hour)}, []string{"certified", "named in full"}},
		"header's host":         {archive.Query{Host: "web2"}, []string{"certified"}},
		"certificate's host":    {archive.Query{Host: "web2.example.org"}, []string{"certified"}},
		"both are one":          {archive.Query{Host: "web1"}, []string{"evening", "over midnight"}},
		"full name":             {archive.Query{Host: "web3.example.org"}, []string{"named in full"}},
		"another domain's":      {archive.Query{Host: "web1.example.org"}, nil},
		"directory":             {archive.Query{Dir: "web2.example.org"}, []string{"certified"}},
		"host and time":         {archive.Query{Host: "web2.example.org", Since: midnight, Until: midnight.Add(3 * time.Hour)}, []string{"certified"}},
		"client":                {archive.Query{Client: "192.0.2.7"}, all},
		"the start of a client": {archive.Query{Client: "192.0.2"}, nil},
		"kind":                  {archive.Query{Kind: "shell"}, all},
		"another kind":          {archive.Query{Kind: "transfer"}, nil},
		"delivered":             {archive.Query{State: manifest.StateDelivered}, []string{"evening", "named in full", "over midnight"}},
		"interrupted":           {archive.Query{State: manifest.StateInterrupted}, []string{"certified"}},
		"sealed":                {archive.Query{State: manifest.StateSealed}, nil},
		"live":                  {archive.Query{State: manifest.StateLive}, nil},
		"person":                {archive.Query{Login: manifest.NewPerson("eve-gh", 0), Host: "web2.example.org"}, []string{"certified"}},
	} {
		for way, ask := range ways {
			got, err := ask(Query{Query: tt.q, Scope: archive.Everything(), Limit: 100})
			if err != nil {
				t.Errorf("%s, %s: %v", what, way, err)
			}
			for i := range got {
				got[i] = ids[got[i]]
			}
			if slices.Sort(got); !slices.Equal(got, tt.want) {
				t.Errorf("%s, %s: %q, want %q", what, way, got, tt.want)
			}
		}
	}
}

func rowIDs(l *archive.Listing, q archive.Query) (got []string, err error) {
	for r, err := range l.List(q) {
		if err != nil {
			return nil, err
		}
		got = append(got, r.ID)
	}
	return got, nil
}
