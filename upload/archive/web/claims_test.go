// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"castgate/upload/archive"
	"castgate/upload/manifest"
)

// TestAClaimedHashShowsNobodyElse has web2 deliver a recording whose manifest
// says that it has the bytes of one of bob's, which somebody has looked at.
func TestAClaimedHashShowsNobodyElse(t *testing.T) {
	s := newSample(t)
	s.odd = true
	k := s.take("bob", "web1", "bob-gh").typed("cat /root/secret", "the launch code\n").end(0)
	secret := s.keep(k)
	cast := k.cast(t)
	s.claim = func(m *manifest.Manifest) {
		m.Cast = manifest.Object{Bytes: int64(len(cast)), SHA256: manifest.Hash(cast)}
	}
	mine := s.keep(s.take("alice", "web2", "alice-gh").typed("true", "nothing\n").end(0))
	damaged := s.take("alice", "web2", "alice-gh").typed("true", "nothing\n")
	damaged.out = append(damaged.out, "no event\n"...) // where readers stop
	stops := s.keep(damaged.end(0))
	s.claim = nil
	srv := s.page(tokenAuth(t, testToken))
	v := newVisitor(t, srv).signIn(testToken)
	paths := []string{"/play/index.json", "/play/outline.json", "/play/s0.json", "/download/cast", "/download/txt", "/download/html"}
	for _, p := range paths[:3] {
		if status, text := v.get("/r/" + secret + p); status != http.StatusOK {
			t.Fatalf("%s: %d %s", p, status, text)
		}
	}
	for _, p := range paths {
		status, text := v.tryGet("/r/" + mine + p)
		if strings.Contains(text, "launch code") {
			t.Errorf("%s shows bob's session", p)
		}
		if status == http.StatusOK {
			t.Errorf("%s shows what is not the recording of its manifest", p)
		}
	}
	for _, p := range paths {
		if status, _ := v.tryGet("/r/" + stops + p); status == http.StatusOK {
			t.Errorf("%s shows what stops before it is known for another", p)
		}
	}
	if _, text := v.get("/r/" + mine + "/verify"); !strings.Contains(text, `"ok":false`) {
		t.Errorf("verify: %s", text)
	}
}

// TestABareIDTellsNothingOfOthers: who sees their own only finds their own.
func TestABareIDTellsNothingOfOthers(t *testing.T) {
	s := newSample(t)
	s.odd = true
	bob := s.take("bob", "web1", "bob").typed("cat secret", "the launch code\n").end(0)
	id := s.keep(bob)
	mine := s.take("alice", "web2", "alice").typed("true", "nothing\n").end(0)
	mine.header.Session.ID, mine.header.Timestamp = id, bob.header.Timestamp
	s.keep(mine)
	const token = "0123456789abcdef"
	v := newVisitor(t, s.page(tokenAuth(t, "alice "+token+" own\n"))).signIn(token)
	if status, page := v.get("/r/" + id); status != http.StatusOK || !strings.Contains(page, "on</span>web2") || strings.Contains(page, "web1") {
		t.Errorf("the bare id: %d %s", status, page)
	}
	if status, _ := v.get("/r/" + id + "@web1"); status != http.StatusNotFound {
		t.Errorf("bob's: %d", status)
	}
	if _, list := v.get("/"); strings.Contains(list, "web1") {
		t.Errorf("the list: %s", list)
	}
}

// TestWhatOlderVersionsPreparedIsForgotten has the caches of older versions, the
// oldest of which called recordings by the hashes that manifests claimed.
func TestWhatOlderVersionsPreparedIsForgotten(t *testing.T) {
	dir := t.TempDir()
	for _, old := range append([]string{strings.Repeat("0a", 32), cacheDir}, olderDirs...) {
		if err := os.Mkdir(filepath.Join(dir, old), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := NewCache(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != cacheDir {
		t.Errorf("%v are there, %v", left, err)
	}
}

// TestEveryNumberOfAManifestIsHeld changes one number at a time.
func TestEveryNumberOfAManifestIsHeld(t *testing.T) {
	for what, claim := range falseClaims {
		t.Run(what, func(t *testing.T) {
			s := newSample(t)
			s.odd = true
			s.claim = claim
			id := s.keep(s.story())
			v := newVisitor(t, s.page(tokenAuth(t, testToken))).signIn(testToken)
			if _, text := v.get("/r/" + id + "/verify"); !strings.Contains(text, `"ok":false`) {
				t.Errorf("verify: %s", text)
			}
		})
	}
}

var falseClaims = map[string]func(m *manifest.Manifest){
	"cast bytes":   func(m *manifest.Manifest) { m.Cast.Bytes-- },
	"cast hash":    func(m *manifest.Manifest) { m.Cast.SHA256 = manifest.Hash(nil) },
	"stored bytes": func(m *manifest.Manifest) { m.Stored.Bytes++ },
	"stored hash":  func(m *manifest.Manifest) { m.Stored.SHA256 = manifest.Hash(nil) },
	"events":       func(m *manifest.Manifest) { m.Events++ },
	"duration":     func(m *manifest.Manifest) { m.Duration *= 2; m.End = m.Start.Add(2 * m.End.Sub(m.Start)) },
	"exit":         func(m *manifest.Manifest) { exit := 99; m.Exit = &exit },
	"end":          func(m *manifest.Manifest) { m.Exit, m.Complete, m.Ended = nil, false, manifest.EndedInterrupted },
	"login":        func(m *manifest.Manifest) { m.Session.Login = "somebody" },
	"login id":     func(m *manifest.Manifest) { m.Session.LoginID = 1 },
	"command":      func(m *manifest.Manifest) { m.Command = "true" },
	"terminal":     func(m *manifest.Manifest) { m.Term.Cols++ },
}

// TestAnIDIsAHosts has web2 deliver a recording with the id of a session of
// bob's that goes on, and web3 another later.
func TestAnIDIsAHosts(t *testing.T) {
	s := newSample(t)
	s.odd = true
	bob := s.take("bob", "web1", "bob-gh").typed("cat /root/secret", "the launch code\n")
	id := bob.header.Session.ID
	evil := func(host string) *take {
		k := s.take("alice", host, "alice-gh").typed("true", "nothing\n").end(0)
		k.header.Session.ID, k.header.Timestamp = id, bob.header.Timestamp
		return k
	}
	s.keep(evil("web2"))
	s.live(bob)
	for name, a := range s.archives() {
		rows, err := a.List(t.Context(), Query{Scope: archive.Everything(), Limit: 10})
		if err != nil || len(rows) != 2 {
			t.Fatalf("%s, while it goes on: %d rows, %v", name, len(rows), err)
		}
	}
	s.keep(bob.end(0))
	s.keep(evil("web3"))
	for name, a := range s.archives() {
		t.Run(name, func(t *testing.T) {
			rows, err := a.List(t.Context(), Query{Scope: archive.Everything(), Limit: 10})
			if err != nil || len(rows) != 3 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			v := newVisitor(t, s.pageOf(a, tokenAuth(t, testToken))).signIn(testToken)
			_, list := v.get("/")
			for _, host := range []string{"web1", "web2", "web3"} {
				if link := `href="/r/` + id + "@" + host + `"`; !strings.Contains(list, link) {
					t.Errorf("the list has no %s", link)
				}
				_, text := v.get("/r/" + id + "@" + host + "/play/outline.json")
				if secret := strings.Contains(text, "launch code"); secret != (host == "web1") {
					t.Errorf("%s: %s", host, text)
				}
				if _, page := v.get("/r/" + id + "@" + host); !strings.Contains(page, "id claimed") || !strings.Contains(page, "on</span>"+host) {
					t.Errorf("%s: the page does not say so: %s", host, page)
				}
				if _, proof := v.get("/r/" + id + "@" + host + "/verify"); !strings.Contains(proof, `"ok":false`) || !strings.Contains(proof, `"claimed"`) {
					t.Errorf("%s: verify says %s", host, proof)
				}
			}
			if strings.Count(list, "id claimed") != 3 {
				t.Errorf("the list shows %d as claimed", strings.Count(list, "id claimed"))
			}
			status, page := v.get("/r/" + id)
			if status != http.StatusMultipleChoices || strings.Count(page, `href="/r/`+id+"@web") != 3 {
				t.Errorf("by the bare id: %d %s", status, page)
			}
			testClaimsOfOthers(t, s, a, id)
			if _, found := v.get("/search?q=launch"); name != "directory" && !strings.Contains(found, id+"@web1") {
				t.Errorf("search: %s", found)
			}
		})
	}
}

// testClaimsOfOthers: a claimed id shows nobody the recordings of others.
func testClaimsOfOthers(t *testing.T, s *sample, a Archive, id string) {
	t.Helper()
	srv := s.pageOf(a, tokenAuth(t, "alice-gh alice-token-of-this-test own\nbob-gh bob-token-of-this-test own\ncarol carol-token-of-this-test own\n"))
	for who, sees := range map[string]struct {
		status int
		hosts  []string
	}{
		"alice": {http.StatusMultipleChoices, []string{"web2", "web3"}},
		"bob":   {http.StatusOK, []string{"web1"}},
		"carol": {http.StatusNotFound, nil},
	} {
		v := newVisitor(t, srv).signIn(who + "-token-of-this-test")
		for _, p := range []string{"/r/" + id, "/?before=" + id} {
			status, text := v.get(p)
			if p == "/r/"+id && status != sees.status {
				t.Errorf("%s, %s: %d", who, p, status)
			}
			for _, host := range []string{"web1", "web2", "web3"} {
				if strings.Contains(text, "@"+host) && !slices.Contains(sees.hosts, host) {
					t.Errorf("%s, %s: told of the one on %s", who, p, host)
				}
			}
		}
	}
}
