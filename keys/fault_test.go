// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"castgate/keys/githubtest"

	"castgate/keys/known"
)

// fault answers every request whose path contains part.
func fault(part string, answer http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		answer(w, r)
		return true
	}
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprint(w, `{"message":"as told"}`)
	}
}

func body(kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		fmt.Fprint(w, text)
	}
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func drip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	for r.Context().Err() == nil {
		_, _ = w.Write([]byte(" "))
		_ = http.NewResponseController(w).Flush()
		time.Sleep(5 * time.Millisecond)
	}
}

func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1000")
	fmt.Fprint(w, `[{"login":"OctoCat",`)
}

// endless is a list whose every page has a next one.
func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=2>; rel="next"`, r.Host, r.URL.Path))
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, "[]")
}

var inAnHour = fmt.Sprint(time.Now().Add(time.Hour).Unix())

// TestFaultsLeaveTheCache is the table of error classes: whatever GitHub
// answers that is no answer, a member whose record is stored still gets in, up
// to max_stale; nobody else does; and the record is not touched.
func TestFaultsLeaveTheCache(t *testing.T) {
	for _, tt := range []struct {
		name   string
		part   string // of the paths that fail
		answer http.HandlerFunc
		class  known.Class // of the fault for somebody with nothing stored
	}{
		{"401", "", status(401), known.BadToken},
		{"403 rate limit", "", status(403, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", inAnHour), known.Limited},
		{"403 secondary limit", "", status(403, "Retry-After", "60"), known.Limited},
		{"403 SAML", "", status(403, "X-GitHub-SSO", "required"), known.Forbidden},
		{"403 secondary limit, told in words", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(403)
			fmt.Fprint(w, `{"message":"You have exceeded a secondary rate limit","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`)
		}, known.Limited},
		{"429 rate limit", "", status(429, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", inAnHour), known.Limited},
		{"429 retry", "", status(429, "Retry-After", "60"), known.Limited},
		{"429 bare", "", status(429), known.Limited},
		{"404 on the organisation", "/orgs/", status(404), known.Missing},
		{"404 on the team", "/teams/", status(404), known.Missing},
		{"404 on the team's list", "/members", status(404), known.Missing},
		{"404 on the login", "/users/", status(404), known.Missing},
		{"410", "", status(410), known.Missing},
		{"500", "", status(500), known.Broken},
		{"502", "", status(502), known.Broken},
		{"503 retry", "", status(503, "Retry-After", "60"), known.Broken},
		{"202", "", status(202), known.Broken},
		{"HTML", "", body("text/html", "<html>captive portal</html>"), known.Broken},
		{"HTML that says it is JSON", "", body("application/json", "<html></html>"), known.Broken},
		{"JSON that says it is HTML", "", body("text/html", "{}"), known.Broken},
		{"empty", "", body("application/json", ""), known.Broken},
		{"null", "", body("application/json", "null"), known.Broken},
		{"another shape", "", body("application/json", `{"state":{}}`), known.Broken},
		{"an unknown state", "/memberships/", body("application/json", `{"state":"superuser"}`), known.Broken},
		{"a user without an id", "/users/", body("application/json", `{"login":"OctoCat"}`), known.Broken},
		{"cut", "", cut, known.Broken},
		{"hang", "", hang, known.Broken},
		{"hang on the keys", "/keys", hang, known.Broken},
		{"slow drip", "", drip, known.Broken},
		{"reset", "", reset, known.Broken},
		{"keys cut", "/keys", cut, known.Broken},
		{"keys empty body", "/keys", body("application/json", ""), known.Broken},
		{"keys without end", "/keys", endless, known.Incomplete},
		{"elsewhere", "", status(301, "Location", "http://127.0.0.2/"), known.Broken},
		{"in a circle", "", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusMovedPermanently)
		}, known.Broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.conf.GitHub.Timeout = 300 * time.Millisecond
			w.allows("octocat", "OctoCat")
			before := w.read("people/octocat")
			w.github.Break(fault(tt.part, tt.answer))

			if d := w.allows("octocat", "OctoCat"); d.Source != "cache" {
				t.Errorf("fresh: answered from %q", d.Source)
			}
			w.later(6 * time.Minute)
			if tt.part == "/members" { // the list is asked for only after a 404
				w.github.Break(fault("/mem", tt.answer))
			}
			if d := w.allows("octocat", "OctoCat"); d.Source != "stale" {
				t.Errorf("expired: answered from %q", d.Source)
			}
			if after := w.read("people/octocat"); after != before {
				t.Errorf("the record changed from %s to %s", before, after)
			}
			w.later(2 * time.Minute) // no rest any more
			w.failsAs("alice", "alice-gh", tt.class)
			w.later(24 * time.Hour)
			w.failsAs("octocat", "OctoCat", "")
			w.github.Break(nil)
			w.later(time.Hour)
			w.allows("octocat", "OctoCat")
			w.allows("alice", "alice-gh")
		})
	}
}

func (w *world) read(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(w.conf.Cache.Dir + "/" + name)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// failsAs wants a fault: of the class, or "" for any.
func (w *world) failsAs(account, keyOf string, class known.Class) {
	w.t.Helper()
	d, err := w.decide(account, keyOf)
	var f *known.Fault
	if !errors.As(err, &f) || class != "" && f.Class != class || d.Allowed() {
		w.t.Fatalf("account %q: want a fault %q, got %v %v", account, class, err, d.Lines)
	}
}

func TestA304ThatNobodyAskedForIsNoAnswer(t *testing.T) {
	w := newWorld(t)
	w.github.Break(fault("", status(304)))
	w.failsAs("octocat", "OctoCat", known.Broken)
}

func TestTLSFailureLeavesTheCache(t *testing.T) {
	w := newWorld(t)
	srv := httptest.NewUnstartedServer(w.github)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	w.conf.GitHub.URL = srv.URL
	w.conf.GitHub.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	w.write(w.conf.GitHub.CAFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	w.allows("octocat", "OctoCat")
	w.conf.GitHub.CAFile = "" // the system's authorities know nothing of it
	w.later(6 * time.Minute)
	if d := w.allows("octocat", "OctoCat"); d.Source != "stale" {
		t.Errorf("answered from %q", d.Source)
	}
	w.later(2 * time.Minute)
	w.failsAs("alice", "alice-gh", known.Broken)
}

// TestAnotherGitHub: what one said is not what another says.
func TestAnotherGitHub(t *testing.T) {
	w := newWorld(t)
	w.allows("octocat", "OctoCat")
	w.allows("deploy", "bob")
	first := w.conf.GitHub.URL
	other := newWorld(t)
	other.change(func(s *githubtest.State) {
		for _, m := range s.Teams["developers"].Members {
			u := s.Users[m.Login]
			u.ID += 1000
			s.Users[m.Login] = u
		}
	})
	w.conf.GitHub.URL = other.conf.GitHub.URL
	if d := w.allows("octocat", "OctoCat"); d.Source != "github" || d.ID != 584231 {
		t.Errorf("answered from %q with id %d", d.Source, d.ID)
	}
	w.conf.GitHub.URL = first + "/wrong/"
	if d := w.allows("octocat", "OctoCat"); d.Source != "stale" {
		t.Errorf("a slip in the URL: answered from %q", d.Source)
	}
	if d := w.allows("deploy", "bob"); d.Source != "stale" {
		t.Errorf("a slip in the URL: answered from %q", d.Source)
	}
	w.conf.GitHub.URL, w.conf.GitHub.Org = first, "umbrella"
	w.later(2 * time.Minute)
	w.failsAs("octocat", "OctoCat", known.Missing)
	w.failsAs("deploy", "bob", known.Missing)
}

// TestAuthority: what GitHub does say changes the cache at once.
func TestAuthority(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*githubtest.State)
		why    string
	}{
		{"left the team", leave("developers", "OctoCat"), "not a member"},
		{"is asked to join again", func(s *githubtest.State) {
			leave("developers", "OctoCat")(s)
			enrol(s, "developers", githubtest.Member{Login: "OctoCat", ID: 583231, State: "pending"})
		}, "has not accepted"},
		{"took the keys away", func(s *githubtest.State) {
			s.Users["OctoCat"] = githubtest.User{ID: 583231}
		}, "has no keys"},
		{"has another key", func(s *githubtest.State) {
			s.Users["OctoCat"] = githubtest.User{ID: 583231, Keys: []string{testKey("new")}}
		}, "no such key"},
		{"is another person", func(s *githubtest.State) {
			leave("developers", "OctoCat")(s)
			enrol(s, "developers", githubtest.Member{Login: "OctoCat", ID: 999})
			s.Users["OctoCat"] = githubtest.User{ID: 999, Keys: []string{testKey("OctoCat")}}
		}, "another person"},
		{"is suspended", func(s *githubtest.State) {
			u := s.Users["OctoCat"]
			u.Suspended = true
			s.Users["OctoCat"] = u
		}, "suspended"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.allows("octocat", "OctoCat")
			w.change(tt.change)
			w.allows("octocat", "OctoCat") // fresh
			w.later(6 * time.Minute)
			w.refuses("octocat", "OctoCat", tt.why)
			w.github.Break(fault("", status(500)))
			w.later(2 * time.Minute)
			if d, err := w.decide("octocat", "OctoCat"); d.Allowed() {
				t.Errorf("a refusal was forgotten when GitHub broke: %v %v", d.Why, err)
			}
		})
	}
}

func leave(slug, login string) func(*githubtest.State) {
	return func(s *githubtest.State) {
		tm := s.Teams[slug]
		var rest []githubtest.Member
		for _, m := range tm.Members {
			if m.Login != login {
				rest = append(rest, m)
			}
		}
		tm.Members = rest
		s.Teams[slug] = tm
	}
}

func enrol(s *githubtest.State, slug string, m githubtest.Member) {
	tm := s.Teams[slug]
	tm.Members = append(tm.Members, m)
	s.Teams[slug] = tm
}
