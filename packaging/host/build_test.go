// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build runs packaging/build in a copy of the tree whose files have another
// age and other permissions, and returns what it built.
func build(t *testing.T, format string, arches ...string) map[string][]byte {
	t.Helper()
	tree := t.TempDir()
	copyTree(t, tree)
	dist := t.TempDir()
	cmd := exec.Command(filepath.Join(tree, "packaging/build"), append([]string{format}, arches...)...)
	cmd.Env = append(os.Environ(), "DIST="+dist, "SOURCE_DATE_EPOCH=1800000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	files := map[string][]byte{}
	found, _ := filepath.Glob(dist + "/*")
	for _, path := range found {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = data
	}
	return files
}

func copyTree(t *testing.T, to string) {
	t.Helper()
	line := `tar -C ../.. --exclude=./.git --exclude=./.build --exclude=./dist --exclude=./bin --exclude=node_modules -cf - . | (umask 077; tar -C "$0" --no-same-permissions -xmf -)`
	if out, err := exec.Command("sh", "-c", line, to).CombinedOutput(); err != nil {
		t.Fatalf("copy the tree: %v\n%s", err, out)
	}
}

func TestReproducible(t *testing.T) {
	needPackages(t)
	for format, arches := range map[string][]string{"deb": {"amd64", "arm64"}, "rpm": {"amd64"}} {
		first, second := build(t, format, arches...), build(t, format, arches...)
		if len(first) != len(arches) {
			t.Fatalf("%s: built %d packages", format, len(first))
		}
		for name, data := range first {
			if !bytes.Equal(data, second[name]) {
				t.Errorf("%s: two builds differ", name)
			}
		}
		if format == "rpm" {
			checkRpm(t, first)
		}
	}
}

// needPackages skips where packaging/test-host has not built anything.
func needPackages(t *testing.T) {
	t.Helper()
	if os.Getenv("CASTGATE_TEST_HOST") != "1" {
		t.Skip("builds packages: runs with CASTGATE_TEST_HOST=1 (make test-host)")
	}
}

func TestLintian(t *testing.T) {
	needPackages(t)
	out, err := exec.Command("lintian", "--no-cfg", "--allow-root", "--profile", "debian", "--fail-on", "error,warning",
		"--display-level", ">=pedantic", built(t, "new")).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "" {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// checkRpm looks at owners and modes, which rpm takes from the package itself.
func checkRpm(t *testing.T, packages map[string][]byte) {
	t.Helper()
	for name, data := range packages {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("rpm", "-qp", "--qf", "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"-rwxr-sr-x root:castgate /usr/bin/castgate-wrap\n",
			"-rw-r--r-- root:root /usr/lib/systemd/system/castgate-upload.path\n",
			"-rw-r----- root:root /etc/castgate/keys.yaml\n",
		} {
			if !strings.Contains(string(out), want) {
				t.Errorf("not in the .rpm: %s", want)
			}
		}
	}
}
