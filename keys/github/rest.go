// SPDX-License-Identifier: AGPL-3.0-or-later

package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	api "github.com/google/go-github/v60/github"

	"castgate/keys/known"
	"castgate/keys/pubkey"
	"castgate/keys/settings"
)

// REST asks GitHub's REST API through go-api. One call at a time: GitHub
// asks for that ("make requests serially"), and it keeps the calls countable.
type REST struct {
	client  *api.Client
	org     string
	now     func() time.Time
	believe func(slug string, list []known.Person) []known.Teammate // who is missing, and may be so by mistake
}

func newREST(g settings.GitHub, hc *http.Client, now func() time.Time) *REST {
	c := api.NewClient(hc)
	c.BaseURL, _ = g.Base() // Validate has seen it
	c.UserAgent = userAgent
	return &REST{client: c, org: g.Org, now: now, believe: func(string, []known.Person) []known.Teammate { return nil }}
}

// userAgent is how we appear in GitHub's audit log.
const userAgent = "castgate-keys"

// fault turns what go-github returns into a Fault.
func (r *REST) fault(op string, resp *api.Response, err error) error {
	if err == nil {
		return nil
	}
	if resp == nil || resp.Response == nil || resp.StatusCode/100 == 2 {
		return brokenFault(op, err)
	}
	f := statusFault(op, resp.Response, r.now())
	var secondary *api.AbuseRateLimitError // a limit that only the text tells
	if f.Class == known.Forbidden && errors.As(err, &secondary) {
		f.Class, f.Until = known.Limited, r.now().Add(defaultWait)
	}
	return f
}

// maxPages bounds a list: 30,000 members, or a server that pages in a circle.
const maxPages = 300

// pages calls one list call, which tells how many entries it got, for every
// page and checks that the pages go forward and come to an end: half a list is
// no list. A full page may be followed by another whatever its answer says: one
// that did not change says what held when it was first read.
func (r *REST) pages(op string, one func(api.ListOptions) (int, *api.Response, error)) error {
	opts := api.ListOptions{PerPage: 100}
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
			return &known.Fault{Class: known.Incomplete, Op: op, Err: fmt.Errorf("page %d is followed by page %d", opts.Page, next)}
		}
		opts.Page = next
	}
	return &known.Fault{Class: known.Incomplete, Op: op, Err: fmt.Errorf("it has more than %d pages", maxPages)}
}

// members lists a team: login and id, child teams included, invitations not.
func (r *REST) members(ctx context.Context, slug string) ([]known.Person, error) {
	if err := settings.CheckSlug(slug); err != nil {
		return nil, err
	}
	var list []known.Person
	err := r.pages(fmt.Sprintf("list team %q", slug), func(o api.ListOptions) (int, *api.Response, error) {
		users, resp, err := r.client.Teams.ListTeamMembersBySlug(ctx, r.org, slug, &api.TeamListTeamMembersOptions{ListOptions: o})
		for _, u := range users {
			list = append(list, known.Person{Login: u.GetLogin(), ID: u.GetID()})
		}
		return len(users), resp, err
	})
	if err != nil {
		return nil, err
	}
	return complete(list)
}

// complete refuses members without a name or number. One with a login that can't
// be one stays out of every URL, and one with a hash for a login is suspended.
func complete(list []known.Person) ([]known.Person, error) {
	seen := make(map[int64]bool, len(list))
	out := list[:0]
	for _, p := range list {
		if p.ID <= 0 || p.Login == "" {
			return nil, &known.Fault{Class: known.Broken, Op: "list the team", Err: fmt.Errorf("a member has no login or no id")}
		}
		if settings.CheckLogin(p.Login) == nil && !settings.SuspendedName(p.Login) && !seen[p.ID] {
			seen[p.ID] = true
			out = append(out, p)
		}
	}
	return out, nil
}

// keys lists the authentication keys of a login; never the signing keys. An
// empty login must not get here: it would list the token owner's keys.
func (r *REST) keys(ctx context.Context, login string) ([]known.Key, error) {
	if err := settings.CheckLogin(login); err != nil {
		return nil, err
	}
	var list []known.Key
	err := r.pages(fmt.Sprintf("list the keys of %q", login), func(o api.ListOptions) (int, *api.Response, error) {
		keys, resp, err := r.client.Users.ListKeys(ctx, login, &o)
		for _, k := range keys {
			list = addKey(list, k.GetID(), k.GetKey())
		}
		return len(keys), resp, err
	})
	return list, err
}

// addKey appends a key that parses. One that doesn't could open nothing.
func addKey(list []known.Key, id int64, line string) []known.Key {
	k, err := pubkey.ParseLine(line)
	if err != nil {
		return list
	}
	return append(list, known.Key{ID: id, Line: k.String()})
}

// Team implements Directory: one call for each page of members and at least
// two for each member.
func (r *REST) Team(ctx context.Context, slug string, each func(known.Person) error) error {
	list, err := r.members(ctx, slug)
	if err != nil {
		return err
	}
	for _, p := range list {
		q, err := r.identify(ctx, p, p.ID, slug)
		if err == nil && q.ID != p.ID {
			err = &known.Fault{Class: known.Incomplete, Op: fmt.Sprintf("list team %q", slug), Err: fmt.Errorf("%q is another person since", p.Login)}
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
