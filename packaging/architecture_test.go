// SPDX-License-Identifier: AGPL-3.0-or-later

package packaging_test

import (
	"flag"
	"fmt"
	"html"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/architecture.md")

const (
	architecture = "../docs/architecture.md"
	tableBegin   = "<!-- arrows -->\n"
	tableEnd     = "<!-- end of arrows -->\n"
)

// TestArchitecture holds docs/architecture.md to the import graph that
// TestImportGraph holds the code to.
func TestArchitecture(t *testing.T) {
	b, err := os.ReadFile(architecture)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), tableBegin)
	table, tail, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no table between %q and %q", architecture, tableBegin, tableEnd)
	}
	want := arrowTable(t)
	switch {
	case *update:
		err = os.WriteFile(architecture, []byte(head+tableBegin+want+tableEnd+tail), 0o644)
	case table != want:
		err = fmt.Errorf("the table of %s is not the graph of house_test.go: go test ./packaging -run TestArchitecture -update", architecture)
	}
	if err != nil {
		t.Error(err)
	}
}

// arrowTable is a row for each package: what it is, as its doc comment says,
// and what it may import.
func arrowTable(t *testing.T) string {
	about := map[string]string{}
	for _, line := range goList(t, "-f", "{{.ImportPath}} {{.Doc}}", "./...") {
		pkg, doc, _ := strings.Cut(strings.TrimPrefix(line, module+"/"), " ")
		about[pkg] = strings.TrimSuffix(doc, ".")
	}
	var out strings.Builder
	out.WriteString("| package | what it is | may import |\n|---|---|---|\n")
	for _, pkg := range slices.Sorted(maps.Keys(arrows)) {
		doc := about[pkg]
		if doc == "" {
			t.Errorf("%s has no package comment", pkg)
		}
		_, doc, _ = strings.Cut(strings.TrimPrefix(doc, "Package "), " ")
		imports := strings.Join(arrows[pkg], "`, `")
		if imports != "" {
			imports = "`" + imports + "`"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", pkg, doc, imports)
	}
	return out.String()
}

// TestPicture holds the picture of docs/architecture.md to its text, and the
// text to the programs there are.
func TestPicture(t *testing.T) {
	dot, err := os.ReadFile("../docs/processes.dot")
	if err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile("../docs/processes.svg")
	if err != nil {
		t.Fatal(err)
	}
	drawn := html.UnescapeString(string(svg))
	for _, m := range regexp.MustCompile(`label="([^"]+)"`).FindAllStringSubmatch(string(dot), -1) {
		for line := range strings.SplitSeq(m[1], `\n`) {
			if !strings.Contains(drawn, ">"+line+"<") {
				t.Errorf("docs/processes.svg lacks %q: make docs/processes.svg", line)
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^ +(\w+) -> (\w+)`).FindAllStringSubmatch(string(dot), -1) {
		if edge := m[1] + "->" + m[2]; !strings.Contains(drawn, "<title>"+edge+"</title>") {
			t.Errorf("docs/processes.svg lacks %s: make docs/processes.svg", edge)
		}
	}
	programs, err := filepath.Glob("../cmd/castgate*")
	if err != nil || len(programs) < 5 {
		t.Fatalf("programs: %v %v", programs, err)
	}
	for _, p := range programs {
		name := filepath.Base(p)
		if name != "castgate-once" && !strings.Contains(string(dot), name) { // a container has no other process
			t.Errorf("docs/processes.dot lacks %s", name)
		}
		if doc, _ := os.ReadFile(architecture); !strings.Contains(string(doc), "`"+name) {
			t.Errorf("%s lacks %s", architecture, name)
		}
	}
}

// foreign are documents that our texts name and that are not kept here: other
// projects', and what `make update` writes.
var foreign = []string{"UIDS-GIDS.md", "USER_RECORD.md", "GROUP_RECORD.md", "update.md"}

// TestNoPointerLeadsOut finds files and sections that comments and documents
// name and that the repository doesn't have.
func TestNoPointerLeadsOut(t *testing.T) {
	names := map[string]bool{}
	for _, path := range sources(t) {
		names[filepath.Base(path)] = true
	}
	document := regexp.MustCompile(`[\w-]+\.md\b`)
	outside := regexp.MustCompile(`\bspec/[a-z]|design(\.md)? section|shared/(spec|design|style)`)
	for _, path := range sources(t) {
		if strings.HasSuffix(path, "architecture_test.go") || !strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".md") {
			continue
		}
		b, err := os.ReadFile("../" + path)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(b), "\n") {
			if m := outside.FindString(line); m != "" {
				t.Errorf("%s:%d: %q is not in this repository", path, n+1, m)
			}
			if !strings.Contains(line, "//") && !strings.HasSuffix(path, ".md") {
				continue
			}
			for _, m := range document.FindAllString(line, -1) {
				if !names[m] && !slices.Contains(foreign, m) {
					t.Errorf("%s:%d: there is no %s", path, n+1, m)
				}
			}
		}
	}
}
