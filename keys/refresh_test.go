// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"castgate/keys/githubtest"

	"castgate/keys"
	"castgate/keys/known"
	"castgate/keys/pubkey"
	"castgate/keys/settings"
)

func (w *world) refresh() error {
	w.t.Helper()
	w.restart()
	return w.svc.Refresh(context.Background())
}

// crowd makes a team of n members, the first of whom has many keys.
func (w *world) crowd(team string, n, keysOfFirst int) {
	w.change(func(s *githubtest.State) {
		var tm githubtest.Team
		for i := range n {
			login := fmt.Sprintf("user-%05d", i)
			u := githubtest.User{ID: int64(100_000 + i), Keys: []string{testKey(login)}}
			for k := range keysOfFirst {
				if i == 0 {
					u.Keys = append(u.Keys, testKey(fmt.Sprint("more", k)))
				}
			}
			tm.Members = append(tm.Members, githubtest.Member{Login: login, ID: u.ID})
			s.Users[login] = u
		}
		s.Teams[team] = tm
	})
}

// TestDirectories is what every Directory has to do.
func TestDirectories(t *testing.T) {
	for _, tt := range []struct {
		name  string
		graph bool
	}{{"REST", false}, {"GraphQL", true}} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.github.NoGraph = false
			w.crowd("operations", 250, 99)
			w.change(func(s *githubtest.State) {
				u := s.Users["user-00001"]
				u.Keys = append(u.Keys, "ssh-dss AAAAB3NzaC1kc3M=", "no key at all", "")
				s.Users["user-00001"] = u
			})
			w.restart()
			var dir keys.Directory = w.svc.Bulk()[1]
			if tt.graph {
				dir = w.svc.Bulk()[0]
			}
			var got []known.Person
			err := dir.Team(context.Background(), "operations", func(p known.Person) error { got = append(got, p); return nil })
			if err != nil || len(got) != 250 {
				t.Fatalf("%d members, %v", len(got), err)
			}
			for _, p := range got {
				want := 1
				if p.Login == "user-00000" {
					want = 100
				}
				if p.ID < 100_000 || len(p.Keys) != want || !slices.ContainsFunc(p.Keys, func(k known.Key) bool { return k.Line == testKey(p.Login) }) {
					t.Errorf("%+v: want %d keys", p, want)
				}
			}
			t.Run("child teams, not invitations", func(t *testing.T) {
				var logins []string
				err := dir.Team(context.Background(), "developers", func(p known.Person) error { logins = append(logins, p.Login); return nil })
				if want := []string{"OctoCat", "alice-gh", "dave"}; err != nil || !slices.Equal(logins, want) {
					t.Errorf("got %q, %v", logins, err)
				}
			})
			t.Run("no such team", func(t *testing.T) {
				err := dir.Team(context.Background(), "nobody", func(known.Person) error { return nil })
				if !known.Is(err, known.Missing) {
					t.Errorf("got %v", err)
				}
			})
			t.Run("the caller stops", func(t *testing.T) {
				stop := fmt.Errorf("stop")
				n := 0
				err := dir.Team(context.Background(), "operations", func(known.Person) error { n++; return stop })
				if err != stop || n != 1 {
					t.Errorf("got %v after %d", err, n)
				}
			})
			t.Run("a path for a team", func(t *testing.T) {
				w.github.Reset()
				if err := dir.Team(context.Background(), "../x", nil); err == nil || w.calls() != 0 {
					t.Errorf("got %v", err)
				}
			})
			t.Run("breaks on the way", func(t *testing.T) {
				n := 0
				w.github.Break(func(rw http.ResponseWriter, r *http.Request) bool {
					if n++; n > 2 {
						status(500)(rw, r)
					}
					return n > 2
				})
				if err := dir.Team(context.Background(), "operations", func(known.Person) error { return nil }); !known.Is(err, known.Broken) {
					t.Errorf("half a team was taken for all of it: %v", err)
				}
			})
		})
	}
}

// TestGraphQLFaults: whatever GraphQL answers, REST makes up for it.
func TestGraphQLFaults(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"404":            status(404),
		"500":            status(500),
		"403":            status(403),
		"HTML":           body("text/html", "<html>"),
		"errors":         body("application/json", `{"errors":[{"type":"FORBIDDEN","message":"no"}]}`),
		"errors beside":  body("application/json", `{"data":{"organization":{"team":{"members":{"pageInfo":{},"nodes":[]}}}},"errors":[{"message":"no"}]}`),
		"no data":        body("application/json", `{"data":null}`),
		"no team":        body("application/json", `{"data":{"organization":{"team":null}}}`),
		"no page":        body("application/json", `{"data":{"organization":{"team":{"members":{"nodes":[]}}}}}`),
		"a circle":       body("application/json", `{"data":{"organization":{"team":{"members":{"pageInfo":{"hasNextPage":true},"nodes":[]}}}}}`),
		"keys left out":  body("application/json", `{"data":{"organization":{"team":{"members":{"pageInfo":{},"nodes":[{"login":"bob","databaseId":21}]}}}}}`),
		"not all keys":   body("application/json", `{"data":{"organization":{"team":{"members":{"pageInfo":{},"nodes":[{"login":"bob","databaseId":21,"publicKeys":{"totalCount":101,"nodes":[]}}]}}}}}`),
		"without an id":  body("application/json", `{"data":{"organization":{"team":{"members":{"pageInfo":{},"nodes":[{"login":"bob","publicKeys":{"totalCount":0,"nodes":[]}}]}}}}}`),
		"another answer": body("application/json", `[]`),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.github.NoGraph = false
			w.github.Break(fault("/graphql", answer))
			if err := w.refresh(); err != nil {
				t.Fatal(err)
			}
			w.calls()
			w.allows("deploy", "bob")
			w.allows("octocat", "OctoCat")
			if n := w.calls(); n != 0 {
				t.Errorf("%d calls after a refresh", n)
			}
		})
	}
	w := newWorld(t)
	w.github.NoGraph = false
	w.github.Break(fault("/graphql", body("application/json", `{"errors":[{"type":"RATE_LIMITED","message":"slow down"}]}`)))
	if err := w.refresh(); !known.Is(err, known.Limited) {
		t.Errorf("rate limited: %v", err)
	}
}

func TestRefresh(t *testing.T) {
	w := newWorld(t)
	w.github.NoGraph = false
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.calls()
	for account, login := range map[string]string{"octocat": "OctoCat", "dave": "dave", "deploy": "carol", "alice": "alice-gh"} {
		if d := w.allows(account, login); d.Source != "cache" {
			t.Errorf("%q: answered from %q", account, d.Source)
		}
	}
	w.refuses("stranger", "stranger", "not a member")
	w.refuses("bob", "bob", "not a member")
	if n := w.calls(); n != 0 {
		t.Errorf("%d calls after a refresh", n)
	}
	w.change(leave("operations", "carol"))
	w.later(4 * time.Minute)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.refuses("deploy", "carol", "belongs to no member")
	w.allows("deploy", "bob")
}

// TestATeamThatVanished is no reason to forget it, nor not to see the others.
func TestATeamThatVanished(t *testing.T) {
	w := newWorld(t)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.change(func(s *githubtest.State) { delete(s.Teams, "operations") })
	w.change(leave("developers", "alice-gh"))
	w.later(6 * time.Minute)
	if err := w.refresh(); !known.Is(err, known.Missing) {
		t.Fatalf("got %v", err)
	}
	if d := w.allows("deploy", "bob"); d.Source != "stale" {
		t.Errorf("answered from %q", d.Source)
	}
	w.refuses("alice", "alice-gh", "not a member")
	w.later(24 * time.Hour)
	w.failsAs("deploy", "bob", known.Missing)
}

func TestATeamThatShrank(t *testing.T) {
	for _, left := range []int{0, 4} {
		t.Run(fmt.Sprint("to ", left), func(t *testing.T) {
			w := newWorld(t)
			w.crowd("operations", 10, 0)
			if err := w.refresh(); err != nil {
				t.Fatal(err)
			}
			w.crowd("operations", left, 0)
			w.later(6 * time.Minute)
			if err := w.refresh(); !known.Is(err, known.Suspicious) {
				t.Fatalf("believed at once: %v", err)
			}
			w.github.Break(fault("/memberships/", status(500))) // nobody can ask about one member
			w.allows("deploy", "user-00009")
			w.github.Break(nil)
			w.later(6 * time.Minute)
			if err := w.refresh(); err != nil {
				t.Fatalf("not believed the second time: %v", err)
			}
			w.refuses("deploy", "user-00009", "")
		})
	}
}

// TestALoginMeetsAShrunkTeam: the refusal of one login counts only when the
// team's list is one to believe.
func TestALoginMeetsAShrunkTeam(t *testing.T) {
	w := newWorld(t)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.change(func(s *githubtest.State) {
		s.Teams["developers"], s.Teams["web"] = githubtest.Team{}, githubtest.Team{Parent: "developers"}
	})
	w.later(6 * time.Minute)
	if d := w.allows("octocat", "OctoCat"); d.Source != "stale" {
		t.Errorf("answered from %q", d.Source)
	}
	w.later(2 * time.Minute)
	w.refuses("octocat", "OctoCat", "not a member")
}

func TestRenamedLogins(t *testing.T) {
	rename := func(s *githubtest.State) {
		leave("developers", "OctoCat")(s)
		enrol(s, "developers", githubtest.Member{Login: "octodog", ID: 583231})
		s.Users["octodog"] = s.Users["OctoCat"]
		delete(s.Users, "OctoCat")
	}
	redirect := func(s *githubtest.State) { s.Renamed = map[string]string{"octocat": "octodog"} }
	stranger := func(s *githubtest.State) {
		enrol(s, "developers", githubtest.Member{Login: "octocat", ID: 4242})
		s.Users["octocat"] = githubtest.User{ID: 4242, Keys: []string{testKey("thief")}}
	}
	ask := func(w *world) error { return nil }
	bulk := func(w *world) error { return w.refresh() }
	for name, how := range map[string]func(*world) error{"asked": ask, "refreshed": bulk} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.allows("octocat", "OctoCat")
			w.change(rename)
			w.change(redirect)
			w.later(6 * time.Minute)
			if err := how(w); err != nil {
				t.Fatal(err)
			}
			// The account is the person's, whom the id names.
			if d := w.allows("octocat", "OctoCat"); !strings.Contains(d.Lines[0], "github:octodog") {
				t.Errorf("got %q", d.Lines)
			}
			w.change(stranger)
			w.later(6 * time.Minute)
			if err := how(w); err != nil {
				t.Fatal(err)
			}
			w.refuses("octocat", "thief", "no such key")
			w.allows("octocat", "OctoCat")
		})
	}
	t.Run("nobody knew the id", func(t *testing.T) {
		w := newWorld(t)
		w.change(rename)
		w.refuses("octocat", "OctoCat", "not a member")
	})
}

func TestAnIDInTheConfiguration(t *testing.T) {
	w := newWorld(t)
	w.conf.Accounts["alice"] = settings.Account{Logins: []string{"alice-gh:11"}}
	w.allows("alice", "alice-gh")
	w.conf.Accounts["alice"] = settings.Account{Logins: []string{"alice-gh:12"}}
	w.refuses("alice", "alice-gh", "another person")
}

// TestTheSecondHalfIsForLogins: a refresh stops when it would take the calls
// that logins need, and goes on where it stopped.
func TestTheSecondHalfIsForLogins(t *testing.T) {
	w := newWorld(t)
	w.crowd("operations", 40, 0)
	w.github.Limit = 100
	err := w.refresh()
	if !known.Is(err, known.Limited) {
		t.Fatalf("got %v", err)
	}
	if used := w.github.Used(); used > 55 {
		t.Errorf("%d of 100 calls were used", used)
	}
	w.allows("octocat", "OctoCat")
	w.github.Reset() // the next hour
	w.later(time.Hour)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.allows("deploy", "user-00039")
}

// TestAThousandMembersOn200Hosts counts the calls against the rate limit: one token
// for all, a team of 1,000, an hour.
func TestAThousandMembersOn200Hosts(t *testing.T) {
	if testing.Short() {
		t.Skip("200 hosts take a while")
	}
	w := newWorld(t)
	w.github.NoGraph = false
	w.conf.Teams, w.conf.Accounts = []string{"operations"}, nil
	w.crowd("operations", 1000, 0)
	// What a host costs, measured once; every host is alike.
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	perHost := w.github.Used()
	if perHost > 10 {
		t.Fatalf("a refresh of 1,000 members costs %d calls, want 10: %q", perHost, w.github.Calls())
	}
	if total := 200 * perHost; total > 5000/2 {
		t.Errorf("200 hosts need %d calls for a refresh each", total)
	}
	// And however many hosts there are, refreshes leave the second half.
	w.github.Reset()
	w.github.Limit = 100
	refused := 0
	for range 12 {
		w.later(5 * time.Minute)
		if err := w.refresh(); err != nil {
			refused++
		}
	}
	if used := w.github.Used(); used > 55 || refused == 0 {
		t.Errorf("12 refreshes used %d of 100 calls, %d were stopped", used, refused)
	}
}

func TestLoginsFile(t *testing.T) {
	w := newWorld(t)
	w.allows("octocat", "OctoCat")
	k, _ := pubkey.ParseLine(testKey("OctoCat"))
	line := func() []string {
		for l := range strings.Lines(w.read("logins")) {
			if f := strings.Fields(l); f[0] == k.Fingerprint() {
				return f
			}
		}
		return nil
	}
	first := line()
	if len(first) != 5 || first[1] != "OctoCat" || first[2] != "583231" || first[3] == "0" {
		t.Fatalf("after a login: %q", first)
	}
	w.later(time.Hour)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	if again := line(); !slices.Equal(first, again) {
		t.Errorf("a key that did not change has the line %q, and had %q", again, first)
	}
	if n := strings.Count(w.read("logins"), "\n"); n != 5 {
		t.Errorf("%d lines for 5 members", n)
	}
	w.change(func(s *githubtest.State) {
		s.Users["bob"] = githubtest.User{ID: 21, Keys: []string{testKey("OctoCat")}}
	})
	w.later(time.Hour)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	if l := line(); l != nil {
		t.Errorf("a key that two people have is said to be %q's", l)
	}
	info, err := os.Stat(w.conf.Cache.Dir + "/logins")
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
