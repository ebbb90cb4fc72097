// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestReproducible builds the packages once more in a copy of the tree whose
// files have another age and other permissions.
func TestReproducible(t *testing.T) {
	needPackages(t)
	t.Parallel()
	tree, dist := t.TempDir(), t.TempDir()
	copyTree(t, tree)
	for format, arches := range map[string][]string{"deb": {"amd64", "arm64"}, "rpm": {runtime.GOARCH}} {
		cmd := exec.Command(filepath.Join(tree, "packaging/build"), append([]string{format}, arches...)...)
		cmd.Env = append(os.Environ(), "DIST="+dist) // with the SOURCE_DATE_EPOCH of the first build
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	again, _ := filepath.Glob(dist + "/*")
	if len(again) != 3 {
		t.Errorf("built %v", again)
	}
	for _, path := range again {
		first, err := os.ReadFile("../../.build/host/new/" + filepath.Base(path))
		if err != nil {
			t.Fatal(err)
		}
		second, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Errorf("two builds of %s differ", filepath.Base(path))
		}
	}
}

func copyTree(t *testing.T, to string) {
	t.Helper()
	line := `tar -C ../.. --exclude=./.git --exclude=./.build --exclude=./dist --exclude=./bin --exclude=node_modules -cf - . | (umask 077; tar -C "$0" --no-same-permissions -xmf -)`
	if out, err := exec.Command("sh", "-c", line, to).CombinedOutput(); err != nil {
		t.Fatalf("copy the tree: %v\n%s", err, out)
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
	t.Parallel()
	out, err := exec.Command("lintian", "--no-cfg", "--allow-root", "--profile", "debian", "--fail-on", "error,warning",
		"--display-level", ">=pedantic", oneOf(t, "new/castgate_*_amd64.deb"), oneOf(t, "new/castgate_*_arm64.deb")).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "" {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}
