// SPDX-License-Identifier: AGPL-3.0-or-later

package packaging_test

import (
	"archive/zip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUpdate runs .ci/update on a small project, with a module proxy of files
// and an npm that knows one package.
func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	proxy, project := filepath.Join(dir, "proxy"), filepath.Join(dir, "project")
	for _, version := range []string{"v1.0.0", "v1.2.0"} {
		publish(t, proxy, "example.org/dep", version, "package dep\n")
		publish(t, proxy, "example.org/tool", version, "package main\n\nfunc main() {}\n")
	}
	script, err := os.ReadFile("../.ci/update")
	if err != nil {
		t.Fatal(err)
	}
	files(t, project, map[string]string{
		".ci/update":                      string(script),
		".ci/tools.mod":                   "module x\n\ngo 1.24\n\ntool example.org/tool\n\nrequire (\n\texample.org/tool v1.0.0 // indirect\n)\n",
		"go.mod":                          "module x\n\ngo 1.24\n\nrequire example.org/dep v1.0.0\n",
		"x.go":                            "package x\n\nimport _ \"example.org/dep\"\n",
		"upload/archive/web/package.json": "{\n  \"version\": \"1.0.0\",\n  \"dependencies\": {\n    \"player\": \"3.0.0\"\n  }\n}\n",
		"bin/npm":                         "#!/bin/sh\nsed -i 's/\"player\": .*/\"player\": \"4.0.0\"/' \"$3/package.json\"\n",
	})
	update := func(tests string) (string, error) {
		cmd := exec.Command("sh", ".ci/update")
		cmd.Dir = project
		cmd.Env = append(os.Environ(), "PATH="+project+"/bin:"+os.Getenv("PATH"), "TESTS="+tests,
			"GOPROXY=file://"+proxy, "GONOSUMDB=*", "GOFLAGS=-modcacherw", "GOMODCACHE="+filepath.Join(dir, "cache"), "GOTOOLCHAIN=local")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	const table = "| what | was | is |\n|---|---|---|\n" +
		"| example.org/dep | v1.0.0 | v1.2.0 |\n| example.org/tool (tools) | v1.0.0 | v1.2.0 |\n| player | 3.0.0 | 4.0.0 |\n\n"
	out, err := update("false")
	if err == nil || !strings.HasSuffix(out, table+"The tests fail (false, status 1).\n") {
		t.Errorf("tests that fail: %v\n%s", err, out)
	}
	files(t, project, map[string]string{"go.mod": "module x\n\ngo 1.24\n\nrequire example.org/dep v1.0.0\n"})
	out, err = update("true")
	if err != nil || !strings.HasSuffix(out, "| example.org/dep | v1.0.0 | v1.2.0 |\n\nThe tests pass.\n") {
		t.Errorf("tests that pass: %v\n%s", err, out)
	}
	if out, err = update("false"); err != nil || !strings.HasSuffix(out, "update: everything is at its newest version\n") {
		t.Errorf("nothing to do: %v\n%s", err, out)
	}
}

// publish puts a module of one file into a proxy of files (go.dev/ref/mod#goproxy-protocol).
func publish(t *testing.T, proxy, module, version, source string) {
	t.Helper()
	dir := filepath.Join(proxy, module, "@v")
	mod := "module " + module + "\n\ngo 1.24\n"
	files(t, dir, map[string]string{
		version + ".info": fmt.Sprintf(`{"Version": %q, "Time": "2026-01-01T00:00:00Z"}`, version),
		version + ".mod":  mod,
	})
	list, err := os.OpenFile(filepath.Join(dir, "list"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	fmt.Fprintln(list, version)
	out, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	z := zip.NewWriter(out)
	for name, text := range map[string]string{"go.mod": mod, "source.go": source} {
		w, err := z.Create(module + "@" + version + "/" + name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

// files writes files below dir; those in bin are programs.
func files(t *testing.T, dir string, all map[string]string) {
	t.Helper()
	for name, text := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
