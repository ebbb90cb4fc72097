// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"

	"castgate/keys/githubtest"
	"castgate/packaging/hosttest"
)

// github is a stand-in for GitHub's API that castgate-keys is set up to ask.
type github struct {
	*githubtest.Server
	url   string
	mu    sync.Mutex
	state githubtest.State
}

const (
	token     = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
	tokenFile = "/etc/castgate/github-token"
)

// startGitHub serves an organisation and writes keys.yaml and the token so
// that castgate-keys asks it. more is appended to keys.yaml.
func startGitHub(t *testing.T, state githubtest.State, more string) *github {
	t.Helper()
	hosttest.Install(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &github{url: fmt.Sprintf("http://%s/", l.Addr()), state: state}
	g.Server = &githubtest.Server{
		State: func() (githubtest.State, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.state, nil
		},
		Token: func() string { return token },
	}
	srv := &http.Server{Handler: g.Server}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	if err := os.WriteFile(tokenFile, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "chown", "root:castgate-keys", tokenFile)
	hosttest.Run(t, "chmod", "640", tokenFile)
	g.configure(t, more)
	emptyCache(t)
	return g
}

func (g *github) configure(t *testing.T, more string) {
	t.Helper()
	hosttest.Config(t, "keys", "github: {url: \""+g.url+"\", org: acme, token_file: "+tokenFile+"}\n"+more)
}

// emptyCache forgets what castgate-keys knows, whose the accounts are as well.
func emptyCache(t *testing.T) {
	t.Helper()
	hosttest.Run(t, "find", "/var/cache/castgate-keys", "-mindepth", "1", "-delete")
	hosttest.Run(t, "find", "/var/lib/castgate-keys", "-type", "f", "-delete")
}
