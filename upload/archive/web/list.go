// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"net/http"
	"net/url"
	"time"

	"castgate/upload/archive"
	"castgate/upload/manifest"
)

// pageSize is how many recordings a page lists.
const pageSize = 50

// fields are the filters of the list, in the URL: a search is a link.
var fields = []string{"user", "login", "host", "client", "kind", "state", "since", "until"}

// label is what a filter is called on the page.
func label(field string) string {
	if name, ok := map[string]string{"user": "account", "since": "from", "until": "to"}[field]; ok {
		return name
	}
	return field
}

type listData struct {
	page
	Note    string // what is not among the rows, and why
	Filter  map[string]string
	Any     bool // a filter is set
	Wrong   string
	Rows    []Recording
	Next    string // the next page's address
	First   string // the first page's, when this is another
	Kinds   []string
	States  []manifest.State
	Removed map[string]string // each set filter's "without it" address
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	q, wrong := query(r)
	if !s.note(w, r, Event{What: "list", Detail: filters(r).Encode()}) {
		return
	}
	q.Limit = pageSize + 1 // one more tells whether there is a next page
	rows, err := s.archive.List(r.Context(), q)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	data := &listData{
		page: page{Title: "Recordings"}, Filter: map[string]string{}, Wrong: wrong, Rows: rows, Removed: map[string]string{},
		Kinds:  []string{"shell", "command", "transfer", "subsystem"},
		States: []manifest.State{manifest.StateLive, manifest.StateWaiting, manifest.StateDelivered, manifest.StateInterrupted, manifest.StateSealed},
	}
	set := filters(r)
	if data.Note, err = s.leftOut(r.Context(), who(r), len(set) == 0 && q.Before == ""); err != nil {
		s.fail(w, r, err)
		return
	}
	for _, f := range fields {
		if data.Filter[f] = set.Get(f); data.Filter[f] != "" {
			data.Any, data.Removed[f] = true, without(set, f)
		}
	}
	if q.Before != "" {
		data.First = "/?" + set.Encode()
	}
	if len(rows) > pageSize {
		data.Rows = rows[:pageSize]
		set.Set("before", data.Rows[pageSize-1].Name())
		data.Next = "/?" + set.Encode()
	}
	for i := range data.Rows {
		data.Rows[i].Verified = s.proven.has(data.Rows[i])
	}
	s.render(w, r, http.StatusOK, "list", data)
}

// filters returns the filters that are set, and nothing else of the URL.
func filters(r *http.Request) url.Values {
	set := url.Values{}
	for _, f := range fields {
		if v := r.URL.Query().Get(f); v != "" {
			set.Set(f, v)
		}
	}
	return set
}

func without(set url.Values, field string) string {
	rest := url.Values{}
	for k, v := range set {
		if k != field {
			rest[k] = v
		}
	}
	return "/?" + rest.Encode()
}

// query reads the filters. A day is one of UTC; until includes its day.
func query(r *http.Request) (q Query, wrong string) {
	v := r.URL.Query()
	q = Query{Scope: who(r).Scope, Before: v.Get("before"), Query: archive.Query{
		User: manifest.Account(v.Get("user")), Host: v.Get("host"), Client: v.Get("client"), Kind: v.Get("kind"), State: manifest.State(v.Get("state")),
	}}
	if login := v.Get("login"); login != "" {
		var err error
		if q.Login, err = manifest.ParsePerson(login); err != nil {
			q.Login, wrong = manifest.NewPerson(login, 0), "A GitHub login has letters, digits and hyphens, and may be followed by a colon and the person's id."
		}
	}
	for field, at := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if v.Get(field) == "" {
			continue
		}
		t, err := time.Parse(time.DateOnly, v.Get(field))
		if err != nil {
			wrong = "A day is written as in 2026-11-21."
			continue
		}
		if *at = t; field == "until" {
			*at = t.AddDate(0, 0, 1)
		}
	}
	return q, wrong
}

type searchData struct {
	page
	Words string
	Hits  []hitGroup
	Count int
	Full  bool // there may be more

	Visible bool // what was hidden is left out
}

// hitGroup is the hits within one recording.
type hitGroup struct {
	Recording Recording
	Hits      []Hit
}

// maxHits is how many hits a page shows.
const maxHits = 200

func (s *Server) search(w http.ResponseWriter, r *http.Request) {
	words := r.URL.Query().Get("q")
	data := &searchData{page: page{Title: "Search"}, Words: words, Visible: r.URL.Query().Get("visible") != ""}
	if words != "" {
		if !s.note(w, r, Event{What: "search", Detail: words}) {
			return
		}
		q, _ := query(r)
		q.Limit, q.Visible = maxHits, data.Visible
		hits, err := s.archive.Search(r.Context(), words, q)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		data.Count, data.Full = len(hits), len(hits) >= maxHits
		data.Hits = group(hits)
	}
	s.render(w, r, http.StatusOK, "search", data)
}

func group(hits []Hit) (groups []hitGroup) {
	at := map[string]int{}
	for _, h := range hits {
		i, seen := at[h.Recording.Name()]
		if !seen {
			i = len(groups)
			at[h.Recording.Name()] = i
			groups = append(groups, hitGroup{Recording: h.Recording})
		}
		groups[i].Hits = append(groups[i].Hits, h)
	}
	return groups
}
