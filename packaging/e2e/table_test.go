// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

// tableDoc is written by `make docs` from what the tests found: a part for
// each of them, which a throwaway host can only leave in .build/hosttest.
const tableDoc = "../../docs/sessions.md"

var update = flag.Bool("update", false, "write the tables to .build/hosttest/sessions-*.md")

// table is what one test found: a line for each kind of session.
type table struct {
	part  string // of the document; the parts are in the order of their names
	title string
	lines []string
}

// line tells how one kind of session compared, way by way.
type line struct {
	what string
	ways []string
}

// add notes how the next way (not the plain one) compared.
func (l *line) add(i int, same bool, note string) {
	switch {
	case i == 0: // everything is compared with it
	case !same:
		l.ways = append(l.ways, "**differs**")
	case note != "":
		l.ways = append(l.ways, "same, "+note)
	default:
		l.ways = append(l.ways, "same")
	}
}

func (tb *table) add(l line) {
	for len(l.ways) < 3 {
		l.ways = append(l.ways, "-")
	}
	tb.lines = append(tb.lines, fmt.Sprintf("| %s | %s |\n", strings.ReplaceAll(l.what, "|", "\\|"), strings.Join(l.ways, " | ")))
}

// hold compares the document with what was found, or writes it anew. A run of
// some of the tests only looks at their lines.
func (tb *table) hold(t *testing.T) {
	t.Helper()
	if *update {
		text := "\n## " + tb.title + "\n\n| session | ForceCommand | login shell | both |\n|---|---|---|---|\n" + strings.Join(tb.lines, "")
		if err := os.WriteFile("../../.build/hosttest/sessions-"+tb.part+".md", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	doc, err := os.ReadFile(tableDoc)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range tb.lines {
		if !strings.Contains(string(doc), l) {
			t.Errorf("%s has no line %q: make docs writes it", tableDoc, l)
		}
	}
}
