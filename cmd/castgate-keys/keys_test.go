// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"castgate/cmd/internal/config"
	"castgate/keys"
	"castgate/keys/githubtest"
	"castgate/keys/prepared"
	"castgate/keys/pubkey"
	"castgate/keys/settings"
	"castgate/packaging/hosttest"
)

const token = "ghp_standinTOKENthatMUSTneverLEAK"

// program is the real binary, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "castgate-keys")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "castgate-keys")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// TestMain: groups and accounts are those of a throwaway host. Its /tmp goes
// with it.
func TestMain(m *testing.M) {
	if os.Geteuid() == 0 {
		hosttest.Main(m)
	}
	m.Run()
	if path, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
}

type host struct {
	t      *testing.T
	github *githubtest.Server
	dir    string
	config string
	state  githubtest.State
}

func newHost(t *testing.T) *host {
	h := &host{t: t, dir: t.TempDir()}
	h.state = githubtest.State{
		Org:   "acme",
		Teams: map[string]githubtest.Team{"developers": {Members: []githubtest.Member{{Login: "OctoCat", ID: 583231}}}},
		Users: map[string]githubtest.User{"OctoCat": {ID: 583231, Keys: []string{key("octocat")}}},
	}
	h.github = &githubtest.Server{
		State: func() (githubtest.State, error) { return h.state, nil },
		Token: func() string { return token },
	}
	h.config = filepath.Join(h.dir, "keys.yaml")
	h.write("token", token)
	h.write("keys.yaml", fmt.Sprintf(`github: {url: %q, org: acme, token_file: %q, timeout: 1s, app: {token_dir: %q}}
teams: [developers]
accounts: {refresh: {teams: [developers]}, octocat: {logins: [octocat]}}
cache: {dir: %q}
state: %q
`, h.github.Start(t).URL, filepath.Join(h.dir, "token"), filepath.Join(h.dir, "run"), filepath.Join(h.dir, "cache"), filepath.Join(h.dir, "state")))
	for _, dir := range []string{"state", "state/people", "state/seen"} {
		if err := os.Mkdir(filepath.Join(h.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// rename names another team in keys.yaml.
func (h *host) rename(team, to string) {
	h.t.Helper()
	text, err := os.ReadFile(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write("keys.yaml", strings.ReplaceAll(string(text), team, to))
}

func (h *host) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func key(login string) string {
	seed := sha256.Sum256([]byte(login))
	pub, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed[:]).Public())
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub)))
}

func (h *host) command(args ...string) *exec.Cmd {
	h.t.Helper()
	path, err := program()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"-config", h.config}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/", "LANG=C"} // as sshd's
	return cmd
}

func (h *host) run(args ...string) (stdout, stderr string, status int) {
	h.t.Helper()
	cmd := h.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	if strings.Contains(out.String()+errs.String(), token) {
		h.t.Errorf("%q printed the token", args)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestProgram(t *testing.T) {
	octo, other := strings.Fields(key("octocat")), strings.Fields(key("other"))
	line := key("octocat") + " github:OctoCat\n"
	for _, tt := range []struct {
		name           string
		args           []string
		stdout, stderr string
		status         int
	}{
		{"one key", []string{"octocat", octo[0], octo[1]}, line, "", 0},
		{"all keys", []string{"octocat"}, line, "", 0},
		{"another's key", []string{"octocat", other[0], other[1]}, "", "", 0},
		{"no member", []string{"nobody-here"}, "", "", 0},
		{"a certificate", []string{"octocat", "ssh-ed25519-cert-v01@openssh.com", octo[1]}, "", "", 0},
		{"an account called refresh", []string{"refresh", octo[0], octo[1]}, line, "", 0},
		{"an account called explain", []string{"explain", octo[0], octo[1]}, "", "", 0},
		{"an account called pin", []string{"pin", octo[0], octo[1]}, "", "", 0},
		{"a login of the name alone", []string{"bystander", octo[0], octo[1]}, "", "", 0},
		{"refresh", []string{"refresh"}, "", "", 0},
		{"refresh with a word", []string{"refresh", "now"}, "", "castgate-keys: refresh takes no \"now\"\n", 2},
		{"no user", nil, "", "castgate-keys: no USER\n", 2},
		{"two arguments", []string{"octocat", octo[0]}, "", "want USER or USER TYPE KEY", 2},
		{"unknown flag", []string{"-x"}, "", "not defined", 2},
		{"explain nobody", []string{"explain"}, "", "want explain USER", 2},
		{"explain", []string{"explain", "octocat"}, "ok  ", "", 0},
		{"explain a refusal", []string{"explain", "stranger"}, "\"stranger\" is refused to any key: ", "", 1},
		{"explain with a file that isn't there", []string{"explain", "octocat", "/nonexistent"}, "", "read the key", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			stdout, stderr, status := h.run(tt.args...)
			exact := tt.status == 0 && !strings.HasPrefix(tt.stdout, "ok ")
			if exact && stdout != tt.stdout || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) || status != tt.status {
				t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
			}
		})
	}
}

func TestFaultsAreSaid(t *testing.T) {
	for _, tt := range []struct {
		name, file, text, want string
	}{
		{"unknown key", "keys.yaml", "temas: [a]\n", "castgate-keys: hint: did you mean \"teams\"?\n"},
		{"no token", "token", "", "does not hold one token"},
		{"wrong token", "token", "ghp_wrong", "castgate-keys: hint: the token expired or was revoked"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			h.write(tt.file, tt.text)
			stdout, stderr, status := h.run("octocat")
			if stdout != "" || status != 1 || !strings.Contains(stderr, tt.want) || !strings.HasPrefix(stderr, "castgate-keys: ") {
				t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
			}
		})
	}
}

// TestExplainSaysWhatToDo: what check says, explain says as well.
func TestExplainSaysWhatToDo(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(h *host)
		want  string
	}{
		"no token file": {func(h *host) { _ = os.Remove(filepath.Join(h.dir, "token")) }, "hint: write it there, then chown root:castgate-keys "},
		"no token":      {func(h *host) { h.write("token", "") }, "hint: the token expired or was revoked"},
		"wrong token":   {func(h *host) { h.write("token", "ghp_wrong") }, "hint: the token expired or was revoked"},
		"no team":       {func(h *host) { h.rename("developers", "nobodies") }, "hint: is the team's slug right"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			tt.spoil(h)
			out, stderr, status := h.run("explain", "octocat")
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if last := lines[len(lines)-1]; status != 1 || !strings.HasPrefix(last, tt.want) {
				t.Errorf("status %d, stdout %q, stderr %q", status, out, stderr)
			}
		})
	}
}

// TestTheSecondAnswer is the same, asks nobody, and does not need what it was
// made of.
func TestTheSecondAnswer(t *testing.T) {
	h := newHost(t)
	octo := strings.Fields(key("octocat"))
	first, _, _ := h.run("octocat", octo[0], octo[1])
	h.github.Reset()
	if err := os.RemoveAll(filepath.Join(h.dir, "cache", "people")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"octocat", octo[0], octo[1]}, {"octocat"}} {
		if out, _, status := h.run(args...); out != first || first == "" || status != 0 {
			t.Errorf("%q: got %q, want %q", args, out, first)
		}
	}
	if n := len(h.github.Calls()); n != 0 {
		t.Errorf("%d calls", n)
	}
	// An edited configuration counts at once.
	text, _ := os.ReadFile(h.config)
	h.write("keys.yaml", string(text)+"keys: {types: [ssh-rsa]}\n")
	if out, _, status := h.run("octocat", octo[0], octo[1]); out != "" || status != 0 {
		t.Errorf("a filter that was added lets %q pass", out)
	}
}

// TestAFinishedAnswerIsLoggedAlike: one line for each decision, with the same fields.
func TestAFinishedAnswerIsLoggedAlike(t *testing.T) {
	log := func(d *keys.Decision) string {
		var b bytes.Buffer
		drop := func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
		d.Log(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: drop})), nil)
		return b.String()
	}
	k, err := pubkey.ParseLine(key("octocat"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a := prepared.Answer{Account: "octocat", From: now.Add(-90 * time.Second), Lines: []prepared.Line{{Key: k.String(), Login: "OctoCat", ID: 583231}}}
	d := &keys.Decision{Account: "octocat", Login: "OctoCat", ID: 583231, Offered: k.Fingerprint(), Lines: []string{"x"}, Source: "cache", Age: 90 * time.Second, Why: "member"}
	if got, want := log(keys.Recall(a, &k, now)), log(d); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestTheCacheOfAnOlderVersion: its finished answers let nobody in and keep nobody
// out.
func TestTheCacheOfAnOlderVersion(t *testing.T) {
	h := newHost(t)
	octo, other := strings.Fields(key("octocat")), strings.Fields(key("other"))
	line, _, _ := h.run("octocat", octo[0], octo[1])
	id, err := prepared.ConfigID(h.config)
	if err != nil {
		t.Fatal(err)
	}
	body := other[1] + " OctoCat 583231 SHA256:x " + key("other") + " github:OctoCat\n"
	now := time.Now().Unix()
	head := fmt.Sprintf("castgate-hot 1 octocat %s %d %d %d\n", id, now-1, now+600, len(body))
	h.write("cache/accounts/octocat", head+body)
	if out, _, status := h.run("octocat", octo[0], octo[1]); out != line || line == "" || status != 0 {
		t.Errorf("the member: status %d, %q, want %q", status, out, line)
	}
	h.write("cache/accounts/octocat", head+body)
	if out, _, status := h.run("octocat", other[0], other[1]); out != "" || status != 0 {
		t.Errorf("another key: status %d, %q", status, out)
	}
}

// hung makes GitHub take every question and answer none; it tells when asked.
func (h *host) hung() <-chan struct{} {
	asked := make(chan struct{}, 100)
	h.github.Break(func(_ http.ResponseWriter, r *http.Request) bool {
		asked <- struct{}{}
		<-r.Context().Done()
		return true
	})
	return asked
}

func TestDiesOfSIGTERM(t *testing.T) {
	h := newHost(t)
	asked := h.hung()
	cmd := h.command("octocat")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGTERM || out.Len() > 0 {
		t.Errorf("got %v, printed %q", cmd.ProcessState, out.String())
	}
}

func TestHasADeadlineOfItsOwn(t *testing.T) {
	h := newHost(t)
	h.hung()
	stdout, stderr, status := h.run("octocat")
	if status != 1 || stdout != "" || !strings.Contains(stderr, "did not answer in time") {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}

// TestSecretsStayInside looks at the process while it has the token in use.
func TestSecretsStayInside(t *testing.T) {
	h := newHost(t)
	asked := h.hung()
	cmd := h.command("octocat")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	<-asked
	proc := fmt.Sprintf("/proc/%d/", cmd.Process.Pid)
	for _, name := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(proc + name)
		if err != nil && name == "cmdline" || bytes.Contains(text, []byte(token)) {
			t.Errorf("%s: %v %q", name, err, text)
		}
	}
	limits, err := os.ReadFile(proc + "limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if f := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (f[4] != "0" || f[5] != "0") {
			t.Errorf("it may dump core: %q", line)
		}
	}
	// What is not dumpable belongs to root (proc(5)); run by root that shows nothing.
	if os.Geteuid() != 0 {
		if info, err := os.Stat(proc + "mem"); err == nil && info.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Error("it is dumpable")
		}
	}
	children, _ := os.ReadFile(proc + fmt.Sprintf("task/%d/children", cmd.Process.Pid))
	if len(children) > 0 {
		t.Errorf("it has children: %q", children)
	}
}

func TestTheShippedConfigurationIsGood(t *testing.T) {
	conf := settings.Default()
	if err := config.Load("../../packaging/etc/keys.yaml", conf); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(conf.Keys, settings.Default().Keys) || conf.Cache != settings.Default().Cache || conf.GitHub.Timeout != settings.Default().GitHub.Timeout {
		t.Errorf("it says other values than the defaults: %+v", conf)
	}
}
