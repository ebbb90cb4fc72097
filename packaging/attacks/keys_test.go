// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

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

// Nobody is recorded here: these are the ways of members and former members to
// get into an account that is not theirs, with a stock sshd that asks
// castgate-keys.

// organisation is a GitHub whose members the tests rename and suspend.
type organisation struct {
	testing.TB
	mu    sync.Mutex
	users map[string]githubtest.User // all of them in the team "developers"
	sshd  *hosttest.Sshd
}

func newOrganisation(t *testing.T, users map[string]githubtest.User) *organisation {
	t.Helper()
	hosttest.Install(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &organisation{TB: t, users: users}
	srv := &http.Server{Handler: &githubtest.Server{State: o.state, Token: func() string { return "token" }}}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	const token = "/etc/castgate/github-token"
	if err := os.WriteFile(token, []byte("token\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "chown", "root:castgate-keys", token)
	hosttest.Config(t, "keys", fmt.Sprintf("github: {url: \"http://%s/\", org: acme, token_file: %s}\nteams: [developers]\ncache: {ttl: 1ms, max_stale: 24h}\n", l.Addr(), token))
	o.forget("/var/cache/castgate-keys")
	o.forget("/var/lib/castgate-keys")
	o.sshd = hosttest.StartSshd(t, "AuthorizedKeysCommand /usr/bin/castgate-keys %u %t %k", "AuthorizedKeysCommandUser castgate-keys", "AuthorizedKeysFile none")
	return o
}

func (o *organisation) state() (githubtest.State, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := githubtest.State{Org: "acme", Users: map[string]githubtest.User{}, Teams: map[string]githubtest.Team{}}
	var team githubtest.Team
	for login, u := range o.users {
		s.Users[login] = u
		team.Members = append(team.Members, githubtest.Member{Login: login, ID: u.ID})
	}
	s.Teams["developers"] = team
	return s, nil
}

// rename is what everybody can do to their own login.
func (o *organisation) rename(from, to string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.users[to] = o.users[from]
	delete(o.users, from)
}

// forget removes every file below a directory.
func (o *organisation) forget(dir string) {
	o.Helper()
	hosttest.Run(o, "find", dir, "-type", "f", "-delete")
}

func (o *organisation) opens(account string, key *hosttest.Key, want bool) {
	o.Helper()
	got := hosttest.Do(o, o.sshd.Ssh(key, account, nil, "id -un"), nil)
	if in := got.Stdout == account+"\n" && got.Status == 0; in != want {
		o.Errorf("%s opens: %v, want %v; %+v", account, in, want, got)
	}
}

// person is a member with a key.
func person(id int64, key *hosttest.Key) githubtest.User {
	return githubtest.User{ID: id, Keys: []string{key.Line}}
}

// TestTheNameOfAnAccount: a member calls themselves on GitHub like an account
// that may do more than they.
func TestTheNameOfAnAccount(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	o := newOrganisation(t, map[string]githubtest.User{"mallory": person(7, key)})
	hosttest.AddUser(t, "mallory", "/bin/sh", "--groups", "castgate-people")
	hosttest.AddUser(t, "svc-backup", "/bin/sh", "--groups", "sudo")
	o.opens("mallory", key, true)
	o.rename("mallory", "svc-backup")
	hosttest.Run(t, "runuser", "-u", "castgate-keys", "--", "castgate-keys", "refresh")
	o.opens("svc-backup", key, false)
	o.opens("mallory", key, true) // the account is still theirs
}

// TestALoginThatWasGivenUp: another member takes the login of somebody who has
// a new one, and the cache is removed for good measure.
func TestALoginThatWasGivenUp(t *testing.T) {
	theirs, mine := hosttest.NewKey(t, "ed25519"), hosttest.NewKey(t, "ed25519")
	o := newOrganisation(t, map[string]githubtest.User{"alice": person(1, theirs), "mallory": person(7, mine)})
	hosttest.AddUser(t, "alice", "/bin/sh", "--groups", "castgate-people")
	o.opens("alice", theirs, true)
	o.rename("alice", "alice-b")
	o.rename("mallory", "alice")
	o.forget("/var/cache/castgate-keys")
	o.opens("alice", mine, false)
	o.opens("alice", theirs, true)
}

// TestASuspendedManagedUser: SCIM has taken them out, and the team goes on
// listing them under a hash of their login.
func TestASuspendedManagedUser(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	o := newOrganisation(t, map[string]githubtest.User{"alice_acme": person(1, key)})
	hosttest.AddUser(t, "alice_acme", "/bin/sh", "--groups", "castgate-people")
	o.opens("alice_acme", key, true)
	o.rename("alice_acme", "a94a8fe5ccb19ba61c4c0873d391e987_acme")
	o.opens("alice_acme", key, false)
	hosttest.Run(t, "runuser", "-u", "castgate-keys", "--", "castgate-keys", "refresh")
	o.opens("alice_acme", key, false)
}
