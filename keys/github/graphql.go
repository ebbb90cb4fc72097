// SPDX-License-Identifier: AGPL-3.0-or-later

package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"castgate/keys/known"
	"castgate/keys/settings"
)

// Graph asks GitHub's GraphQL API: one call for a hundred members with their
// keys, where REST needs a hundred and one. go-github doesn't speak it. It has
// no ETags and a limit of its own: such a call costs one point of 5,000.
type Graph struct {
	client *http.Client
	url    *url.URL
	org    string
	now    func() time.Time
}

// newGraph knows the two places of the endpoint: beside REST on github.com, at
// /api/graphql where REST is at /api/v3.
func newGraph(g settings.GitHub, hc *http.Client, now func() time.Time) *Graph {
	u, _ := g.Base() // Validate has seen it
	if path, ok := strings.CutSuffix(u.Path, "/v3/"); ok {
		u.Path = path + "/"
	}
	return &Graph{client: hc, url: u.JoinPath("graphql"), org: g.Org, now: now}
}

// membersQuery asks for members of child teams too (membership:ALL). databaseId
// is the number that REST calls id.
const membersQuery = `query($org:String!,$team:String!,$after:String){organization(login:$org){team(slug:$team){` +
	`members(first:100,after:$after,membership:ALL){pageInfo{hasNextPage endCursor}` +
	`nodes{login databaseId publicKeys(first:100){totalCount nodes{key}}}}}}}`

type membersAnswer struct {
	Data struct {
		Organization *struct {
			Team *struct {
				Members *memberPage
			}
		}
	}
	Errors []struct{ Type, Message string }
}

type memberPage struct {
	PageInfo *struct {
		HasNextPage bool
		EndCursor   string
	}
	Nodes []struct {
		Login      string
		DatabaseID int64 `json:"databaseId"`
		PublicKeys *struct {
			TotalCount int
			Nodes      []struct{ Key string }
		}
	}
}

// Team implements Directory.
func (g *Graph) Team(ctx context.Context, slug string, each func(known.Person) error) error {
	if err := settings.CheckSlug(slug); err != nil {
		return err
	}
	op := fmt.Sprintf("list team %q with its keys", slug)
	after := ""
	for range maxPages {
		page, err := g.page(ctx, op, slug, after)
		if err != nil {
			return err
		}
		list, err := page.people(op)
		if err != nil {
			return err
		}
		for _, p := range list {
			if err := each(p); err != nil {
				return err
			}
		}
		if !page.PageInfo.HasNextPage {
			return nil
		}
		if page.PageInfo.EndCursor == "" || page.PageInfo.EndCursor == after {
			return &known.Fault{Class: known.Incomplete, Op: op, Err: errors.New("a page is followed by itself")}
		}
		after = page.PageInfo.EndCursor
	}
	return &known.Fault{Class: known.Incomplete, Op: op, Err: fmt.Errorf("it has more than %d pages", maxPages)}
}

// page asks for one page. An error in the answer is not an answer, even where
// data stands beside it.
func (g *Graph) page(ctx context.Context, op, slug, after string) (*memberPage, error) {
	vars := map[string]any{"org": g.org, "team": slug}
	if after != "" {
		vars["after"] = after
	}
	var a membersAnswer
	if err := g.post(ctx, op, map[string]any{"query": membersQuery, "variables": vars}, &a); err != nil {
		return nil, err
	}
	if len(a.Errors) > 0 {
		f := &known.Fault{Class: known.Broken, Op: op, Err: fmt.Errorf("GraphQL: %q", a.Errors[0].Message)}
		if a.Errors[0].Type == "RATE_LIMITED" {
			f.Class, f.Until = known.Limited, g.now().Add(defaultWait)
		}
		return nil, f
	}
	org := a.Data.Organization
	if org == nil || org.Team == nil || org.Team.Members == nil || org.Team.Members.PageInfo == nil {
		return nil, &known.Fault{Class: known.Missing, Op: op, Err: errors.New("GitHub shows no such team")}
	}
	return org.Team.Members, nil
}

func (g *Graph) post(ctx context.Context, op string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	resp, err := g.client.Do(req)
	if err != nil {
		return brokenFault(op, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return statusFault(op, resp, g.now())
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return brokenFault(op, err)
	}
	return nil
}

// people checks a page: every member whole, and with all their keys. Somebody
// with more than a hundred keys makes REST do the team.
func (m *memberPage) people(op string) ([]known.Person, error) {
	var list []known.Person
	for _, n := range m.Nodes {
		if n.PublicKeys == nil || n.PublicKeys.TotalCount != len(n.PublicKeys.Nodes) {
			return nil, &known.Fault{Class: known.Incomplete, Op: op, Err: fmt.Errorf("not all keys of %q are there", n.Login)}
		}
		p := known.Person{Login: n.Login, ID: n.DatabaseID, MaybeSuspended: true}
		for _, k := range n.PublicKeys.Nodes {
			p.Keys = addKey(p.Keys, 0, k.Key)
		}
		list = append(list, p)
	}
	return complete(list)
}
