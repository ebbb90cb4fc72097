// SPDX-License-Identifier: AGPL-3.0-or-later

package github

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"castgate/keys/githubtest"
	"castgate/keys/settings"
)

// TestGraphQLEndpoint: beside REST on github.com, elsewhere on a server.
func TestGraphQLEndpoint(t *testing.T) {
	for base, want := range map[string]string{
		"https://api.github.com/":         "https://api.github.com/graphql",
		"https://api.acme.ghe.com":        "https://api.acme.ghe.com/graphql",
		"https://git.example.org/api/v3/": "https://git.example.org/api/graphql",
	} {
		g := newGraph(settings.GitHub{URL: base}, nil, time.Now)
		if got := g.url.String(); got != want {
			t.Errorf("%s: got %s, want %s", base, got, want)
		}
	}
}

func TestSlugsAndLoginsNeverReachTheURLUnchecked(t *testing.T) {
	server := &githubtest.Server{State: func() (githubtest.State, error) { return githubtest.State{Org: "acme"}, nil }}
	rest := newREST(settings.GitHub{URL: server.Start(t).URL, Org: "acme"}, http.DefaultClient, time.Now)
	for _, bad := range []string{"", "..", "../orgs/x", "a/b", "a?x=1", "a#b", "a%2fb", "a b", "-a", "a\n", strings.Repeat("a", 400)} {
		if _, err := rest.keys(context.Background(), bad); err == nil {
			t.Errorf("keys of %q were asked for", bad)
		}
		if _, err := rest.members(context.Background(), bad); err == nil {
			t.Errorf("members of %q were asked for", bad)
		}
		if _, err := rest.Find(context.Background(), bad, 0, []string{"developers"}); err == nil {
			t.Errorf("%q was looked for", bad)
		}
		if bad == "" || len(bad) > 300 {
			continue
		}
		if _, err := rest.membership(context.Background(), "octocat", bad); err == nil {
			t.Errorf("membership in %q was asked for", bad)
		}
	}
	if calls := server.Calls(); len(calls) > 0 {
		t.Errorf("GitHub was asked %q", calls)
	}
}
