// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"castgate/upload/archive"
)

// The table "who sees what": of these sessions, each viewer sees those that are
// listed beside them, by whatever address, and nothing of the others.
var sessionsOfTable = []struct {
	name, account, login string
	id                   int64
	live                 bool
}{
	{"renamed", "alice", "AliceGH", 11, false},   // an account with another name than the person's
	{"shared", "deploy", "octocat", 22, false},   // an account of several people
	{"hookless", "deploy", "", 0, false},         // the session hook was off
	{"hookless own", "octocat", "", 0, false},    // the same, on an account named like a login
	{"namesake", "alicegh", "bob-gh", 33, false}, // an account named like somebody else's login
	{"person", "web", "deploy", 44, false},       // a person named like an account
	{"former", "ops", "octo-before", 22, false},  // octocat, before the login was changed
	{"taken", "ops", "retaken", 55, false},       // who has this login now is another
	{"no id", "deploy", "Octocat", 0, false},     // by a recorder that told no id
	{"odd", "ops", "\u017fteve", 0, false},       // folds to steve
	{"live", "alice", "alicegh", 11, true},       // goes on
	{"live namesake", "octocat", "bob-gh", 33, true},
}

var everySession = func() (all []string) {
	for _, s := range sessionsOfTable {
		all = append(all, s.name)
	}
	return all
}()

type viewer struct {
	name string
	sees []string
}

var viewersByGitHub = []viewer{
	{"ann", everySession},                          // in a team of teams
	{"lea", []string{"shared", "former", "no id"}}, // leads octocat's team
	{"octocat", []string{"shared", "former", "no id"}},
	{"alicegh", []string{"renamed", "live"}},
	{"alice", nil},
	{"deploy", []string{"person"}},
	{"bob-gh", []string{"namesake", "live namesake"}},
	{"octo-before", nil}, // who took the login that octocat gave up
	{"retaken", nil},
	{"steve", nil},
}

var viewersByHeader = []viewer{
	{"Ann", everySession},
	{"alicegh", []string{"renamed", "live"}},
	{"ALICEGH", []string{"renamed", "live"}},
	{"alice", nil},
	{"deploy", []string{"person"}},
	{"octocat", []string{"shared", "no id"}}, // no id is known: what the login did
	{"retaken", []string{"taken"}},
	{"octocat@example.org", nil},
	{"steve", nil},
	{"\u017fteve", nil},
	{"octocat:22", nil}, // an id is the administrator's to give
}

// The proxy knows mail addresses, and archive.yaml whose they are.
var viewersByPeople = []viewer{
	{"ann@example.org", everySession},
	{"Octocat@Example.org", []string{"shared", "former", "no id"}},
	{"retaken@example.org", nil},
	{"octocat", nil}, // a name that somebody chose at the proxy
	{"deploy", nil},
}

var viewersByToken = []viewer{
	{"local", everySession},
	{"audit", everySession},
	{"octocat:22", []string{"shared", "former", "no id"}},
	{"alice", nil},
	{"alicegh", []string{"renamed", "live"}},
	{"deploy", []string{"person"}},
}

// table is a store with the sessions.
func table(t *testing.T) (s *sample, ids map[string]string) {
	t.Helper()
	s, ids = newSample(t), map[string]string{}
	for _, row := range sessionsOfTable {
		k := s.take(row.account, "web1", row.login)
		k.header.Session.LoginID = row.id
		k.typed("echo", wordOf(row.name)+"\n")
		ids[row.name] = k.header.Session.ID
		if row.live {
			s.live(k)
		} else {
			s.keep(k.end(0))
		}
	}
	s.now = sampleStart.AddDate(0, 0, 2)
	return s, ids
}

func wordOf(name string) string { return "word" + strings.ReplaceAll(name, " ", "") }

func TestWhoSeesWhat(t *testing.T) {
	s, ids := table(t)
	t.Run("GitHub", func(t *testing.T) {
		g := newFakeGitHub(t)
		g.ids = map[string]int64{"alicegh": 11, "octocat": 22, "bob-gh": 33, "deploy": 44, "retaken": 66, "octo-before": 77}
		g.member = map[string]string{
			"/orgs/acme/teams/security/memberships/ann": "active",
			"/orgs/acme/teams/leads/memberships/lea":    "active",
			"/user/memberships/orgs/acme":               "active",
		}
		gh, err := NewGitHub(GitHub{Org: "acme", Teams: []string{"security"}, Leads: map[string]string{"leads": "developers"}, Own: true, ClientID: "client", Secret: "secret"}, g.URL)
		if err != nil {
			t.Fatal(err)
		}
		srv := s.page(Auth{GitHub: gh})
		for _, who := range viewersByGitHub {
			v := newVisitor(t, srv)
			if resp, text := g.come(t, v, who.name); resp.StatusCode != http.StatusSeeOther {
				t.Fatalf("%s: %s %s", who.name, resp.Status, text)
			}
			s.checkSees(t, v, who, ids)
		}
	})
	for name, cfg := range map[string]struct {
		archive.HeaderAuditors
		viewers []viewer
	}{
		"header": {archive.HeaderAuditors{Auditors: []string{"ann"}}, viewersByHeader},
		"header, with people": {archive.HeaderAuditors{
			Auditors: []string{"ann@example.org"},
			People:   map[string]string{"octocat@example.org": "octocat:22", "retaken@example.org": "retaken:66"},
		}, viewersByPeople},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Name, cfg.From = "X-Remote-User", []string{"127.0.0.1"}
			h, err := NewHeader(&cfg.HeaderAuditors)
			if err != nil {
				t.Fatal(err)
			}
			srv := s.page(Auth{Header: h})
			for _, who := range cfg.viewers {
				v := newVisitor(t, srv)
				v.always = []string{"X-Remote-User", who.name}
				s.checkSees(t, v, who, ids)
			}
		})
	}
	t.Run("token", func(t *testing.T) {
		token := func(name string) string { return "token-of-this-test-" + strings.NewReplacer(":", "-").Replace(name) }
		file := token("local") + "\naudit " + token("audit") + "\n"
		for _, who := range viewersByToken[2:] {
			file += who.name + " " + token(who.name) + " own\n"
		}
		srv := s.page(tokenAuth(t, file))
		for _, who := range viewersByToken {
			s.checkSees(t, newVisitor(t, srv).signIn(token(who.name)), who, ids)
		}
	})
}

// checkSees asks for every session in every way there is.
func (s *sample) checkSees(t *testing.T, v *visitor, who viewer, ids map[string]string) {
	t.Helper()
	before := len(s.auditLog())
	lists := map[string]string{}
	for _, p := range []string{"/", "/?user=deploy", "/?user=octocat", "/?login=octocat", "/?login=octocat:22", "/?login=bob-gh", "/?state=live"} {
		_, lists[p] = v.get(p)
	}
	var seen []string
	for _, row := range sessionsOfTable {
		id, sees := ids[row.name], slices.Contains(who.sees, row.name)
		if sees {
			seen = append(seen, id)
		}
		if strings.Contains(lists["/"], id) != sees {
			t.Errorf("%s, %q: in the list %v", who.name, row.name, !sees)
		}
		for p, list := range lists {
			if strings.Contains(list, id) && !sees {
				t.Errorf("%s, %q: is in %s", who.name, row.name, p)
			}
		}
		_, found := v.get("/search?q=" + wordOf(row.name))
		if strings.Contains(found, id) != (sees && !row.live) || strings.Contains(found, "1 line in 1 recording") != (sees && !row.live) {
			t.Errorf("%s, %q: found %v", who.name, row.name, !sees)
		}
		for _, p := range addresses(row.live) {
			if status := v.status("/r/" + id + p); (status == http.StatusOK) != sees || !sees && status != http.StatusNotFound {
				t.Errorf("%s, %q: %s answers %d", who.name, row.name, p, status)
			}
		}
		if status, _ := v.get("/?before=" + id); (status == http.StatusOK) != sees {
			t.Errorf("%s, %q: older ones than it: %d", who.name, row.name, status)
		}
	}
	for line := range strings.Lines(s.auditLog()[before:]) {
		var ev Event
		if err := json.Unmarshal([]byte(line), &ev); err != nil || ev.ID != "" && !slices.Contains(seen, ev.ID) {
			t.Errorf("%s: audit log: %v %s", who.name, err, line)
		}
	}
}

// addresses are what there is of a recording, below its own.
func addresses(live bool) []string {
	all := []string{"", "?t=1", "/cast", "/live", "/download/cast", "/download/txt"}
	if HasPlayer() {
		all = append(all, "/download/html")
	}
	if !live {
		all = append(all, "/play/index.json", "/play/outline.json", "/play/s0.json", "/verify", "/download/stored", "/download/json", "/download/sig")
	}
	return all
}

// status asks without waiting for the end of the answer.
func (v *visitor) status(path string) int {
	v.t.Helper()
	r, err := http.NewRequest(http.MethodGet, v.base+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	for i := 0; i < len(v.always); i += 2 {
		r.Header.Set(v.always[i], v.always[i+1])
	}
	resp, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestPageSaysWhatIsLeftOut: nobody must take a list for all there is.
func TestPageSaysWhatIsLeftOut(t *testing.T) {
	s, ids := table(t)
	h, err := NewHeader(&archive.HeaderAuditors{Name: "X-Remote-User", From: []string{"127.0.0.1"}, Auditors: []string{"ann"}})
	if err != nil {
		t.Fatal(err)
	}
	srv := s.page(Auth{Header: h})
	note := func(srv *httptest.Server, who, path string) string {
		v := newVisitor(t, srv)
		v.always = []string{"X-Remote-User", who}
		_, text := v.get(path)
		_, text, _ = strings.Cut(text, `<p class="muted note">`)
		text, _, _ = strings.Cut(text, "</p>")
		return text
	}
	for who, want := range map[string]string{
		"ann":               "2 recordings of the last 30 days name no person, on web1: ",
		"octocat":           "You see the sessions whose recordings name @octocat as the person. A recording names the person only where its host has the session hook on",
		"nobody":            "@nobody as the person",
		"ann@example.org":   "“ann@example.org” is not known to be one",
		"<i>\u202e@example": "“&lt;i&gt;\ufffd@example”",
	} {
		if got := note(srv, who, "/"); !strings.Contains(got, want) {
			t.Errorf("%s: %q", who, got)
		}
	}
	if got := note(srv, "octocat", "/?host=nowhere"); !strings.Contains(got, "session hook") {
		t.Errorf("an empty list doesn't say why: %q", got)
	}
	if got := note(srv, "octocat", "/"); strings.Contains(got, "web1") {
		t.Errorf("octocat is told of hosts: %q", got)
	}
	if got := note(srv, "ann", "/?user="+url.QueryEscape("deploy")); got != "" {
		t.Errorf("told with every filter: %q", got)
	}
	s.now = sampleStart.Add(40 * 24 * time.Hour)
	if got := note(s.page(Auth{Header: h}), "ann", "/"); got != "" {
		t.Errorf("told for ever: %q", got)
	}
	for name, want := range map[string]string{"hookless": "not known: the recording names no person", "shared": "(<a href=\"/?login=octocat:22\""} {
		v := newVisitor(t, srv)
		v.always = []string{"X-Remote-User", "ann"}
		if _, text := v.get("/r/" + ids[name]); !strings.Contains(text, want) {
			t.Errorf("the page of %q doesn't say %q", name, want)
		}
	}
}

// TestAuditNamesThePerson: the log tells who looked by what stays theirs.
func TestAuditNamesThePerson(t *testing.T) {
	s, ids := table(t)
	v := newVisitor(t, s.page(tokenAuth(t, "octocat:22 a-token-of-this-test own\naudit another-of-this-test"))).signIn("a-token-of-this-test")
	v.get("/r/" + ids["former"])
	if log := s.auditLog(); strings.Count(log, `"login":"octocat","login_id":22`) != 2 || strings.Contains(log, "octo-before") {
		t.Errorf("audit log: %s", log)
	}
	newVisitor(t, s.page(tokenAuth(t, "audit another-of-this-test"))).signIn("another-of-this-test")
	if log := s.auditLog(); strings.Count(log, `"login"`) != 2 {
		t.Errorf("a token's name is taken for a login: %s", log)
	}
}
