// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"castgate/keys/githubtest"

	"castgate/keys/known"
	"castgate/keys/settings"
)

// Whoever left is out, whatever else fails: with them another team, the disk,
// the clock, or GitHub itself.

// suspend does what a soft deprovisioning by SCIM does on github.com: the login
// becomes a hash, and the teams go on listing it.
func suspend(slug, login string) func(*githubtest.State) {
	const hash = "a94a8fe5ccb19ba61c4c0873d391e9879_acme"
	return func(s *githubtest.State) {
		u := s.Users[login]
		leave(slug, login)(s)
		enrol(s, slug, githubtest.Member{Login: hash, ID: u.ID})
		s.Users[hash] = u
		delete(s.Users, login)
	}
}

func TestASuspendedMemberIsNoMember(t *testing.T) {
	for name, graph := range map[string]bool{"REST": false, "GraphQL": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.github.NoGraph = !graph
			if err := w.refresh(); err != nil {
				t.Fatal(err)
			}
			w.allows("octocat", "OctoCat")
			w.allows("deploy", "bob")
			w.change(suspend("developers", "OctoCat"))
			w.change(suspend("operations", "bob"))
			w.later(6 * time.Minute)
			w.refuses("octocat", "OctoCat", "not a member") // asked by itself
			w.later(6 * time.Minute)
			if err := w.refresh(); err != nil {
				t.Fatal(err)
			}
			w.refuses("octocat", "OctoCat", "not a member")
			w.refuses("deploy", "bob", "")
			w.allows("deploy", "carol")
		})
	}
}

// TestASuspensionThatOnlyRESTTells is not forgotten by a refresh that can't
// tell, and ends when GitHub says so.
func TestASuspensionThatOnlyRESTTells(t *testing.T) {
	w := newWorld(t)
	w.github.NoGraph = false
	suspended := func(is bool) {
		w.change(func(s *githubtest.State) {
			u := s.Users["OctoCat"]
			u.Suspended = is
			s.Users["OctoCat"] = u
		})
	}
	w.allows("octocat", "OctoCat")
	suspended(true)
	w.later(6 * time.Minute)
	w.refuses("octocat", "OctoCat", "suspended")
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.refuses("octocat", "OctoCat", "suspended")
	suspended(false)
	w.later(time.Minute)
	w.allows("octocat", "OctoCat")
}

func TestAMistypedTeamKeepsNobodyIn(t *testing.T) {
	w := newWorld(t)
	w.conf.Teams = []string{"developers", "mistyped"}
	w.conf.Accounts["deploy"] = settings.Account{Teams: []string{"operations", "mistyped"}}
	_ = w.refresh()
	w.allows("octocat", "OctoCat")
	w.allows("deploy", "bob")
	w.change(leave("developers", "OctoCat"))
	w.change(leave("operations", "bob"))
	w.later(6 * time.Minute)
	for account, login := range map[string]string{"octocat": "OctoCat", "deploy": "bob"} {
		if d, _ := w.decide(account, login); d.Allowed() {
			t.Errorf("%q is let in: %v", login, d.Steps)
		}
	}
	w.allows("dave", "dave")
	w.allows("deploy", "carol")
}

// TestABrokenTeamKeepsNobodyOfAnotherIn: a refresh that breaks at the second
// team has heard who left the first.
func TestABrokenTeamKeepsNobodyOfAnotherIn(t *testing.T) {
	w := newWorld(t)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.change(leave("developers", "OctoCat"))
	w.later(6 * time.Minute)
	w.github.Break(fault("/teams/operations/", status(500)))
	if err := w.refresh(); !known.Is(err, known.Broken) {
		t.Fatalf("got %v", err)
	}
	w.github.Break(fault("", status(500)))
	w.later(10 * time.Minute)
	if d, _ := w.decide("octocat", "OctoCat"); d.Allowed() {
		t.Errorf("the leaver is let in: %v", d.Steps)
	}
	w.allows("deploy", "bob")
}

// rendered writes the files of a refresh and returns what is in one.
func (w *world) rendered(dir string) (func(account string) string, error) {
	w.t.Helper()
	err := w.refresh()
	if rerr := w.svc.Render(dir); rerr != nil {
		err = rerr
	}
	return func(account string) string {
		text, _ := os.ReadFile(filepath.Join(dir, account))
		return string(text)
	}, err
}

func TestFilesForgetLeaversOfEveryOtherTeam(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	w.conf.Teams = []string{"developers", "mistyped"}
	w.conf.Accounts["deploy"] = settings.Account{Teams: []string{"operations", "mistyped"}}
	dir := filepath.Join(t.TempDir(), "keys")
	file, _ := w.rendered(dir)
	for account, login := range map[string]string{"octocat": "OctoCat", "dave": "dave", "deploy": "bob"} {
		if !strings.Contains(file(account), "github:"+login) {
			t.Errorf("%s: got %q", account, file(account))
		}
	}
	w.change(leave("developers", "OctoCat"))
	w.change(leave("operations", "bob"))
	w.later(6 * time.Minute)
	file, _ = w.rendered(dir)
	if file("octocat") != "" || strings.Contains(file("deploy"), "github:bob") {
		t.Errorf("leavers stay in: %q, %q", file("octocat"), file("deploy"))
	}
	if !strings.Contains(file("deploy"), "github:carol") || !strings.Contains(file("dave"), "github:dave") {
		t.Errorf("others are out: %q, %q", file("deploy"), file("dave"))
	}
}

func TestAMissingEmergencyFileStopsNothing(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	emergency := filepath.Join(t.TempDir(), "emergency")
	w.write(emergency, testKey("rescue")+"\n")
	w.conf.Emergency = map[string]string{"deploy": emergency}
	dir := filepath.Join(t.TempDir(), "keys")
	file, err := w.rendered(dir)
	if err != nil || !strings.Contains(file("deploy"), testKey("rescue")) {
		t.Fatalf("got %q, %v", file("deploy"), err)
	}
	if err := os.Remove(emergency); err != nil {
		t.Fatal(err)
	}
	w.change(leave("developers", "OctoCat"))
	w.change(leave("operations", "bob"))
	w.later(6 * time.Minute)
	file, err = w.rendered(dir)
	if err == nil || !strings.Contains(err.Error(), emergency) {
		t.Errorf("nobody is told: %v", err)
	}
	if file("octocat") != "" || strings.Contains(file("deploy"), "github:bob") || strings.Contains(file("deploy"), testKey("rescue")) {
		t.Errorf("who left stays in: %q, %q", file("octocat"), file("deploy"))
	}
	if !strings.Contains(file("deploy"), "github:carol") {
		t.Errorf("others are out: %q", file("deploy"))
	}
}

// TestAccountsForgetLeaversOfEveryOtherTeam: a team that can't be seen keeps
// nobody's account who left another.
func TestAccountsForgetLeaversOfEveryOtherTeam(t *testing.T) {
	asRoot(t)
	w := newWorld(t)
	w.conf.Teams = []string{"developers", "mistyped"}
	w.conf.Userdb.Dir = t.TempDir()
	w.conf.Userdb.FirstUID, w.conf.Userdb.LastUID = 1_879_048_192, 2_147_352_575
	if err := os.Chmod(w.conf.Userdb.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	accounts := func() string {
		t.Helper()
		_ = w.refresh()
		if err := w.svc.Accounts(); err != nil {
			t.Fatal(err)
		}
		return strings.Join(ls(t, w.conf.Userdb.Dir), " ")
	}
	if got := accounts(); !strings.Contains(got, "octocat.user") || !strings.Contains(got, "dave.user") {
		t.Fatalf("got %s", got)
	}
	w.change(leave("developers", "OctoCat"))
	w.later(6 * time.Minute)
	if got := accounts(); strings.Contains(got, "octocat.user") || !strings.Contains(got, "dave.user") {
		t.Errorf("got %s", got)
	}
}

// TestTheHundredAndFirstMember: a full page that did not change is followed by
// the next, though the answer does not say that there is one.
func TestTheHundredAndFirstMember(t *testing.T) {
	w := newWorld(t)
	w.crowd("operations", 100, 0)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.crowd("operations", 101, 0)
	w.later(6 * time.Minute)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.allows("deploy", "user-00100")
	w.crowd("operations", 100, 0)
	w.later(6 * time.Minute)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.refuses("deploy", "user-00100", "")
}

// TestOffboardingOneByOne: each leaver is out a minute after they were first
// missing, however the team goes on shrinking.
func TestOffboardingOneByOne(t *testing.T) {
	w := newWorld(t)
	w.crowd("operations", 20, 0)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.github.Break(fault("/memberships/", status(500))) // nobody can ask about one member
	w.later(6 * time.Minute)
	for left := 9; left >= 4; left-- {
		w.crowd("operations", left, 0)
		w.later(20 * time.Second)
		_ = w.refresh()
	}
	for _, gone := range []string{"user-00019", "user-00009", "user-00008"} {
		if d, _ := w.decide("deploy", gone); d.Allowed() {
			t.Errorf("%q is let in: %v", gone, d.Steps)
		}
	}
	w.allows("deploy", "user-00003")
}

// TestAClockBehind: with GitHub unreachable, the newest time that is known
// decides how old an answer is.
func TestAClockBehind(t *testing.T) {
	w := newWorld(t)
	if err := w.refresh(); err != nil {
		t.Fatal(err)
	}
	w.later(23 * time.Hour)
	w.github.Break(fault("/teams/operations/", status(404)))
	_ = w.refresh()
	w.github.Break(fault("", status(500)))
	w.later(-300 * 24 * time.Hour)
	if d := w.allows("octocat", "OctoCat"); d.Source != "stale" {
		t.Errorf("answered from %q", d.Source)
	}
	if d := w.allows("deploy", "bob"); d.Source != "stale" || d.Age < 22*time.Hour {
		t.Errorf("answered from %q, %v old", d.Source, d.Age)
	}
}

// TestAClockThatWasAhead for one refresh lets nobody in for longer, and locks
// nobody out, after it was set right.
func TestAClockThatWasAhead(t *testing.T) {
	const ahead = 60 * 24 * time.Hour
	for name, teams := range map[string][]string{"one team": nil, "with another": {"developers"}} {
		for when, first := range map[string]bool{"from the first refresh on": true, "once": false} {
			t.Run(name+", "+when, func(t *testing.T) {
				w := newWorld(t)
				w.conf.Teams = teams
				w.conf.Accounts = map[string]settings.Account{"deploy": {Teams: []string{"operations"}}}
				refresh := func() {
					t.Helper()
					if err := w.refresh(); err != nil {
						t.Fatal(err)
					}
				}
				if !first {
					refresh()
				}
				w.later(ahead)
				refresh()
				w.later(time.Minute - ahead)
				w.change(leave("operations", "bob"))
				w.github.Break(fault("/teams/operations", status(404))) // it has another slug now
				_ = w.refresh()
				w.later(10 * 24 * time.Hour)
				_ = w.refresh()
				w.github.Break(fault("", status(500)))
				if d, _ := w.decide("deploy", "bob"); d.Allowed() {
					t.Errorf("let in: %v", d.Steps)
				}
			})
		}
	}
	t.Run("others", func(t *testing.T) {
		w := newWorld(t)
		w.conf.SealTeams = []string{"operations"}
		w.later(ahead)
		if err := w.refresh(); err != nil {
			t.Fatal(err)
		}
		w.later(time.Minute - ahead)
		w.conf.SealTeams, w.conf.Accounts = nil, nil
		if err := w.refresh(); err != nil {
			t.Fatal(err)
		}
		w.github.Break(fault("", status(500)))
		w.later(time.Hour)
		if d := w.allows("octocat", "OctoCat"); d.Source != "stale" || d.Age != time.Hour {
			t.Errorf("answered from %q, %v old", d.Source, d.Age)
		}
	})
}

// TestAFindThatHeardANo: each team stands for itself in one question, too.
func TestAFindThatHeardANo(t *testing.T) {
	w := newWorld(t)
	w.conf.Teams = []string{"developers", "operations"}
	w.restart()
	ask := func(broken string) (known.Person, error) {
		w.github.Break(fault(broken, status(404)))
		return w.svc.Finder().Find(context.Background(), "bob", 0, w.conf.Teams)
	}
	if p, err := ask("/teams/developers"); err != nil || p.Teams["operations"] != known.Active {
		t.Errorf("a team that can't be seen hides another: %v %v", p.Teams, err)
	}
	if p, err := ask("/teams/operations"); !known.Is(err, known.Missing) || p.Teams["developers"] != known.None {
		t.Errorf("a no was lost: %v %v", p.Teams, err)
	}
}
