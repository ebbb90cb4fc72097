// SPDX-License-Identifier: AGPL-3.0-or-later

// Package demo_test runs the demo where it may be run: on a throwaway host.
package demo_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"castgate/keys/githubtest"
	"castgate/packaging/hosttest"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

// places are where the demo changes something, and their neighbours.
var places = []string{"/etc", "/home", "/run", "/usr/bin", "/usr/sbin", "/usr/lib/castgate", "/var", "/opt"}

// restless is what any login or package manager writes.
var restless = regexp.MustCompile(`^/var/log/|^/var/tmp/|^/run/utmp|^/run/motd|^/var/lib/apt/|^/var/cache/apt/|^/etc/[a-z]+-$`)

// snapshot lists what is in the places with owner, mode and size, for
// configuration with the contents as well.
func snapshot(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, place := range places {
		err := filepath.WalkDir(place, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || restless.MatchString(path) {
				return nil
			}
			var st unix.Stat_t
			if err == nil {
				err = unix.Lstat(path, &st)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, "%s %o %d:%d", path, st.Mode, st.Uid, st.Gid)
			if d.Type().IsRegular() {
				fmt.Fprintf(&out, " %d", st.Size)
			}
			if d.Type().IsRegular() && strings.HasPrefix(path, "/etc/") {
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				fmt.Fprintf(&out, " %x", sha256.Sum256(text))
			}
			out.WriteByte('\n')
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// difference returns the lines that are in one text only.
func difference(a, b string) string {
	count := map[string]int{}
	for _, l := range strings.Split(a, "\n") {
		count[l]--
	}
	for _, l := range strings.Split(b, "\n") {
		count[l]++
	}
	var out strings.Builder
	for l, n := range count {
		switch {
		case n < 0:
			out.WriteString("- " + l + "\n")
		case n > 0:
			out.WriteString("+ " + l + "\n")
		}
	}
	return out.String()
}

func demo(args ...string) *exec.Cmd {
	return exec.Command("./demo", args...)
}

// screenshot is what the demo says of its picture of the page. A throwaway host
// has no network to fetch the browser's driver from; make test has fetched it.
func screenshot() string {
	if _, err := os.Stat("../../upload/archive/web/node_modules/playwright-core"); err != nil && os.Getenv("CASTGATE_TEST_ALL") == "" {
		return "no screenshot"
	}
	return "/.build/demo-page.png"
}

// TestDemo runs `make demo` where nobody answers, and looks at what it leaves.
func TestDemo(t *testing.T) {
	hosttest.Need(t)
	before, processes := snapshot(t), hosttest.Run(t, "sh", "-c", "ps -e -o comm= | sort")
	cmd := demo()
	cmd.Env = append(cmd.Environ(), "CASTGATE_DEMO=yes")
	got := hosttest.Do(t, cmd, nil)
	if got.Status != 0 {
		t.Fatalf("%s", show(got))
	}
	for _, want := range []string{"Permission denied (publickey)", "octocat", "\x1b[1;36mrecorded", "30 100", "castgate play", "http://127.0.0.1:8022/r/", screenshot()} {
		if !strings.Contains(got.Stdout+got.Stderr, want) {
			t.Errorf("the demo never showed %q:\n%s", want, got.Stdout)
		}
	}
	if !regexp.MustCompile(`castgate-host +octocat +octocat +delivered`).MatchString(got.Stdout) {
		t.Errorf("castgate ls named no LOGIN:\n%s", got.Stdout)
	}
	if d := difference(before, snapshot(t)); d != "" {
		t.Errorf("the demo left:\n%s", d)
	}
	hosttest.WaitFor(t, "the demo's processes to be gone", func() bool {
		return hosttest.Run(t, "sh", "-c", "ps -e -o comm= | sort") == processes
	})
}

// TestDemoOnATerminal answers its question, tries the door that it leaves
// open, and cleans up.
func TestDemoOnATerminal(t *testing.T) {
	hosttest.Need(t)
	before := snapshot(t)
	x := hosttest.StartTerminal(t, demo(), 120, 40)
	x.Expect("throwaway machine or container")
	x.Expect("Go on? [y/N] ")
	x.Type("y\r")
	x.Expect("That was the replay.")
	x.Expect("The door stays open.")
	if got := x.Wait(); got.Status != 0 {
		t.Fatalf("%s", show(got))
	}
	line := regexp.MustCompile(`(?m)^ +(ssh .*octocat@127\.0\.0\.1)\r?$`).FindStringSubmatch(x.Output())
	if line == nil {
		t.Fatalf("no ssh line in %q", x.Output())
	}
	if got := hosttest.Do(t, exec.Command("sh", "-c", line[1]+" id -un"), nil); got.Stdout != "octocat\n" {
		t.Errorf("the line it printed: %s", show(got))
	}
	if got := hosttest.Do(t, demo(), nil); got.Status != 1 || !strings.Contains(got.Stderr, "hint: make demo-clean") {
		t.Errorf("a second demo: %s", show(got))
	}
	if got := hosttest.Do(t, demo("clean"), nil); got.Status != 0 {
		t.Errorf("clean: %s", show(got))
	}
	if d := difference(before, snapshot(t)); d != "" {
		t.Errorf("the demo left:\n%s", d)
	}
}

// TestDemoWithGitHub runs it against a GitHub that somebody else set up.
func TestDemoWithGitHub(t *testing.T) {
	key := hosttest.NewKey(t, "ed25519")
	server := &githubtest.Server{
		State: func() (githubtest.State, error) {
			return githubtest.State{
				Org:   "real",
				Teams: map[string]githubtest.Team{"crew": {Members: []githubtest.Member{{Login: "Mona", ID: 9}}}},
				Users: map[string]githubtest.User{"Mona": {ID: 9, Keys: []string{key.Line}}},
			}, nil
		},
		Token: func() string { return "the-token" },
	}
	g := httptest.NewServer(server)
	defer g.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("the-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := demo()
	cmd.Env = append(cmd.Environ(), "CASTGATE_DEMO=yes", "GITHUB_URL="+g.URL+"/", "GITHUB_ORG=real", "GITHUB_TEAM=crew", "GITHUB_LOGIN=mona",
		"GITHUB_TOKEN_FILE="+token, "GITHUB_KEY="+key.Path)
	got := hosttest.Do(t, cmd, nil)
	if got.Status != 0 || !strings.Contains(got.Stdout, "uid=") || !strings.Contains(got.Stdout, "mona@") || len(server.Calls()) == 0 {
		t.Errorf("%s\n%v", show(got), server.Calls())
	}
}

// TestFetchWithoutNetwork: what the demo would fetch for the page is given up
// soon where there is nothing to fetch it from.
func TestFetchWithoutNetwork(t *testing.T) {
	hosttest.Need(t)
	if _, err := exec.LookPath("npm"); err != nil {
		hosttest.Skip(t, "npm is not installed: make test-web installs it")
	}
	dir := t.TempDir()
	hosttest.Run(t, "sh", "-c", "cd ../../upload/archive/web && cp fetch package.json package-lock.json "+dir+" && mkdir "+dir+"/player")
	ctx, cancel := context.WithTimeout(t.Context(), hosttest.Patience) // npm's own patience is 76 seconds
	defer cancel()
	cmd := exec.CommandContext(ctx, dir+"/fetch", "tests")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil || !strings.Contains(string(out), "could not be fetched: npm ci failed") {
		t.Errorf("%v, %v\n%s", err, ctx.Err(), out)
	}
}

// TestDemoRefuses: it does nothing where it shouldn't.
func TestDemoRefuses(t *testing.T) {
	hosttest.Need(t)
	user := hosttest.AddUser(t, "somebody", "/bin/bash")
	before := snapshot(t)
	for _, tt := range []struct {
		name, spoil, undo, want string
		cmd                     *exec.Cmd
	}{
		{"not root", "true", "true", "needs root", user.Command(mustAbs(t, "./demo"))},
		{"castgate is installed", "mkdir /etc/castgate", "rmdir /etc/castgate", "castgate is installed", demo()},
		{"somebody's machine", "rm -f /.dockerenv; mkdir -p /run/systemd/system", "rmdir /run/systemd/system /run/systemd; touch /.dockerenv", "CASTGATE_DEMO=yes", demo()},
	} {
		hosttest.Run(t, "sh", "-c", tt.spoil)
		got := hosttest.Do(t, tt.cmd, nil)
		hosttest.Run(t, "sh", "-c", tt.undo)
		if got.Status != 1 || !strings.Contains(got.Stderr, tt.want) || !strings.HasPrefix(got.Stderr, "demo: ") {
			t.Errorf("%s: %s", tt.name, show(got))
		}
	}
	x := hosttest.StartTerminal(t, demo(), 80, 24)
	x.Expect("Go on? [y/N] ")
	x.Type("\r")
	x.Expect("nothing was done")
	if got := x.Wait(); got.Status != 1 {
		t.Errorf("%s", show(got))
	}
	if d := difference(before, snapshot(t)); d != "" {
		t.Errorf("it changed:\n%s", d)
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func show(r hosttest.Result) string {
	return fmt.Sprintf("status %d\nstdout:\n%s\nstderr:\n%s", r.Status, r.Stdout, r.Stderr)
}
