// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// fakeGitHub is a strict stand-in for GitHub Enterprise: what the page doesn't
// need is an error, and so is a request that isn't exactly as documented.
type fakeGitHub struct {
	*httptest.Server
	t *testing.T

	mu     sync.Mutex
	login  string            // who is at GitHub's sign-in page
	member map[string]string // path of a membership -> state
	codes  map[string]string // code -> redirect_uri, each good once
	tokens map[string]string // token -> login
	ids    map[string]int64  // login in lower case -> numeric id
	broken bool
	refuse map[string]refusal // path of a membership -> what is answered for it
}

// refusal is an answer that is none.
type refusal struct {
	status  int
	header  [2]string
	message string
}

func newFakeGitHub(t *testing.T) *fakeGitHub {
	g := &fakeGitHub{t: t, member: map[string]string{}, codes: map[string]string{}, tokens: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login/oauth/authorize", g.authorize)
	mux.HandleFunc("POST /login/oauth/access_token", g.token)
	mux.HandleFunc("GET /api/v3/", g.api)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("GitHub is asked for %s %s", r.Method, r.URL)
		http.NotFound(w, r)
	})
	g.Server = httptest.NewServer(mux)
	t.Cleanup(g.Close)
	return g
}

func (g *fakeGitHub) authorize(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := r.URL.Query()
	if q.Get("client_id") != "client" || q.Get("scope") != "read:org" || len(q.Get("state")) < 20 {
		g.t.Errorf("authorize with %v", q)
	}
	code := fmt.Sprintf("code-%d", len(g.codes))
	g.codes[code] = q.Get("redirect_uri")
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (g *fakeGitHub) token(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	answer := map[string]string{"error": "bad_verification_code"} // with status 200, as GitHub does
	redirect, ok := g.codes[r.PostFormValue("code")]
	if ok && redirect == r.PostFormValue("redirect_uri") && r.PostFormValue("client_secret") == "secret" && r.Header.Get("Accept") == "application/json" {
		delete(g.codes, r.PostFormValue("code"))
		token := fmt.Sprintf("gho_%d", len(g.tokens))
		g.tokens[token] = g.login
		answer = map[string]string{"access_token": token, "token_type": "bearer", "scope": "read:org"}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (g *fakeGitHub) api(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	login, ok := g.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	switch path := strings.TrimPrefix(r.URL.Path, "/api/v3"); {
	case !ok:
		http.Error(w, "{}", http.StatusUnauthorized)
	case g.broken:
		http.Error(w, "<html>", http.StatusBadGateway)
	case path == "/user":
		_ = json.NewEncoder(w).Encode(map[string]any{"login": login, "id": g.idOf(login)})
	case path == "/orgs/acme/teams/developers/members":
		_ = json.NewEncoder(w).Encode([]map[string]any{{"login": "octocat", "id": g.idOf("octocat")}, {"login": "Alice-GH", "id": g.idOf("alice-gh")}})
	case g.refuse[path].status != 0:
		no := g.refuse[path]
		if no.header[0] != "" {
			w.Header().Set(no.header[0], no.header[1])
		}
		w.WriteHeader(no.status)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": no.message})
	default:
		state, ok := g.member[path]
		if !ok {
			http.Error(w, "{}", http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"state": state})
	}
}

// idOf is a login's numeric id: the one that it was given, or one of its own.
func (g *fakeGitHub) idOf(login string) int64 {
	if id := g.ids[strings.ToLower(login)]; id != 0 {
		return id
	}
	return int64(crc32.ChecksumIEEE([]byte(strings.ToLower(login)))) + 1
}

// come signs in at GitHub as login and returns where the page leads.
func (g *fakeGitHub) come(t *testing.T, v *visitor, login string) (*http.Response, string) {
	t.Helper()
	g.mu.Lock()
	g.login = login
	g.mu.Unlock()
	resp, _ := v.do(http.MethodGet, "/login/github?next=%2F%3Fhost%3Dweb1", "")
	r, err := v.http.Get(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	back, err := url.Parse(r.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return v.do(http.MethodGet, back.RequestURI(), "")
}

func TestGitHubSignIn(t *testing.T) {
	g := newFakeGitHub(t)
	gh, err := NewGitHub(GitHub{Org: "acme", Teams: []string{"security"}, Leads: map[string]string{"leads": "developers"}, Own: true, ClientID: "client", Secret: "secret\n"}, g.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := newSample(t)
	ids := s.fill()
	srv := s.page(Auth{GitHub: gh})
	g.member = map[string]string{
		"/orgs/acme/teams/security/memberships/ann":  "active",
		"/orgs/acme/teams/security/memberships/pete": "pending",
		"/orgs/acme/teams/leads/memberships/lea":     "active",
		"/user/memberships/orgs/acme":                "active", // GitHub answers for who asks
	}
	for _, tt := range []struct {
		login      string
		main, host bool // sees octocat's session, sees mallory's, who has no login
	}{
		{"ann", true, true}, {"lea", true, false}, {"octocat", true, false}, {"pete", false, false},
	} {
		v := newVisitor(t, srv)
		resp, text := g.come(t, v, tt.login)
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/?host=web1" {
			t.Errorf("%s: %s %s", tt.login, resp.Status, text)
			continue
		}
		for id, sees := range map[string]bool{ids["main"]: tt.main, ids["hostile"]: tt.host} {
			if status, _ := v.get("/r/" + id); (status == http.StatusOK) != sees {
				t.Errorf("%s: %d for %s", tt.login, status, id)
			}
		}
	}
	g.ids = map[string]int64{"ghost": -1}
	if resp, _ := g.come(t, newVisitor(t, srv), "ghost"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("somebody without an id: %s", resp.Status)
	}
	delete(g.member, "/user/memberships/orgs/acme")
	v := newVisitor(t, srv)
	if resp, text := g.come(t, v, "stranger"); resp.StatusCode != http.StatusForbidden || !strings.Contains(text, "stranger") {
		t.Errorf("a stranger: %s", resp.Status)
	}
	if status, _ := v.get("/"); status != http.StatusSeeOther {
		t.Errorf("a stranger sees the list: %d", status)
	}
	if !strings.Contains(s.auditLog(), `"who":"stranger","what":"sign-in refused"`) {
		t.Errorf("audit log: %s", s.auditLog())
	}
}

// Where GitHub can't be asked, nobody gets a role, and no smaller one either; the
// page says why, and the log has GitHub's words.
func TestGitHubThatRefusesIsNoNo(t *testing.T) {
	g := newFakeGitHub(t)
	gh, err := NewGitHub(GitHub{Org: "acme", Teams: []string{"security"}, Leads: map[string]string{"leads": "developers"}, Own: true, ClientID: "client", Secret: "secret"}, g.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := newSample(t)
	srv := s.page(Auth{GitHub: gh})
	const team, lead, org = "/orgs/acme/teams/security/memberships/ann", "/orgs/acme/teams/leads/memberships/ann", "/user/memberships/orgs/acme"
	g.member = map[string]string{lead: "active", org: "active"}
	for _, tt := range []struct {
		at     string
		answer refusal
		says   string
	}{
		{team, refusal{403, [2]string{"X-GitHub-SSO", "required; url=https://github.com/orgs/acme/sso"}, "Resource protected by organization SAML enforcement."}, "single sign-on"},
		{team, refusal{403, [2]string{}, "Resource protected by organization SAML enforcement. You must grant your OAuth token access to this organization."}, "single sign-on"},
		{lead, refusal{403, [2]string{}, "Although you appear to have the correct authorization credentials, the `acme` organization has enabled OAuth App access restrictions, meaning that data access to third-parties is limited."}, "approve"},
		{org, refusal{403, [2]string{"X-RateLimit-Remaining", "0"}, "API rate limit exceeded for user ID 1."}, "too many"},
		{team, refusal{429, [2]string{"Retry-After", "60"}, "You have exceeded a secondary rate limit."}, "too many"},
		{team, refusal{403, [2]string{}, "You must have admin rights."}, "refused to say"},
		{team, refusal{500, [2]string{}, ""}, "did not work"},
	} {
		g.refuse = map[string]refusal{tt.at: tt.answer}
		if tt.at == org {
			delete(g.member, lead)
		}
		v := newVisitor(t, srv)
		resp, text := g.come(t, v, "ann")
		if resp.StatusCode != http.StatusForbidden || !strings.Contains(text, tt.says) || strings.Contains(text, "none of the teams") {
			t.Errorf("%+v: %s, %s", tt.answer, resp.Status, text)
		}
		if status, _ := v.get("/"); status != http.StatusSeeOther {
			t.Errorf("%+v: signed in", tt.answer)
		}
		said := strings.Split(strings.TrimSpace(s.auditLog()), "\n")
		if last := said[len(said)-1]; !strings.Contains(last, `"who":"ann","what":"sign-in refused"`) || !strings.Contains(last, tt.answer.message[:min(20, len(tt.answer.message))]) {
			t.Errorf("%+v: the audit log has %s", tt.answer, last)
		}
		g.member[lead] = "active"
	}
}

func TestGitHubSignInCannotBeForged(t *testing.T) {
	g := newFakeGitHub(t)
	gh, err := NewGitHub(GitHub{Org: "acme", Teams: []string{"security"}, ClientID: "client", Secret: "secret"}, g.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := newSample(t)
	srv := s.page(Auth{GitHub: gh})
	g.member["/orgs/acme/teams/security/memberships/ann"] = "active"
	g.codes["stolen"] = srv.URL + "/login/github/callback"
	g.login = "ann"
	refused := func(what string, v *visitor, path string) {
		t.Helper()
		if resp, _ := v.do(http.MethodGet, path, ""); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", what, resp.Status)
		}
		if status, _ := v.get("/"); status != http.StatusSeeOther {
			t.Errorf("%s: signed in", what)
		}
	}
	refused("no state", newVisitor(t, srv), "/login/github/callback?code=stolen")
	refused("a state of another browser", newVisitor(t, srv), "/login/github/callback?code=stolen&state=AAAAAAAAAAAAAAAAAAAAAAAAAA")
	v := newVisitor(t, srv)
	resp, _ := v.do(http.MethodGet, "/login/github", "")
	to, _ := url.Parse(resp.Header.Get("Location"))
	refused("no code", v, "/login/github/callback?state="+to.Query().Get("state"))
	refused("the state again", v, "/login/github/callback?code=stolen&state="+to.Query().Get("state"))
	g.broken = true
	v = newVisitor(t, srv)
	if resp, text := g.come(t, v, "ann"); resp.StatusCode != http.StatusForbidden || strings.Contains(text, "502") {
		t.Errorf("GitHub is broken: %s %s", resp.Status, text)
	}
}

func TestNewGitHub(t *testing.T) {
	ok := GitHub{Org: "acme", Teams: []string{"a"}, ClientID: "x", Secret: "y"}
	for _, bad := range []struct {
		g   GitHub
		url string
	}{
		{GitHub{Org: "../x", ClientID: "x", Secret: "y"}, ""},
		{GitHub{Org: "acme", Teams: []string{""}, ClientID: "x", Secret: "y"}, ""},
		{GitHub{Org: "acme", Secret: "y"}, ""},
		{GitHub{Org: "acme", ClientID: "x", Secret: "\n"}, ""},
		{ok, "http://github.example.org"},
		{ok, "ftp://x"},
	} {
		if _, err := NewGitHub(bad.g, bad.url); err == nil {
			t.Errorf("%+v %q is taken", bad.g, bad.url)
		}
	}
	g, err := NewGitHub(ok, "")
	if err != nil || g.API != "https://api.github.com" {
		t.Errorf("%+v, %v", g, err)
	}
}
