// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"castgate/keys/githubtest"
	"castgate/packaging/hosttest"
)

// TestLogin lets people in and refuses people with everything in place: the
// shipped snippet, castgate-keys, GitHub, the recorder.
func TestLogin(t *testing.T) {
	member, other, pending, stranger := hosttest.NewKey(t, "ed25519"), hosttest.NewKey(t, "rsa"), hosttest.NewKey(t, "ed25519"), hosttest.NewKey(t, "ed25519")
	second, night := hosttest.NewKey(t, "ecdsa"), hosttest.NewKey(t, "ed25519")
	startGitHub(t, githubtest.State{
		Org: "acme",
		Teams: map[string]githubtest.Team{
			"operations": {Members: []githubtest.Member{{Login: "Octocat", ID: 1}, {Login: "hubot", ID: 2}, {Login: "guest", ID: 3, State: "pending"}}},
			"night":      {Members: []githubtest.Member{{Login: "owl", ID: 5}}, Parent: "operations"},
			"sales":      {Members: []githubtest.Member{{Login: "seller", ID: 4}}},
		},
		Users: map[string]githubtest.User{
			"Octocat": {ID: 1, Keys: []string{member.Line, second.Line}}, "hubot": {ID: 2, Keys: []string{other.Line}},
			"guest": {ID: 3, Keys: []string{pending.Line}}, "seller": {ID: 4, Keys: []string{stranger.Line}},
			"owl": {ID: 5, Keys: []string{night.Line}},
		},
	}, "teams: [operations]\naccounts: {deploy: {teams: [operations]}, renamed: {logins: [Octocat]}}\n")
	for _, name := range []string{"octocat", "hubot", "guest", "seller", "owl", "deploy", "renamed", "local"} {
		// A file of the user's own opens nothing.
		hosttest.AddUser(t, name, "/bin/bash", "--groups", "castgate-people").Authorize(t, stranger)
	}
	syslog := hosttest.StartSyslog(t)
	sshd := hosttest.StartSshd(t, snippet(t))
	for _, tt := range []struct {
		name, account string
		key           *hosttest.Key
		in            bool
	}{
		{"a member", "octocat", member, true},
		{"a member with a second key", "octocat", second, true},
		{"another member", "hubot", other, true},
		{"a member of a child team", "owl", night, true},
		{"a shared account", "deploy", other, true},
		{"an account of another name", "renamed", member, true},
		{"a member with somebody else's key", "octocat", other, false},
		{"not in a listed team", "seller", stranger, false},
		{"a pending member", "guest", pending, false},
		{"a shared account, no member", "deploy", stranger, false},
		{"an account of another name, another member", "renamed", other, false},
		{"an account that GitHub doesn't know", "local", stranger, false},
		{"root", "root", member, false},
		{"no such account", "nobody-here", member, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forget(t)
			sshd.Log.Forget()
			syslog.Forget()
			got := hosttest.Do(t, sshd.Ssh(tt.key, tt.account, nil, "id -un; echo err >&2; exit 7"), nil)
			if !tt.in {
				if got.Status != 255 || got.Stdout != "" || !strings.Contains(got.Stderr, "Permission denied (publickey)") {
					t.Errorf("got %+v\n%s", got, strings.Join(sshd.Log.Lines(), "\n"))
				}
				if n := len(in(t, "live")) + len(in(t, "incoming")); n != 0 {
					t.Errorf("%d recordings of a login that was refused", n)
				}
				if tt.account != "root" && tt.account != "nobody-here" { // sshd has no question about these
					syslog.Wait(t, "castgate-keys[", "account="+tt.account)
				}
				return
			}
			if want := (hosttest.Result{Stdout: tt.account + "\n", Stderr: "err\n", Status: 7}); got != want {
				t.Fatalf("got %+v\n%s\n%s", got, strings.Join(sshd.Log.Lines(), "\n"), strings.Join(syslog.Lines(), "\n"))
			}
			rec := finished(t, 1)[0]
			if rec.header.Session.User != tt.account || string(rec.output) != tt.account+"\nerr\n" || rec.exit != "7" {
				t.Errorf("recorded %q, exit %q, %+v", rec.output, rec.exit, rec.header.Session)
			}
			syslog.Wait(t, "castgate-keys[", "account="+tt.account, tt.key.Fingerprint)
			syslog.Wait(t, "castgate-wrap[", rec.header.Session.ID)
		})
	}
}

// TestGitHubGone is an outage: who was let in is let in, who wasn't isn't.
func TestGitHubGone(t *testing.T) {
	member, stranger := hosttest.NewKey(t, "ed25519"), hosttest.NewKey(t, "ed25519")
	g := startGitHub(t, githubtest.State{
		Org:   "acme",
		Teams: map[string]githubtest.Team{"operations": {Members: []githubtest.Member{{Login: "octocat", ID: 1}}}},
		Users: map[string]githubtest.User{"octocat": {ID: 1, Keys: []string{member.Line}}},
	}, "teams: [operations]\ncache: {ttl: 1s, max_stale: 24h}\n")
	hosttest.AddUser(t, "octocat", "/bin/bash", "--groups", "castgate-people")
	sshd := hosttest.StartSshd(t, snippet(t))
	login := func(k *hosttest.Key) int {
		return hosttest.Do(t, sshd.Ssh(k, "octocat", nil, "true"), nil).Status
	}
	if got := login(member); got != 0 {
		t.Fatalf("before the outage: %d", got)
	}
	g.Break(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	if got := login(member); got != 0 {
		t.Errorf("during the outage: %d", got)
	}
	if got := login(stranger); got != 255 {
		t.Errorf("a stranger during the outage: %d", got)
	}
}
