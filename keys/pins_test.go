// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"castgate/keys/githubtest"

	"castgate/keys/known"
	"castgate/keys/pubkey"
)

// rename gives a member another login, as they can themselves at any time.
func rename(slug, from, to string) func(*githubtest.State) {
	return func(s *githubtest.State) {
		u := s.Users[from]
		leave(slug, from)(s)
		enrol(s, slug, githubtest.Member{Login: to, ID: u.ID})
		s.Users[to] = u
		delete(s.Users, from)
	}
}

// passwd gives the host an account that useradd made.
func (w *world) local(names ...string) {
	w.t.Helper()
	text := "root:x:0:0::/:/bin/sh\n"
	for _, name := range names {
		text += name + ":x:1001:1001::/home/" + name + ":/bin/bash\n"
	}
	w.passwd = filepath.Join(w.t.TempDir(), "passwd")
	w.write(w.passwd, text)
}

// TestAMemberTakesTheNameOfAnAccount: nobody gets into an account by calling
// themselves like it.
func TestAMemberTakesTheNameOfAnAccount(t *testing.T) {
	for name, how := range map[string]func(*world) error{"asked": func(*world) error { return nil }, "refreshed": (*world).refresh} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.local("octocat", "svc-backup")
			w.change(rename("web", "dave", "svc-backup"))
			if err := how(w); err != nil {
				t.Fatal(err)
			}
			w.refuses("svc-backup", "dave", "made for nobody on GitHub")
			w.allows("octocat", "OctoCat")
		})
	}
}

// TestTheCacheMayBeRemoved: whose an account is, is not in it.
func TestTheCacheMayBeRemoved(t *testing.T) {
	for name, before := range map[string]func(*world){
		"who has logged in":     func(w *world) { w.allows("octocat", "OctoCat") },
		"who was seen in teams": func(w *world) { _ = w.refresh() },
		"whom root has pinned": func(w *world) {
			if _, err := w.svc.Pin(context.Background(), "octocat", "octocat"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			before(w)
			if err := os.RemoveAll(w.conf.Cache.Dir); err != nil {
				t.Fatal(err)
			}
			w.change(rename("developers", "OctoCat", "octodog"))
			w.change(func(s *githubtest.State) {
				enrol(s, "developers", githubtest.Member{Login: "octocat", ID: 4242})
				s.Users["octocat"] = githubtest.User{ID: 4242, Keys: []string{testKey("thief")}}
			})
			if d, _ := w.decide("octocat", "thief"); d.Allowed() {
				t.Errorf("who took the login is in: %v", d.Steps)
			}
			if d := w.allows("octocat", "OctoCat"); d.ID != 583231 {
				t.Errorf("let in %d", d.ID)
			}
		})
	}
}

// TestARedirectedLogin is nobody's: whoever registers it next would have it.
func TestARedirectedLogin(t *testing.T) {
	w := newWorld(t)
	w.change(rename("developers", "OctoCat", "octodog"))
	w.change(func(s *githubtest.State) { s.Renamed = map[string]string{"octocat": "octodog"} })
	w.refuses("octocat", "OctoCat", "may be taken by another person")
}

// TestTheFirstLogin of an id is said to be that, once, whether or not a refresh
// has seen the id before.
func TestTheFirstLogin(t *testing.T) {
	for name, refreshed := range map[string]bool{"cold": false, "after a refresh": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.local("octocat")
			if refreshed {
				if err := w.refresh(); err != nil {
					t.Fatal(err)
				}
			}
			k, _ := pubkey.ParseLine(testKey("OctoCat"))
			d, err := w.svc.Decide(context.Background(), "octocat", &k)
			var said, logged bytes.Buffer
			d.Explain(&said, err)
			d.Log(slog.New(slog.NewTextHandler(&logged, nil)), err)
			if !strings.Contains(said.String(), "for the first time") || !strings.Contains(logged.String(), "for the first time with the id 583231") || !strings.Contains(logged.String(), "level=WARN") {
				t.Errorf("said %s, logged %s", &said, &logged)
			}
			if again := w.allows("octocat", "OctoCat"); !again.First() {
				t.Error("a question that let nobody in counted as a login")
			}
			if again := w.allows("octocat", "OctoCat"); again.First() {
				t.Errorf("the second login is a first one: %v", again.Steps)
			}
		})
	}
}

func TestPin(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	w.local("mona", "octocat")
	w.people()
	w.refuses("mona", "OctoCat", "made for nobody")
	w.restart()
	if o, err := w.svc.Pin(context.Background(), "mona", "octocat"); err != nil || o.ID != 583231 || o.Login != "OctoCat" {
		t.Fatalf("%v, %v", o, err)
	}
	if d := w.allows("mona", "OctoCat"); d.First() {
		t.Error("whom root has pinned is new")
	}
	w.change(rename("developers", "OctoCat", "octodog"))
	w.later(6 * time.Minute)
	w.allows("mona", "OctoCat")
	w.refuses("octocat", "OctoCat", "made for nobody")
	if _, err := w.svc.Pin(context.Background(), "mona", "dave"); err != nil {
		t.Fatal(err)
	}
	w.refuses("mona", "OctoCat", "no such key")
	w.allows("mona", "dave")
	if err := w.svc.Owners.Unpin("mona"); err != nil {
		t.Fatal(err)
	}
	w.refuses("mona", "dave", "made for nobody")
	for account, login := range map[string]string{"root": "octodog", "../x": "octodog", "mona": "stranger"} {
		if _, err := w.svc.Pin(context.Background(), account, login); err == nil {
			t.Errorf("%q was pinned to %q", account, login)
		}
	}
}

// TestPinAll is what castgate enable does.
func TestPinAll(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	w.local("octocat", "dave", "stranger", "svc-backup")
	w.people("octocat", "stranger")
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.svc.Owners.Host.Passwd = w.passwd
	done, err := w.svc.Owners.PinAll()
	if err != nil || len(done) != 2 || done[0].String() != `alice opens to alice-gh (id 11), by the configuration's "accounts"` ||
		done[1].String() != "octocat opens to octocat (id 583231), by the group castgate-people" {
		t.Errorf("pinned %v, %v", done, err)
	}
	if again, err := w.svc.Owners.PinAll(); err != nil || len(again) != 0 {
		t.Errorf("pinned again: %v, %v", again, err)
	}
}

// TestOutOfTheGroup: what castgate enable wrote down binds an account to a
// person and opens nothing when the administrator takes it away.
func TestOutOfTheGroup(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	w.local("octocat")
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	if done, err := w.svc.Owners.PinAll(); err != nil || len(done) == 0 {
		t.Fatalf("pinned %v, %v", done, err)
	}
	w.allows("octocat", "OctoCat")
	w.allows("alice", "alice-gh")
	w.people()
	delete(w.conf.Accounts, "alice")
	w.refuses("octocat", "OctoCat", "made for nobody")
	w.refuses("alice", "alice-gh", "made for nobody")
	w.people("octocat")
	w.allows("octocat", "OctoCat")
}

// TestAStateThatCanNotBeTrusted opens nothing, and closes nothing else.
func TestAStateThatCanNotBeTrusted(t *testing.T) {
	asRoot(t)
	for name, spoil := range map[string]func(file string) error{
		"garbage":            func(file string) error { return os.WriteFile(file, []byte("octocat\n"), 0o644) },
		"a number alone":     func(file string) error { return os.WriteFile(file, []byte("583231\n"), 0o644) },
		"writable by others": func(file string) error { return os.Chmod(filepath.Dir(file), 0o777) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if _, err := w.svc.Pin(context.Background(), "octocat", "octocat"); err != nil {
				t.Fatal(err)
			}
			if err := spoil(filepath.Join(w.conf.State, "people", "octocat")); err != nil {
				t.Fatal(err)
			}
			w.failsAs("octocat", "OctoCat", known.Unkept)
			w.allows("deploy", "bob")
		})
	}
}

// TestAGroupOfTheirOwn: useradd -g is as good as useradd -G.
func TestAGroupOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	w.people()
	w.passwd = filepath.Join(t.TempDir(), "passwd")
	w.write(w.passwd, "octocat:x:1001:999::/home/octocat:/bin/bash\n")
	w.allows("octocat", "OctoCat")
}

func TestLasting(t *testing.T) {
	w := newWorld(t)
	w.local("octocat")
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.github.Break(fault("/teams/operations", status(404)))
	w.later(time.Hour)
	_ = w.refresh()
	w.svc.Owners.Host.Passwd = w.passwd
	all, err := w.svc.Lasting()
	if err != nil || len(all) != 1 || all[0].String() != "deploy opens to bob, carol, as GitHub said 1h0m0s ago and not since; max_stale ends it in 23h0m0s" {
		t.Errorf("got %v, %v", all, err)
	}
}

func TestNamesakes(t *testing.T) {
	w := newWorld(t)
	w.local("octocat", "dave", "stranger", "alice-gh")
	w.people("dave")
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(w.svc.Owners.Namesakes(), " "); got != "alice-gh octocat" {
		t.Errorf("got %q", got)
	}
}
