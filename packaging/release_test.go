// SPDX-License-Identifier: AGPL-3.0-or-later

package packaging_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// clone is a clone of this repository in which a release is prepared.
type clone struct {
	t        *testing.T
	dir, key string
}

func newClone(t *testing.T) *clone {
	t.Helper()
	dir := t.TempDir()
	c := &clone{t: t, dir: filepath.Join(dir, "castgate"), key: filepath.Join(dir, "key")}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		hosttest.Skip(t, "no clone: "+err.Error())
	}
	c.must(dir, "git", "clone", "-q", root, c.dir)
	c.must(dir, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", c.key)
	return c
}

// run runs a command with nothing of the machine's git but the program.
func (c *clone) run(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*", // a clone of another user's, for root
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *clone) must(dir, name string, args ...string) string {
	c.t.Helper()
	out, err := c.run(dir, name, args...)
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// prepare writes what a release needs: its day in CHANGELOG.md, and the version
// where the packages have theirs.
func (c *clone) prepare() {
	c.t.Helper()
	c.must(c.dir, "sh", "-c", `sed -i '0,/^## .*/s//## 7.8.9 (2026-12-01)/' CHANGELOG.md && sed -i '0,/^- semver: .*/s//- semver: 7.8.9/' packaging/changelog.yaml && git commit -qam release`)
}

func TestReleaseRefuses(t *testing.T) {
	c := newClone(t)
	for _, tt := range []struct{ name, before, version, want string }{
		{"no version", "true", "", "want three numbers"},
		{"half a version", "true", "7.8", "want three numbers"},
		{"more than one line", "true", "7.8.9\n1.0.0", "want three numbers"},
		{"a file too many", "touch more", "7.8.9", "the tree is not clean: ?? more"},
		{"a change", "rm more; echo >>README.md", "7.8.9", "the tree is not clean:  M README.md"},
		{"no entry", "git checkout -q README.md", "7.8.9", "CHANGELOG.md has no entry"},
		{"no day", "sed -i '0,/^## .*/s//## 7.8.9 (not released yet)/' CHANGELOG.md; git commit -qam x", "7.8.9", "CHANGELOG.md has no entry"},
		{"the packages' changelog", "sed -i '0,/^## .*/s//## 7.8.9 (2026-12-01)/' CHANGELOG.md; git commit -qam x", "7.8.9", "packaging/changelog.yaml: its newest entry is not 7.8.9"},
		{"released already", "git tag v7.8.9 HEAD~1", "7.8.9", "v7.8.9 is the tag of another commit"},
	} {
		c.must(c.dir, "sh", "-c", tt.before)
		out, err := c.run(c.dir, "packaging/release", tt.version, c.key)
		if err == nil || !strings.HasPrefix(out, "release: ") || !strings.Contains(out, tt.want) || !strings.Contains(out, "release: hint: ") {
			t.Errorf("%s: %v\n%s", tt.name, err, out)
		}
	}
	if out, err := c.run(c.dir, "packaging/release", "7.8.9", c.key+".none"); err == nil || !strings.Contains(out, "no such file") {
		t.Errorf("no key: %v\n%s", err, out)
	}
}

// TestRelease makes one for this architecture and checks it as its users do.
// That it can be made again is what it has checked itself.
// TestRelease makes one, from nothing that was compiled before.
func TestRelease(t *testing.T) {
	if os.Getenv("CASTGATE_TEST_RELEASE") != "1" {
		t.Skip("two builds of everything: runs with CASTGATE_TEST_RELEASE=1 (make test-release)")
	}
	c := newClone(t)
	c.prepare()
	out := c.must(c.dir, "packaging/release", "7.8.9", c.key, runtime.GOARCH)
	dist := filepath.Join(c.dir, "dist/castgate-7.8.9")
	sums, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	if err != nil || strings.Count(string(sums), "\n") != 3 || !strings.Contains(out, string(sums)) {
		t.Fatalf("%v\n%s\n%s", err, sums, out)
	}
	c.must(dist, "sha256sum", "-c", "--strict", "SHA256SUMS")
	c.must(dist, "sh", "-c", `echo "releases $(cat `+c.key+`.pub)" >../signers && ssh-keygen -q -Y verify -f ../signers -I releases -n castgate-release -s SHA256SUMS.sig <SHA256SUMS`)
	if got := strings.Fields(c.must(dist, "sh", "-c", "dpkg-deb -f *.deb Version; ls | wc -l")); got[0] != "7.8.9-1" || got[1] != "5" {
		t.Errorf("version, number of files: %q", got)
	}
	checkSBOM(t, filepath.Join(dist, "castgate-7.8.9.cdx.json"))
	if out := c.must(c.dir, "git", "status", "--porcelain"); out != "" {
		t.Errorf("it changed the tree:\n%s", out)
	}
}

// checkSBOM looks for one module of go.mod, Go itself, and the player.
func checkSBOM(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		BOMFormat, SpecVersion string
		Metadata               struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ PURL string }
	}
	if err := json.Unmarshal(text, &list); err != nil || list.BOMFormat != "CycloneDX" || list.Metadata.Component.Version != "7.8.9" {
		t.Fatalf("%v\n%s", err, text)
	}
	seen := map[string]int{}
	for _, c := range list.Components {
		name, _, _ := strings.Cut(strings.TrimPrefix(c.PURL, "pkg:"), "@")
		seen[name]++
	}
	for _, want := range []string{"golang/std", "golang/golang.org/x/sys", "golang/modernc.org/sqlite", "npm/asciinema-player"} {
		if seen[want] != 1 {
			t.Errorf("%s: %d times in\n%s", want, seen[want], text)
		}
	}
	if seen["npm/playwright-core"] > 0 {
		t.Error("what only the tests use is no part of it")
	}
}
