// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"castgate/keys/githubtest"
	"castgate/packaging/hosttest"
)

// acme is an organisation with one team, of these logins with these keys.
func acme(keys map[string]*hosttest.Key) githubtest.State {
	s := githubtest.State{Org: "acme", Teams: map[string]githubtest.Team{}, Users: map[string]githubtest.User{}}
	var team githubtest.Team
	id := int64(100)
	for login, k := range keys {
		id++
		team.Members = append(team.Members, githubtest.Member{Login: login, ID: id})
		s.Users[login] = githubtest.User{ID: id, Keys: []string{k.Line}}
	}
	s.Teams["operations"] = team
	return s
}

// decisions counts the lines that castgate-keys has logged: one for each time
// that sshd ran it.
func decisions(l *hosttest.Log) (n int) {
	for _, line := range l.Lines() {
		if strings.Contains(line, "castgate-keys[") {
			n++
		}
	}
	return n
}

// TestHowOftenSshdAsks holds how often sshd asks for one login, and
// that all of a login's questions make one round of calls.
func TestHowOftenSshdAsks(t *testing.T) {
	mine := hosttest.NewKey(t, "ed25519")
	var others []string
	for range 4 {
		others = append(others, hosttest.NewKey(t, "ed25519").Path)
	}
	g := startGitHub(t, acme(map[string]*hosttest.Key{"octocat": mine}), "teams: [operations]\n")
	u := hosttest.AddUser(t, "octocat", "/bin/bash", "--groups", "castgate-people")
	syslog := hosttest.StartSyslog(t)
	offer := func(paths ...string) (options []string) {
		for _, p := range paths {
			options = append(options, "-o", "IdentityFile="+p)
		}
		return options
	}
	sshd := hosttest.StartSshd(t, snippet(t))
	files := hosttest.StartSshd(t, snippet(t, "AuthorizedKeysFile none\n", "AuthorizedKeysFile .ssh/authorized_keys\n"))
	wrong := &hosttest.Key{Path: others[0]}
	for _, tt := range []struct {
		name        string
		sshd        *hosttest.Sshd
		account     string
		first       *hosttest.Key
		more        []string
		in          bool
		runs, calls int
	}{
		{"one key, accepted", sshd, "octocat", mine, nil, true, 2, 3},
		{"five keys, the first accepted", sshd, "octocat", mine, offer(others...), true, 2, 3},
		{"five keys, the last accepted", sshd, "octocat", wrong, offer(append(others[1:4:4], mine.Path)...), true, 6, 3},
		{"four keys, none accepted", sshd, "octocat", wrong, offer(others[1:]...), false, 4, 3},
		{"no such account", sshd, "nobody-here", mine, nil, false, 0, 0},
		{"a key in a file", files, "octocat", mine, nil, true, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.sshd == files {
				u.Authorize(t, mine)
			}
			emptyCache(t)
			syslog.Forget()
			g.Reset()
			got := hosttest.Do(t, tt.sshd.Ssh(tt.first, tt.account, tt.more, "true"), nil)
			if (got.Status == 0) != tt.in {
				t.Fatalf("got %+v\n%s", got, strings.Join(syslog.Lines(), "\n"))
			}
			hosttest.WaitFor(t, "the log", func() bool { return decisions(syslog) >= tt.runs })
			if n := decisions(syslog); n != tt.runs {
				t.Errorf("sshd ran castgate-keys %d times, want %d\n%s", n, tt.runs, strings.Join(syslog.Lines(), "\n"))
			}
			if calls := g.Calls(); len(calls) != tt.calls {
				t.Errorf("%d calls to GitHub, want %d: %q", len(calls), tt.calls, calls)
			}
		})
	}
}

// TestBreakGlassUnderAHungGitHub: forty clients wait for a GitHub that doesn't
// answer, and whoever has the emergency key gets in, at the first try.
func TestBreakGlassUnderAHungGitHub(t *testing.T) {
	member, rescue := hosttest.NewKey(t, "ed25519"), hosttest.NewKey(t, "ed25519")
	g := startGitHub(t, acme(map[string]*hosttest.Key{"octocat": member}),
		"teams: [operations]\nemergency: {breakglass: /etc/castgate/emergency_keys}\n")
	if err := os.WriteFile("/etc/castgate/emergency_keys", []byte("restrict,pty "+rescue.Line+" in the safe\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	hosttest.AddUser(t, "octocat", "/bin/bash", "--groups", "castgate-people")
	hosttest.AddUser(t, "breakglass", "/bin/bash")
	syslog := hosttest.StartSyslog(t)
	sshd := hosttest.StartSshd(t, snippet(t))
	asked := make(chan struct{}, 1000)
	g.Break(func(_ http.ResponseWriter, r *http.Request) bool {
		asked <- struct{}{}
		<-r.Context().Done()
		return true
	})
	var waiting sync.WaitGroup
	var clients []*exec.Cmd
	for range 40 {
		cmd := sshd.Ssh(member, "octocat", nil, "true")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, cmd)
		waiting.Go(func() { _ = cmd.Wait() })
	}
	<-asked
	for range 5 {
		got := hosttest.Do(t, sshd.Ssh(rescue, "breakglass", nil, "echo in"), nil)
		if got.Stdout != "in\n" || got.Status != 0 {
			t.Errorf("the emergency key: %+v", got)
		}
	}
	syslog.Wait(t, "castgate-keys[", "account=breakglass", "source=emergency")
	waiting.Wait()
	for _, cmd := range clients {
		if s := cmd.ProcessState.ExitCode(); s != 255 {
			t.Errorf("a client that nobody could vouch for ended with %d", s)
		}
	}
	if n := len(asked); n > 10 {
		t.Errorf("forty clients made %d more calls to a GitHub that hangs", n)
	}
	if left := hosttest.Processes(t, "castgate-keys"); len(left) > 0 {
		t.Errorf("%d are left over", len(left))
	}
}

// TestKeysInFiles is the second mode: sshd reads files that a timer writes, and
// runs no helper.
func TestKeysInFiles(t *testing.T) {
	member, operator := hosttest.NewKey(t, "ed25519"), hosttest.NewKey(t, "ecdsa")
	g := startGitHub(t, acme(map[string]*hosttest.Key{"Octocat": member, "hubot": operator}),
		"teams: [operations]\naccounts: {deploy: {teams: [operations], from: [192.0.2.0/24]}}\nkeys: {types: [ssh-ed25519, ecdsa-sha2-nistp256], options: \"restrict,pty\"}\n")
	for _, name := range []string{"octocat", "hubot", "deploy"} {
		hosttest.AddUser(t, name, "/bin/bash", "--groups", "castgate-people")
	}
	dir := filepath.Join("/etc/ssh", "castgate_keys")
	t.Cleanup(func() { os.RemoveAll(dir) })
	hosttest.Run(t, "castgate-keys", "refresh", "-files", dir)
	g.Break(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return true })
	syslog := hosttest.StartSyslog(t)
	sshd := hosttest.StartSshd(t, snippet(t,
		"AuthorizedKeysCommand /usr/bin/castgate-keys %u %t %k\nAuthorizedKeysCommandUser castgate-keys\nAuthorizedKeysFile none\n",
		"AuthorizedKeysFile "+dir+"/%u\n"))
	for _, tt := range []struct {
		account string
		key     *hosttest.Key
		in      bool
	}{
		{"octocat", member, true},
		{"hubot", operator, true},
		{"octocat", operator, false},
		{"deploy", member, false}, // from somewhere else only
	} {
		got := hosttest.Do(t, sshd.Ssh(tt.key, tt.account, nil, "id -un"), nil)
		if (got.Stdout == tt.account+"\n") != tt.in {
			t.Errorf("%s: %+v\n%s", tt.account, got, strings.Join(sshd.Log.Lines(), "\n"))
		}
	}
	if n := decisions(syslog); n != 0 {
		t.Errorf("sshd ran castgate-keys %d times", n)
	}
}

// TestAccountsWithoutUseradd logs a member in who has no line in passwd: the
// record that castgate-keys wrote is found by the name service, through PAM.
func TestAccountsWithoutUseradd(t *testing.T) {
	nss, _ := os.ReadFile("/etc/nsswitch.conf")
	if lib, _ := filepath.Glob("/usr/lib/*/libnss_systemd.so.2"); len(lib) == 0 || !strings.Contains(string(nss), "systemd") {
		hosttest.Skip(t, "libnss-systemd is not installed")
	}
	key := hosttest.NewKey(t, "ed25519")
	state := acme(map[string]*hosttest.Key{"Carol-GH": key})
	g := startGitHub(t, state, "teams: [operations]\nuserdb: {first_uid: 1879048192, last_uid: 2147352575, groups: {operations: gh-operations}}\n")
	sshd := hosttest.StartSshd(t, snippet(t))
	login := func() hosttest.Result {
		return hosttest.Do(t, sshd.Ssh(key, "carol-gh", nil, "id -un; id -u; id -gn; id -Gn"), nil)
	}
	if got := login(); got.Status != 255 {
		t.Fatalf("before there is an account: %+v", got)
	}
	hosttest.Run(t, "castgate-keys", "refresh", "-accounts")
	t.Cleanup(func() { hosttest.Run(t, "find", "/run/userdb", "-mindepth", "1", "-delete") })
	hosttest.Run(t, "install", "-d", "-o", "carol-gh", "-g", "carol-gh", "/home/carol-gh")
	uid := 1879048192 + state.Users["Carol-GH"].ID
	want := fmt.Sprintf("carol-gh\n%d\ncarol-gh\ncarol-gh gh-operations\n", uid)
	forget(t)
	if got := login(); got.Stdout != want || got.Status != 0 {
		t.Errorf("got %+v, want %q\n%s", got, want, strings.Join(sshd.Log.Lines(), "\n"))
	}
	if rec := finished(t, 1)[0]; rec.header.Session.User != "carol-gh" {
		t.Errorf("recorded as %q", rec.header.Session.User)
	}

	g.mu.Lock()
	g.state.Teams["operations"] = githubtest.Team{Members: []githubtest.Member{{Login: "someone", ID: 7}}}
	g.state.Users["someone"] = githubtest.User{ID: 7}
	g.mu.Unlock()
	hosttest.Run(t, "castgate-keys", "refresh", "-accounts")
	if out, err := exec.Command("getent", "passwd", "carol-gh").CombinedOutput(); err == nil {
		t.Errorf("a member who left still has the account %s", out)
	}
	if got := login(); got.Status != 255 {
		t.Errorf("a member who left logs in: %+v", got)
	}
}

// TestOutOfTheirOwnGroup: who is taken out of castgate-people is out at once, also
// where it was the account's own group, which only passwd(5) has.
func TestOutOfTheirOwnGroup(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	startGitHub(t, acme(map[string]*hosttest.Key{"octocat": key}), "teams: [operations]\n")
	hosttest.AddUser(t, "octocat", "/bin/sh", "--gid", "castgate-people")
	sshd := hosttest.StartSshd(t, snippet(t))
	login := func() int {
		return hosttest.Do(t, sshd.Ssh(key, "octocat", nil, "true"), nil).Status
	}
	for range 2 { // the second is a finished answer
		if got := login(); got != 0 {
			t.Fatalf("status %d\n%s", got, strings.Join(sshd.Log.Lines(), "\n"))
		}
	}
	hosttest.Run(t, "usermod", "--gid", "nogroup", "octocat")
	if got := login(); got != 255 {
		t.Errorf("status %d", got)
	}
}
