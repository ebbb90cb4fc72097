// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"castgate/keys/githubtest"

	"castgate/keys/known"
)

func TestEnterpriseServer(t *testing.T) {
	w := newWorld(t)
	w.github.Prefix, w.github.NoGraph = "/api/v3", false
	w.conf.GitHub.URL += "/api/v3" // as people write it, without the last slash
	w.allows("octocat", "OctoCat")
	w.change(func(s *githubtest.State) {
		u := s.Users["bob"]
		u.Suspended = true
		s.Users["bob"] = u
	})
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.allows("deploy", "carol")
	w.refuses("deploy", "bob", "suspended") // which no list of members says
}

func TestProxyComesFromTheConfigurationOnly(t *testing.T) {
	w := newWorld(t)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	t.Setenv("ALL_PROXY", "http://127.0.0.1:1")
	w.allows("octocat", "OctoCat")

	var through atomic.Int32
	target, _ := url.Parse(w.conf.GitHub.URL)
	forward := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		through.Add(1)
		forward.ServeHTTP(rw, r)
	}))
	t.Cleanup(proxy.Close)
	w.conf.GitHub.Proxy = proxy.URL
	w.allows("alice", "alice-gh")
	if through.Load() != 3 {
		t.Errorf("%d calls went through the proxy, want 3", through.Load())
	}
}

func TestOwnCertificateAuthority(t *testing.T) {
	w := newWorld(t)
	srv := httptest.NewTLSServer(w.github)
	t.Cleanup(srv.Close)
	w.conf.GitHub.URL = srv.URL
	w.conf.GitHub.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	w.write(w.conf.GitHub.CAFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	w.allows("octocat", "OctoCat")
	w.write(w.conf.GitHub.CAFile, "no certificate\n")
	_, err := w.decide("alice", "alice-gh")
	if !known.Is(err, known.Broken) || !strings.Contains(err.Error(), "has none") {
		t.Errorf("got %v", err)
	}
	w.later(6 * time.Minute)
	if d := w.allows("octocat", "OctoCat"); d.Source != "stale" { // no reason to lock anybody out
		t.Errorf("answered from %q", d.Source)
	}
}

// TestTheTokenGoesToOneHostOnly: a redirect elsewhere is not followed.
func TestTheTokenGoesToOneHostOnly(t *testing.T) {
	var got atomic.Value
	got.Store("")
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Header.Get("Authorization")) }))
	t.Cleanup(thief.Close)
	w := newWorld(t)
	w.github.Break(fault("/users/", func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, thief.URL, http.StatusFound) }))
	w.failsAs("octocat", "OctoCat", known.Broken)
	if got.Load() != "" {
		t.Errorf("another host was sent %q", got.Load())
	}
}

// TestEndpointsThatAreNotThere: the list alone tells who is a member, and their
// ids, where nothing else does.
func TestEndpointsThatAreNotThere(t *testing.T) {
	w := newWorld(t)
	w.github.Break(func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/memberships/") || strings.HasPrefix(r.URL.Path, "/users/") && !strings.HasSuffix(r.URL.Path, "/keys") {
			status(404)(rw, r)
			return true
		}
		return false
	})
	w.allows("octocat", "OctoCat")
	w.refuses("invited", "invited", "not a member")
	w.refuses("stranger", "stranger", "not a member")
	w.github.Break(fault("/users/OctoCat", func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/keys") {
			body("application/json", "[]")(rw, r)
			return
		}
		status(404)(rw, r)
	}))
	w.later(6 * time.Minute)
	w.refuses("octocat", "OctoCat", "no keys")
}

// TestPages: more members and more keys than one page has.
func TestPages(t *testing.T) {
	w := newWorld(t)
	w.crowd("operations", 101, 150)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.allows("deploy", "user-00100")
	w.allows("deploy", "more149")
	d, err := w.decide("deploy", "")
	if err != nil || len(d.Lines) != 101+150 {
		t.Errorf("%d lines, %v", len(d.Lines), err)
	}
}
