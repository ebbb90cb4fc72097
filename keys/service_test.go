// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"castgate/keys/githubtest"

	"castgate/keys"
	"castgate/keys/github"
	"castgate/keys/local"
	"castgate/keys/pubkey"
	"castgate/keys/settings"
)

const testToken = "ghp_standinTOKENthatMUSTneverLEAK"

// world is a host with a configuration, a cache and a GitHub of its own.
type world struct {
	t      *testing.T
	github *githubtest.Server
	conf   *settings.Config
	svc    *keys.Service
	mu     sync.Mutex
	state  githubtest.State
	clock  time.Time
	token  string
	group  string // like group(5)
	passwd string // like passwd(5)
	nss    string // like nsswitch.conf(5)
}

// people are the accounts in the group that opens them to their namesakes.
func (w *world) people(names ...string) {
	w.t.Helper()
	w.write(w.group, "root:x:0:\n"+"castgate-people"+":x:999:"+strings.Join(names, ",")+"\n")
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: time.Now(), token: testToken, state: acme(), passwd: local.Host().Passwd}
	w.github = &githubtest.Server{
		State:   func() (githubtest.State, error) { w.mu.Lock(); defer w.mu.Unlock(); return w.state, nil },
		Token:   func() string { w.mu.Lock(); defer w.mu.Unlock(); return w.token },
		NoGraph: true,
	}
	srv := w.github.Start(t)
	dir := t.TempDir()
	w.conf = settings.Default()
	w.conf.GitHub.URL = srv.URL
	w.conf.GitHub.Org = "acme"
	w.conf.GitHub.TokenFile = filepath.Join(dir, "token")
	w.conf.Teams = []string{"developers"}
	w.conf.Accounts = map[string]settings.Account{
		"deploy": {Teams: []string{"operations"}},
		"alice":  {Logins: []string{"alice-gh"}},
	}
	w.conf.Cache.Dir = filepath.Join(dir, "cache")
	w.conf.GitHub.App.TokenDir = filepath.Join(dir, "run")
	w.conf.State = filepath.Join(dir, "state")
	for _, made := range []string{"run", "state", "state/people", "state/seen"} {
		if err := os.Mkdir(filepath.Join(dir, made), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.write(filepath.Join(w.conf.State, "adopted"), "")
	w.group = filepath.Join(dir, "group")
	w.people("octocat", "OCTOCAT", "dave", "invited", "stranger", "bob")
	w.write(w.conf.GitHub.TokenFile, testToken+"\n")
	w.restart()
	return w
}

// acme has two teams; "web" is a child of developers.
func acme() githubtest.State {
	s := githubtest.State{Org: "acme", Teams: map[string]githubtest.Team{}, Users: map[string]githubtest.User{}}
	add := func(team, login, state string, id int64) {
		tm := s.Teams[team]
		tm.Members = append(tm.Members, githubtest.Member{Login: login, ID: id, State: state})
		s.Teams[team] = tm
		s.Users[login] = githubtest.User{ID: id, Keys: []string{testKey(login)}}
	}
	add("developers", "OctoCat", "active", 583231)
	add("developers", "alice-gh", "active", 11)
	add("developers", "invited", "pending", 12)
	add("operations", "bob", "active", 21)
	add("operations", "carol", "active", 22)
	add("web", "dave", "active", 31)
	s.Teams["web"] = githubtest.Team{Members: s.Teams["web"].Members, Parent: "developers"}
	s.Users["stranger"] = githubtest.User{ID: 99, Keys: []string{testKey("stranger")}}
	return s
}

// process is a process of its own: nothing but the cache is shared.
func (w *world) process() *keys.Service {
	w.t.Helper()
	if err := w.conf.Validate(); err != nil {
		w.t.Fatal(err)
	}
	svc, err := keys.New(w.conf)
	if err != nil {
		w.t.Fatal(err)
	}
	github.Connect(svc)
	svc.Known.Now = func() time.Time { return w.clock }
	svc.Owners.Host = local.Files{Passwd: w.passwd, Group: w.group, NSSwitch: w.nss}
	return svc
}

func (w *world) restart() { w.svc = w.process() }

func (w *world) write(path, text string) {
	w.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// change edits the organisation.
func (w *world) change(edit func(*githubtest.State)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	edit(&w.state)
}

// issue makes another token the right one, and writes it into the host's file.
func (w *world) issue(token string) {
	w.t.Helper()
	w.mu.Lock()
	w.token = token
	w.mu.Unlock()
	w.write(w.conf.GitHub.TokenFile, token)
}

// later lets time pass.
func (w *world) later(d time.Duration) { w.clock = w.clock.Add(d) }

// decide asks as sshd does, in a process of its own.
func (w *world) decide(account, keyOf string) (*keys.Decision, error) {
	w.t.Helper()
	w.restart()
	ctx, cancel := context.WithTimeout(context.Background(), w.conf.GitHub.Timeout)
	defer cancel()
	var offered *pubkey.Key
	if keyOf != "" {
		k, err := pubkey.ParseLine(testKey(keyOf))
		if err != nil {
			w.t.Fatal(err)
		}
		offered = &k
	}
	d, err := w.svc.Decide(ctx, account, offered)
	if serr := w.svc.See(d); serr != nil {
		w.t.Fatal(serr)
	}
	return d, err
}

// allows and refuses ask with the key of a login.
func (w *world) allows(account, keyOf string) *keys.Decision {
	w.t.Helper()
	d, err := w.decide(account, keyOf)
	if err != nil || !d.Allowed() {
		w.t.Fatalf("account %q, key of %q: refused (%v): %s", account, keyOf, err, fmt.Sprint(d.Steps))
	}
	return d
}

func (w *world) refuses(account, keyOf, why string) *keys.Decision {
	w.t.Helper()
	d, err := w.decide(account, keyOf)
	if err != nil || d.Allowed() || !strings.Contains(d.Why, why) {
		w.t.Fatalf("account %q, key of %q: want refused for %q, got %v %q (%v)", account, keyOf, why, d.Lines, d.Why, err)
	}
	return d
}
