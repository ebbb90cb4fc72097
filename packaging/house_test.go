// SPDX-License-Identifier: AGPL-3.0-or-later

// Package packaging_test holds what is true of the whole repository: who may
// import whom, what the set-id program links, what every file says first.
package packaging_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "castgate"

// arrows are the imports of our own packages that docs/architecture.md shows.
// Commands may import all of it and so are not listed.
var arrows = map[string][]string{
	"cmd/internal/cli":    {"wrap/hint"},
	"cmd/internal/config": {"wrap/nearest"},
	"keys/files":          {"wrap/hint"},
	"keys/local":          {},
	"keys/prepared":       {},
	"keys/pubkey":         {"wrap/hint", "wrap/restrict"}, // which reads authorized_keys as sshd does
	"keys/settings":       {"wrap/hint", "keys/pubkey"},
	"keys/known":          {"keys/files", "wrap/hint", "keys/local", "keys/pubkey", "keys/settings"},
	"keys/owners":         {"keys/files", "wrap/hint", "keys/known", "keys/local", "keys/prepared", "keys/settings"},
	"keys/userdb":         {"keys/files", "keys/settings"},
	"keys":                {"keys/files", "wrap/hint", "keys/known", "keys/local", "keys/owners", "keys/prepared", "keys/pubkey", "keys/settings", "keys/userdb"},
	"keys/github":         {"keys", "keys/files", "wrap/hint", "keys/known", "keys/local", "keys/pubkey", "keys/settings"},
	"keys/githubtest":     {},
	"wrap/asciicast":      {},
	"wrap/hint":           {},
	"wrap/spool":          {"wrap/hint"},
	"wrap/restrict":       {},
	"wrap/nearest":        {},
	"wrap/guard":          {"wrap/restrict"}, // the session hook
	"wrap/setgid":         {},
	"wrap/rawio":          {},
	"wrap/account":        {},
	"wrap/config":         {"wrap/hint", "wrap/nearest"},
	"wrap/transfer":       {"wrap/setgid"},
	"wrap/record":         {"wrap/asciicast", "wrap/rawio"},
	"wrap/terminal":       {"wrap/rawio", "wrap/record", "wrap/setgid"},
	"wrap": {
		"wrap/account", "wrap/asciicast", "wrap/config", "wrap/guard", "wrap/hint", "wrap/record", "wrap/restrict", "wrap/setgid",
		"wrap/spool", "wrap/terminal", "wrap/transfer",
	},
	"wrap/once":         {"wrap/account", "wrap/asciicast", "wrap/record", "wrap/terminal", "wrap/transfer"},
	"upload/manifest":   {"wrap/asciicast"}, // the format that upload writes and the archive reads
	"upload/client":     {},
	"upload/bucket":     {"upload/client", "upload/manifest"},
	"upload/store":      {"upload/client", "upload/manifest"},
	"upload/seal":       {"wrap/hint", "upload/manifest"},
	"upload/target":     {"upload/bucket", "upload/client", "wrap/hint", "upload/manifest", "upload/store", "wrap/asciicast"},
	"upload":            {"upload/client", "wrap/hint", "upload/manifest", "upload/seal", "upload/store", "upload/target", "wrap/asciicast", "wrap/spool"},
	"upload/uploadtest": {"upload/", "wrap/asciicast"},
	"upload/archive":    {"upload/archive/", "wrap/hint", "upload/manifest", "upload/store", "wrap/asciicast"},
}

// maxFiles is how many files a package below keys may have, tests aside: more than
// can be seen at a glance are more than one noun.
const maxFiles = 16

func TestRoomsAreSmall(t *testing.T) {
	n := map[string]int{}
	for _, path := range sources(t) {
		if strings.HasPrefix(path, "keys/") && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			n[filepath.Dir(path)]++
		}
	}
	for dir, files := range n {
		if files > maxFiles {
			t.Errorf("%s has %d files, at most %d can be seen at a glance", dir, files, maxFiles)
		}
	}
}

// free are directories whose packages may import anything of ours.
var free = []string{"packaging/", "cmd/internal/host"} // and the commands

func TestImportGraph(t *testing.T) {
	for _, line := range goList(t, "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...") {
		pkg, imports, _ := strings.Cut(strings.TrimPrefix(line, module+"/"), " ")
		if pkg == "packaging" || covered(free, pkg) || strings.HasPrefix(pkg, "cmd/castgate") {
			continue
		}
		rule := pkg
		if strings.HasPrefix(pkg, "upload/archive/") { // one room with several doors
			rule = "upload/archive"
		}
		allowed, known := arrows[rule]
		if !known {
			t.Errorf("%s has no place in the import graph: see docs/architecture.md", pkg)
			continue
		}
		for _, imp := range strings.Fields(imports) {
			ours, ok := strings.CutPrefix(imp, module+"/")
			if ok && !covered(allowed, ours) {
				t.Errorf("%s imports %s; it may import %v", pkg, ours, allowed)
			}
		}
	}
}

// covered reports whether name, or the directory it is in, is listed.
func covered(list []string, name string) bool {
	return slices.ContainsFunc(list, func(l string) bool {
		return l == name || strings.HasSuffix(l, "/") && strings.HasPrefix(name+"/", l)
	})
}

// links says what a program may be built from: the privileged ones are held
// to the few modules that somebody can read in an afternoon.
var links = map[string]struct {
	modules []string // beside the standard library and ours
	without []string // packages of the standard library that are banned
}{
	"castgate-wrap": {
		[]string{"github.com/creack/pty", "go.yaml.in/yaml/v3", "golang.org/x/term", "golang.org/x/sys"},
		[]string{"net", "net/http", "crypto/tls", "os/user", "plugin"},
	},
	"castgate-guard": {[]string{"golang.org/x/sys", "golang.org/x/term"}, []string{"net/http", "crypto/tls", "plugin"}},
}

func TestPrivilegedProgramsLinkLittle(t *testing.T) {
	for program, rule := range links {
		if _, err := os.Stat("../cmd/" + program); err != nil {
			t.Errorf("no program %s", program)
			continue
		}
		format := "{{if .Module}}{{.Module.Path}}{{else}}std{{end}} {{.ImportPath}}"
		for _, line := range goList(t, "-deps", "-f", format, "./cmd/"+program) {
			mod, pkg, _ := strings.Cut(line, " ")
			switch {
			case mod == "std" && slices.Contains(rule.without, pkg):
				t.Errorf("%s links %s", program, pkg)
			case mod != "std" && mod != module && !slices.Contains(rule.modules, mod):
				t.Errorf("%s links %s of module %s; it may link %v", program, pkg, mod, rule.modules)
			}
		}
	}
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// bans are calls and imports that have one home.
var bans = []struct {
	what  string
	homes []string // directories, with what is below them when they end in /
	why   string
}{
	{"os.Exit", []string{"cmd/internal/cli", "packaging/hosttest", "packaging/host"}, "return an error; cmd/internal/cli exits"},
	{"log.Fatal", []string{"packaging/demo/", "packaging/sbom"}, "return an error"},
	{"log.Fatalf", []string{"packaging/demo/"}, "return an error"},
	{"github.com/spf13/viper", []string{"cmd/internal/config"}, "configuration is read by cmd/internal/config"},
	{"os/exec", []string{"wrap/", "packaging/", "cmd/castgate", "cmd/castgate-guard", "cmd/internal/host"}, "nothing else runs programs"},
}

func TestBans(t *testing.T) {
	for _, path := range sources(t) {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			continue
		}
		used := uses(t, path)
		for _, ban := range bans {
			at, found := used[ban.what]
			if found && !covered(ban.homes, filepath.Dir(path)) {
				t.Errorf("%s: %s: %s", at, ban.what, ban.why)
			}
		}
	}
}

// uses returns the imports and the package-qualified names of a file, with
// where they stand.
func uses(t *testing.T, path string) map[string]string {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "../"+path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]string{}
	where := func(n ast.Node) string { return fmt.Sprintf("%s:%d", path, set.Position(n.Pos()).Line) }
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			used[strings.Trim(n.Path.Value, `"`)] = where(n)
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok {
				used[id.Name+"."+n.Sel.Name] = where(n)
			}
		}
		return true
	})
	return used
}

// silent are the kinds of files that can't, or needn't, carry a licence line:
// data, documents, what others generate, and the licence itself.
var silent = regexp.MustCompile(`(^|/)(LICENSE|\.gitignore|.*\.(md|mod|sum|json|svg|png|cast|zst|pub|golden|txt|wasm|min\.js|min\.css))$|^packaging/pam/|(^|/)testdata/|/vendor/`)

func TestEveryFileNamesItsLicence(t *testing.T) {
	const line = "SPDX-License-Identifier: AGPL-3.0-or-later"
	n := 0
	for _, path := range sources(t) {
		if silent.MatchString(path) {
			continue
		}
		n++
		text, err := os.ReadFile("../" + path)
		if err != nil {
			t.Fatal(err)
		}
		head := strings.SplitN(string(text), "\n", 4)
		if !strings.Contains(strings.Join(head[:min(3, len(head))], "\n"), line) {
			t.Errorf("%s: none of its first three lines says %q", path, line)
		}
	}
	if n < 10 {
		t.Errorf("only %d files looked at", n)
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

func TestDocumentsLinkToWhatExists(t *testing.T) {
	for _, path := range sources(t) {
		if !strings.HasSuffix(path, ".md") {
			continue
		}
		text, err := os.ReadFile("../" + path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join("..", filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", path, m[1], err)
			}
		}
	}
}

var reference = regexp.MustCompile(`(?m)^\.Xr (castgate\S*) (\d)`)

// TestEveryProgramAndFileHasItsPage: one for each program, one for each YAML
// file, and no page speaks of one that isn't there.
func TestEveryProgramAndFileHasItsPage(t *testing.T) {
	var want []string
	for _, pattern := range []string{"../cmd/castgate*", "etc/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range found {
			name := filepath.Base(path)
			if strings.HasSuffix(name, ".yaml") {
				name = "castgate-" + name + ".5"
			} else {
				name += ".[18]"
			}
			want = append(want, name)
		}
	}
	pages, err := filepath.Glob("man/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range reference.FindAllStringSubmatch(string(text), -1) {
			want = append(want, m[1]+"."+m[2])
		}
	}
	for _, name := range want {
		if found, _ := filepath.Glob("man/" + name); len(found) != 1 {
			t.Errorf("man/%s: %d pages", name, len(found))
		}
	}
}

// sources returns every file of the repository but what is built in it.
func sources(t *testing.T) []string {
	t.Helper()
	var out []string
	built := []string{".git", "bin", "dist", ".build", "node_modules"}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case slices.Contains(built, d.Name()) && filepath.Dir(path) == "..":
			if d.IsDir() {
				return filepath.SkipDir
			}
		case d.IsDir() && d.Name() == "node_modules":
			return filepath.SkipDir
		case d.Type().IsRegular() && !strings.Contains(path, "/web/player/asciinema-player") && !strings.HasSuffix(path, "/web/player/.lock"): // "make web" puts it there
			out = append(out, strings.TrimPrefix(path, "../"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
