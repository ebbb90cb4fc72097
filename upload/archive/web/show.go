// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

type showData struct {
	page
	Recording Recording
	At        string // seconds, from ?t=; "" without
	Watched   []visit
}

// Duration is the manifest's, as a time.Duration.
func (d *showData) Duration() time.Duration { return time.Duration(d.Recording.Manifest.Duration) }

func (s *Server) show(w http.ResponseWriter, r *http.Request) {
	rec, ok := s.recording(w, r)
	if !ok {
		return
	}
	at, detail := "", ""
	if t := r.URL.Query().Get("t"); t != "" {
		at = moment(t, rec)
		detail = "at " + at + " s"
	}
	if !s.noteLook(w, r, "view", rec, detail) {
		return
	}
	watched, err := s.audit.Watched(rec)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	m := rec.Manifest
	s.render(w, r, http.StatusOK, "show", &showData{
		page:      page{Title: m.Session.User + " on " + rec.Host + ", " + m.Start.Format("2006-01-02 15:04")},
		Recording: rec, At: at, Watched: visits(watched),
	})
}

var clockTime = regexp.MustCompile(`^(?:(\d{1,6}):)?(?:(\d{1,6}):)?(\d{1,9}(?:\.\d{1,6})?)$`)

// moment reads ?t=: seconds, m:ss or h:mm:ss. What is neither is the start, and
// what is beyond the end of a recording that has one is the end.
func moment(s string, rec Recording) string {
	m := clockTime.FindStringSubmatch(strings.TrimSuffix(s, "s"))
	if m == nil {
		return "0"
	}
	sec, _ := strconv.ParseFloat(m[3], 64)
	a, _ := strconv.Atoi(m[1])
	b, _ := strconv.Atoi(m[2])
	if m[2] != "" {
		a, b = a*60+b, 0
	}
	if sec += float64(a+b) * 60; !rec.Arriving() {
		sec = min(sec, time.Duration(rec.Manifest.Duration).Seconds())
	}
	return trimZeros(strconv.FormatFloat(sec, 'f', 3, 64))
}

// verify checks a recording and answers with the proof as JSON. It shows
// nothing of what is recorded and so is no audit event.
func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	rec, ok := s.recording(w, r)
	if !ok {
		return
	}
	proof, err := s.archive.Verify(r.Context(), rec)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.proven.set(rec, proof.OK && proof.Signed)
	type item struct {
		Name string `json:"name"`
		OK   bool   `json:"ok"`
		Text string `json:"text"`
	}
	answer := struct {
		OK     bool `json:"ok"`
		Signed bool `json:"signed"`
		// Claimed: nothing else is wrong than that another has its id.
		Claimed bool   `json:"claimed,omitempty"`
		Items   []item `json:"items"`
	}{OK: proof.OK, Signed: proof.Signed, Claimed: proof.claimedOnly()}
	for _, c := range proof.Items {
		answer.Items = append(answer.Items, item(c))
	}
	writeJSON(w, answer)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the browser may have gone
}
