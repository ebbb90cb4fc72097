// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"castgate/upload/manifest"
)

// GitHub signs people in with GitHub's OAuth web flow
// (https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps).
// Membership of a team, asked with the person's own token, decides what they
// see. The token is used for that and forgotten.
type GitHub struct {
	Org      string
	Teams    []string          // members see everything
	Leads    map[string]string // members of the first see what members of the second did
	Own      bool              // other members of the organisation see what they did themselves
	ClientID string
	Secret   string
	Web, API string // "https://github.com", "https://api.github.com"; GitHub Enterprise has others
	Client   *http.Client
}

// githubTimeout bounds the whole of a sign-in's questions to GitHub.
const githubTimeout = 15 * time.Second

// maxMembers bounds a team that a lead may look at: a page of members is 100.
const maxMemberPages = 50

// slug is what GitHub allows in the names of organisations, teams and logins
// that we put into a path.
var slug = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

var errNotMember = errors.New("not a member of a team that may look")

// NewGitHub completes g for a GitHub at base, "" for github.com. A GitHub
// Enterprise Server has its API below /api/v3.
func NewGitHub(g GitHub, base string) (*GitHub, error) {
	g.Web, g.API, g.Secret = "https://github.com", "https://api.github.com", strings.TrimSpace(g.Secret)
	if base != "" {
		u, err := url.Parse(base)
		if err != nil || u.Host == "" || !(u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())) {
			return nil, fmt.Errorf("%q is no https address", base)
		}
		g.Web = strings.TrimRight(base, "/")
		g.API = g.Web + "/api/v3"
	}
	names := append([]string{g.Org}, g.Teams...)
	for a, b := range g.Leads {
		names = append(names, a, b)
	}
	for _, n := range names {
		if !slug.MatchString(n) {
			return nil, fmt.Errorf("%q is no name of an organisation or team", n)
		}
	}
	if g.ClientID == "" || g.Secret == "" {
		return nil, errors.New("client_id and client_secret_file are needed")
	}
	return &g, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// loginURL is where a browser is sent. read:org is what tells team membership.
func (g *GitHub) loginURL(state, redirect string) string {
	return g.Web + "/login/oauth/authorize?" + url.Values{
		"client_id": {g.ClientID}, "redirect_uri": {redirect}, "scope": {"read:org"}, "state": {state}, "allow_signup": {"false"},
	}.Encode()
}

// signIn exchanges the code for a token and asks who it is and what they may see.
func (g *GitHub) signIn(ctx context.Context, code, redirect string) (Auditor, error) {
	ctx, cancel := context.WithTimeout(ctx, githubTimeout)
	defer cancel()
	token, err := g.exchange(ctx, code, redirect)
	if err != nil {
		return Auditor{}, err
	}
	var user githubUser
	if err := g.get(ctx, token, "/user", &user); err != nil {
		return Auditor{}, fmt.Errorf("ask GitHub who this is: %w", err)
	}
	if !slug.MatchString(user.Login) || user.ID <= 0 {
		return Auditor{}, fmt.Errorf("GitHub's login %q with id %d is nobody's", user.Login, user.ID)
	}
	return g.auditor(ctx, token, user.person())
}

// githubUser is what GitHub tells of somebody.
type githubUser struct {
	Login string
	ID    int64
}

func (u githubUser) person() manifest.Person { return manifest.NewPerson(u.Login, u.ID) }

// auditor asks for the memberships that decide what p sees.
func (g *GitHub) auditor(ctx context.Context, token string, p manifest.Person) (Auditor, error) {
	who := Auditor{Name: p.Login(), Person: p}
	for _, team := range g.Teams {
		if ok, err := g.in(ctx, token, team, p); err != nil {
			return who, err
		} else if ok {
			return seesAll(p.Login(), p), nil
		}
	}
	leads, people := false, []manifest.Person{}
	for lead, team := range g.Leads {
		ok, err := g.in(ctx, token, lead, p)
		if err != nil {
			return who, err
		}
		if ok {
			members, err := g.members(ctx, token, team)
			if err != nil {
				return who, err
			}
			leads, people = true, append(people, members...)
		}
	}
	if leads {
		return seesTeam(p.Login(), p, people), nil
	}
	if g.Own {
		if ok, err := g.active(ctx, token, "/user/memberships/orgs/"+g.Org); err != nil {
			return who, err
		} else if ok {
			return seesOwn(p.Login(), p), nil
		}
	}
	return who, errNotMember
}

// in asks whether p is in a team.
func (g *GitHub) in(ctx context.Context, token, team string, p manifest.Person) (bool, error) {
	return g.active(ctx, token, "/orgs/"+g.Org+"/teams/"+team+"/memberships/"+p.Login())
}

// active asks for a membership: pending ones don't count. Only 404 is a no; any
// other answer is none, and whoever can't be asked about gets no role at all.
func (g *GitHub) active(ctx context.Context, token, path string) (bool, error) {
	var m struct{ State string }
	err := g.get(ctx, token, path, &m)
	var answer *unanswered
	if errors.As(err, &answer) && answer.status == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask GitHub for a membership: %w", err)
	}
	return m.State == "active", nil
}

func (g *GitHub) members(ctx context.Context, token, team string) ([]manifest.Person, error) {
	var people []manifest.Person
	for page := 1; page <= maxMemberPages; page++ {
		var list []githubUser
		path := fmt.Sprintf("/orgs/%s/teams/%s/members?per_page=100&page=%d", g.Org, team, page)
		if err := g.get(ctx, token, path, &list); err != nil {
			return nil, fmt.Errorf("ask GitHub for the members of %q: %w", team, err)
		}
		for _, m := range list {
			people = append(people, m.person())
		}
		if len(list) < 100 {
			return people, nil
		}
	}
	return nil, fmt.Errorf("team %q has more than %d members", team, maxMemberPages*100)
}

func (g *GitHub) exchange(ctx context.Context, code, redirect string) (string, error) {
	form := url.Values{"client_id": {g.ClientID}, "client_secret": {g.Secret}, "code": {code}, "redirect_uri": {redirect}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.Web+"/login/oauth/access_token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer struct {
		Token string `json:"access_token"`
		Error string `json:"error"` // with status 200, as GitHub does
	}
	if err := g.do(r, &answer); err != nil {
		return "", fmt.Errorf("exchange GitHub's code: %w", err)
	}
	if answer.Token == "" {
		return "", fmt.Errorf("exchange GitHub's code: %q", answer.Error)
	}
	return answer.Token, nil
}

func (g *GitHub) get(ctx context.Context, token, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.API+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	return g.do(r, into)
}

func (g *GitHub) do(r *http.Request, into any) error {
	r.Header.Set("Accept", "application/json")
	client := g.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return readUnanswered(resp)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(into)
}
