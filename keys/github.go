// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"
)

// REST asks GitHub's REST API through go-github. One call at a time: GitHub
// asks for that ("make requests serially"), and it keeps the calls countable.
type REST struct {
	client  *github.Client
	org     string
	now     func() time.Time
	believe func(slug string, list []Person) []teammate // who is missing, and may be so by mistake
}

func newREST(g GitHub, hc *http.Client, now func() time.Time) *REST {
	c := github.NewClient(hc)
	c.BaseURL, _ = g.base() // Validate has seen it
	c.UserAgent = userAgent
	return &REST{client: c, org: g.Org, now: now, believe: func(string, []Person) []teammate { return nil }}
}

// userAgent is how we appear in GitHub's audit log.
const userAgent = "castgate-keys"

// newClient is the one HTTP client of a process. It connects nothing yet. The
// cache, which may be nil, keeps ETags.
func newClient(g GitHub, cache *Cache, r *rate, now func() time.Time) (*http.Client, error) {
	hc, net, err := newHTTP(g)
	if err != nil {
		return nil, err
	}
	base, err := g.base()
	if err != nil {
		return nil, err
	}
	t := &transport{next: net, base: base, auth: tokenFile(g.TokenFile), etags: &etags{cache: cache}, rate: r}
	if g.App.KeyFile != "" {
		a := newAppTokens(g.App, base, net, now)
		t.auth, t.rejected = a.authorization, a.reject
	}
	hc.Transport = t
	return hc, nil
}

// maxToken bounds the token file; GitHub's longest tokens have 255 characters.
const maxToken = 1024

// tokenFile reads the token when it is needed, so that a new one counts at
// once, and never hands a broken one to the network.
func tokenFile(path string) func(*http.Request) (string, error) {
	return func(*http.Request) (string, error) {
		body, err := os.ReadFile(path)
		if err != nil {
			return "", &Fault{Class: BadToken, Op: "read the token", Err: err}
		}
		token := strings.TrimSpace(string(body))
		if token == "" || len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			// What the file has is not shown: it may be most of a secret.
			return "", &Fault{Class: BadToken, Op: "read the token", Err: fmt.Errorf("%q does not hold one token on one line", path)}
		}
		return "Bearer " + token, nil
	}
}

// fault turns what go-github returns into a Fault.
func (r *REST) fault(op string, resp *github.Response, err error) error {
	if err == nil {
		return nil
	}
	if resp == nil || resp.Response == nil || resp.StatusCode/100 == 2 {
		return brokenFault(op, err)
	}
	f := statusFault(op, resp.Response, r.now())
	var secondary *github.AbuseRateLimitError // a limit that only the text tells
	if f.Class == Forbidden && errors.As(err, &secondary) {
		f.Class, f.Until = Limited, r.now().Add(defaultWait)
	}
	return f
}

// maxPages bounds a list: 30,000 members, or a server that pages in a circle.
const maxPages = 300

// pages calls one list call, which tells how many entries it got, for every
// page and checks that the pages go forward and come to an end: half a list is
// no list. A full page may be followed by another whatever its answer says: one
// that did not change says what held when it was first read.
func (r *REST) pages(op string, one func(github.ListOptions) (int, *github.Response, error)) error {
	opts := github.ListOptions{PerPage: 100}
	for page := 1; page <= maxPages; page++ {
		n, resp, err := one(opts)
		if err != nil {
			return r.fault(op, resp, err)
		}
		next := resp.NextPage
		if next == 0 && n >= opts.PerPage {
			next = page + 1
		}
		if next == 0 {
			return nil
		}
		if next <= opts.Page {
			return &Fault{Class: Incomplete, Op: op, Err: fmt.Errorf("page %d is followed by page %d", opts.Page, next)}
		}
		opts.Page = next
	}
	return &Fault{Class: Incomplete, Op: op, Err: fmt.Errorf("it has more than %d pages", maxPages)}
}

// members lists a team: login and id, child teams included, invitations not.
func (r *REST) members(ctx context.Context, slug string) ([]Person, error) {
	if err := checkSlug(slug); err != nil {
		return nil, err
	}
	var list []Person
	err := r.pages(fmt.Sprintf("list team %q", slug), func(o github.ListOptions) (int, *github.Response, error) {
		users, resp, err := r.client.Teams.ListTeamMembersBySlug(ctx, r.org, slug, &github.TeamListTeamMembersOptions{ListOptions: o})
		for _, u := range users {
			list = append(list, Person{Login: u.GetLogin(), ID: u.GetID()})
		}
		return len(users), resp, err
	})
	if err != nil {
		return nil, err
	}
	return usable(list)
}

// usable refuses members without a name or number. One with a login that can't
// be one stays out of every URL, and one with a hash for a login is suspended.
func usable(list []Person) ([]Person, error) {
	seen := make(map[int64]bool, len(list))
	out := list[:0]
	for _, p := range list {
		if p.ID <= 0 || p.Login == "" {
			return nil, &Fault{Class: Broken, Op: "list the team", Err: fmt.Errorf("a member has no login or no id")}
		}
		if checkLogin(p.Login) == nil && !hashed(p.Login) && !seen[p.ID] {
			seen[p.ID] = true
			out = append(out, p)
		}
	}
	return out, nil
}

// keys lists the authentication keys of a login; never the signing keys. An
// empty login must not get here: it would list the token owner's keys.
func (r *REST) keys(ctx context.Context, login string) ([]GitHubKey, error) {
	if err := checkLogin(login); err != nil {
		return nil, err
	}
	var list []GitHubKey
	err := r.pages(fmt.Sprintf("list the keys of %q", login), func(o github.ListOptions) (int, *github.Response, error) {
		keys, resp, err := r.client.Users.ListKeys(ctx, login, &o)
		for _, k := range keys {
			list = addKey(list, k.GetID(), k.GetKey())
		}
		return len(keys), resp, err
	})
	return list, err
}

// addKey appends a key that parses. One that doesn't could open nothing.
func addKey(list []GitHubKey, id int64, line string) []GitHubKey {
	k, err := ParseLine(line)
	if err != nil {
		return list
	}
	return append(list, GitHubKey{ID: id, Line: k.String()})
}

// Team implements Directory: one call for each page of members and at least
// two for each member.
func (r *REST) Team(ctx context.Context, slug string, each func(Person) error) error {
	list, err := r.members(ctx, slug)
	if err != nil {
		return err
	}
	for _, p := range list {
		q, err := r.identify(ctx, p, p.ID, slug)
		if err == nil && q.ID != p.ID {
			err = &Fault{Class: Incomplete, Op: fmt.Sprintf("list team %q", slug), Err: fmt.Errorf("%q is another person since", p.Login)}
		}
		if err != nil {
			return err
		}
		if err := each(q); err != nil {
			return err
		}
	}
	return nil
}
