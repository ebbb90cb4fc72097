// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build bench

package bench

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"castgate/keys/githubtest"
	"castgate/packaging/hosttest"
)

// github is a stand-in on loopback that is as far away as one likes.
type github struct {
	url   string
	state githubtest.State
	away  time.Duration
}

const tokenFile = "/etc/castgate/github-token"

// far is a connection to somewhere away: to set it up takes a round trip.
type far struct {
	net.Conn
	away  time.Duration
	setUp sync.Once
}

func (c *far) Read(p []byte) (int, error) {
	c.setUp.Do(func() { time.Sleep(c.away) })
	return c.Conn.Read(p)
}

type farListener struct {
	net.Listener
	g *github
}

func (l farListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &far{Conn: c, away: l.g.away}, nil
}

// startGitHub serves a team and sets castgate-keys up to ask for it.
func startGitHub(t *testing.T) *github {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &github{url: "http://" + l.Addr().String() + "/"}
	server := &githubtest.Server{
		State: func() (githubtest.State, error) { return g.state, nil },
		Token: func() string { return "token" },
		Limit: 1 << 30,
	}
	server.Break(func(http.ResponseWriter, *http.Request) bool { time.Sleep(g.away); return false })
	srv := &http.Server{Handler: server}
	go func() { _ = srv.Serve(farListener{l, g}) }()
	t.Cleanup(func() { srv.Close() })
	write(t, tokenFile, "token\n")
	hosttest.Run(t, "chown", "root:castgate-keys", tokenFile)
	hosttest.Run(t, "chmod", "640", tokenFile)
	g.config(t, "keys", "operations", "/var/cache/castgate-keys")
	return g
}

// config writes a configuration by which a team may open the account deploy,
// and returns its path.
func (g *github) config(t *testing.T, name, team, cache string) string {
	t.Helper()
	hosttest.Config(t, name, fmt.Sprintf("github: {url: %q, org: acme, token_file: %s}\nteams: [%s]\naccounts: {deploy: {teams: [%[3]s]}, operations00999: {logins: [operations00999]}}\ncache: {ttl: 24h, dir: %s}\n", g.url, tokenFile, team, cache))
	return "/etc/castgate/" + name + ".yaml"
}

// team gives the organisation one team of n, each with a key, and empties the
// cache. The key of the last member is returned.
func (g *github) team(t *testing.T, n int, more ...*hosttest.Key) (line string) {
	t.Helper()
	g.state = githubtest.State{Org: "acme", Teams: map[string]githubtest.Team{}, Users: map[string]githubtest.User{}}
	emptyCache(t)
	return g.add(t, "operations", n, more...)
}

// add gives the organisation one more team.
func (g *github) add(t *testing.T, name string, n int, more ...*hosttest.Key) (line string) {
	t.Helper()
	var members []githubtest.Member
	add := func(login, key string) {
		id := int64(len(g.state.Users) + 1)
		members = append(members, githubtest.Member{Login: login, ID: id})
		g.state.Users[login] = githubtest.User{ID: id, Keys: []string{key}}
	}
	for _, k := range more {
		add("octocat", k.Line)
	}
	for i := len(more); i < n; i++ {
		line = keyLine(t, len(g.state.Users))
		add(fmt.Sprintf("%s%05d", name, i), line)
	}
	g.state.Teams[name] = githubtest.Team{Members: members}
	return line
}

// keyLine is a public key that nobody has the private one of.
func keyLine(t *testing.T, n int) string {
	t.Helper()
	var seed [ed25519.SeedSize]byte
	binary.BigEndian.PutUint64(seed[:], uint64(n)+1)
	k, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed[:]).Public())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

func emptyCache(t *testing.T) {
	t.Helper()
	hosttest.Run(t, "find", "/var/cache/castgate-keys", "-mindepth", "1", "-delete")
	hosttest.Run(t, "find", "/var/lib/castgate-keys", "-type", "f", "-delete")
}

// asKeys is the user that sshd runs castgate-keys as.
func asKeys(t *testing.T) *syscall.SysProcAttr {
	t.Helper()
	u, err := user.Lookup("castgate-keys")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// startToExit runs a program as sshd does, with its output read from a pipe,
// and returns the milliseconds it took.
func startToExit(t *testing.T, as *syscall.SysProcAttr, want string, argv ...string) float64 {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr, cmd.Env, cmd.Dir = as, []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}, "/"
	var out bytes.Buffer
	cmd.Stdout = &out
	start := time.Now()
	err := cmd.Run()
	ms := float64(time.Since(start).Microseconds()) / 1000
	if err != nil || !strings.Contains(out.String(), want) {
		t.Fatalf("%v: %v, printed %.200q", argv, err, out.String())
	}
	return ms
}

func measureKeys(t *testing.T, r *report) {
	const one = "/usr/local/bin/oneline"
	hosttest.Run(t, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", one, "./oneline")
	r.commands = append(r.commands, "castgate-keys: `castgate-keys deploy ssh-ed25519 KEY`, for an account that the whole team may open, as the user castgate-keys"+firstLine("castgate-keys", "-version"))
	g, as := startGitHub(t), asKeys(t)
	warmKeys(t, r, g, as, one)
	coldKeys(t, r, g, as)
}

// warmKeys looks whether the answer costs the same however large the team is.
func warmKeys(t *testing.T, r *report, g *github, as *syscall.SysProcAttr, one string) {
	x := r.table("castgate-keys with a warm cache", fmt.Sprintf("Milliseconds from start to exit, %d runs a round of each in turn; the other is a static Go program that prints one line.", *starts), "castgate-keys", "to one line")
	const bare = "one line"
	got := samples{}
	team := func(n int) string { return fmt.Sprintf("%d members", n) }
	sizes := []int{10, 1000, 10000}
	g.team(t, 1)
	type run struct {
		name, want string
		argv       []string
	}
	runs := []run{{bare, "ssh-ed25519", []string{one}}}
	for _, n := range sizes {
		slug := fmt.Sprintf("team%d", n)
		line := g.add(t, slug, n)
		cache := "/var/cache/castgate-keys/" + slug
		hosttest.Run(t, "install", "-d", "-o", "castgate-keys", "-g", "castgate-keys", cache)
		path := g.config(t, slug, slug, cache)
		refresh := exec.Command("/usr/bin/castgate-keys", "-config", path, "refresh")
		refresh.SysProcAttr = as
		if out, err := refresh.CombinedOutput(); err != nil {
			t.Fatalf("refresh: %v\n%s", err, out)
		}
		runs = append(runs, run{team(n), line, append([]string{"/usr/bin/castgate-keys", "-config", path, "deploy"}, strings.Fields(line)[:2]...)})
	}
	for range *rounds {
		round := samples{}
		for range *starts {
			for _, a := range runs {
				round.add(a.name, startToExit(t, as, a.want, a.argv...))
			}
		}
		for name, ms := range round {
			got.add(name, median(ms))
		}
	}
	x.add(bare, num(median(got[bare]), 2), "1.00")
	for _, n := range sizes {
		ratio := median(got.ratios(team(n), bare))
		x.add(team(n), num(median(got[team(n)]), 2), num(ratio, 2))
		r.atMost("castgate-keys warm to a static Go program that prints one line, "+team(n), 2.5, ratio, "")
	}
	r.atMost("castgate-keys warm, 10,000 members to 10", 1.5, median(got.ratios(team(10000), team(10))), "")
}

// coldKeys looks what GitHub's distance costs where nothing is cached.
func coldKeys(t *testing.T, r *report, g *github, as *syscall.SysProcAttr) {
	y := r.table("castgate-keys with an empty cache", "Milliseconds from start to exit, 10 runs; a member's own account in a team of 1,000. The stand-in for GitHub answers each call that much later, and takes as long to set a connection up.", "castgate-keys", "calls' share")
	line := g.team(t, 1000)
	own := append([]string{"/usr/bin/castgate-keys", "operations00999"}, strings.Fields(line)[:2]...)
	near := 0.0
	for _, g.away = range []time.Duration{0, 100 * time.Millisecond} {
		var cold []float64
		for range 10 {
			emptyCache(t)
			cold = append(cold, startToExit(t, as, line, own...))
		}
		if g.away == 0 {
			near = median(cold)
		}
		y.add(fmt.Sprintf("%d ms away", g.away.Milliseconds()), num(median(cold), 1), num(median(cold)-near, 1))
	}
	g.away = 0
}

// measureLogins compares whole logins through the stock sshd and client.
func measureLogins(t *testing.T, r *report) {
	key := hosttest.NewKey(t, "ed25519")
	hosttest.AddUser(t, "octocat", "/bin/sh", "--groups", "castgate-people").Authorize(t, key)
	startGitHub(t).team(t, 1000, key)
	snippet, err := os.ReadFile("../ssh/10-castgate.conf.example")
	if err != nil {
		t.Fatal(err)
	}
	const file = "AuthorizedKeysFile .ssh/authorized_keys"
	kinds := []struct {
		name string
		sshd *hosttest.Sshd
	}{
		{"a plain key file", hosttest.StartSshd(t, file)},
		{"the same, another sshd", hosttest.StartSshd(t, file)},
		{"castgate-keys", hosttest.StartSshd(t, "AuthorizedKeysCommand /usr/bin/castgate-keys %u %t %k", "AuthorizedKeysCommandUser castgate-keys", "AuthorizedKeysFile none")},
		{"castgate-keys and castgate-wrap", hosttest.StartSshd(t, string(snippet))},
	}
	took := samples{}
	for i := range *logins + 1 {
		for j := range kinds {
			k := kinds[(i+j)%len(kinds)] // each comes first as often as the others
			start := time.Now()
			if got := hosttest.Do(t, k.sshd.Ssh(key, "octocat", nil, "true"), nil); got.Status != 0 {
				t.Fatalf("%s: %+v\n%s", k.name, got, strings.Join(k.sshd.Log.Lines(), "\n"))
			}
			if i > 0 { // the first fills the cache
				took.add(k.name, float64(time.Since(start).Microseconds())/1000)
			}
		}
	}
	forget()
	x := r.table("A login", fmt.Sprintf("Milliseconds of `ssh HOST true` through the stock sshd, %d logins of each kind in turn, %d members in the team. Beside the times: the difference to the plain key file, pair by pair, with the range that holds the true median in 95 of 100 such runs; and how often the login was the slower of its pair (50 %% is a coin).", *logins, 1000),
		"p10", "p50", "p90", "difference, p50", "range", "slower")
	base := took[kinds[0].name]
	spread := percentile(base, 90) - percentile(base, 10)
	alike := paired(base, took[kinds[1].name])
	for _, k := range kinds {
		v := took[k.name]
		x.add(k.name, num(percentile(v, 10), 1), num(median(v), 1), num(percentile(v, 90), 1))
		if k.name == kinds[0].name {
			x.add(k.name, "-", "-", "-")
			continue
		}
		d := paired(base, v)
		x.add(k.name, num(d.median, 2), num(d.low, 2)+" to "+num(d.high, 2), num(d.slower*100, 0)+" %")
		if k.name == "castgate-keys" {
			r.atMost("a login's difference, castgate-keys to a plain key file, the lower end of its range (the limit is the upper end of that of another sshd with the same key file, which is no different)", max(alike.high, 0), d.low, " ms")
			r.atMost("a login's difference, castgate-keys to a plain key file, p50 (the limit is the spread, p10 to p90, of the latter's own logins: below it nobody can tell by one login)", spread, d.median, " ms")
		}
	}
}
