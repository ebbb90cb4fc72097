// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// wrap.yaml is read at each login by a program that is setgid, so its reader is
// here, and small: a whole YAML library costs a tenth of a login's time in
// tables and patterns that are made before main, and 300 KB of code. What
// people write by hand is understood as YAML 1.2 says: block and flow mappings
// and sequences, plain and quoted scalars, block scalars (| and >), comments.
// The rest is refused by its name: anchors, aliases, tags, directives, "?"
// keys, several documents, and plain or quoted scalars of several lines. A fuzz
// test holds what is accepted against a YAML library.

// node is a value of a YAML file.
type node struct {
	line   int
	kind   kind
	text   string  // of a scalar
	plain  bool    // a scalar without quotes: it may be a null or a truth value
	keys   []*node // of a mapping, scalars
	values []*node // of a mapping, beside the keys; the items of a sequence
}

type kind int

const (
	scalar kind = iota
	mapping
	sequence
)

// yamlLine is a line that is no comment and not blank.
type yamlLine struct {
	number int
	indent int    // spaces before text
	text   string // without its line break
	raw    int    // index of the line in the file, for block scalars
}

// yamlParser goes through the lines of one file.
type yamlParser struct {
	raw   []string
	lines []yamlLine
	at    int // the next line
	depth int
}

// maxDepth bounds the recursion; wrap.yaml needs five.
const maxDepth = 32

// maxKey is YAML's own limit for a key (section 7.4.2).
const maxKey = 1024

var errDeep = errors.New("nested too deeply")

// parseYAML returns the file's only document, a mapping; nil when there is none.
func parseYAML(text []byte) (*node, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	p := &yamlParser{}
	if err := p.split(strings.TrimPrefix(string(text), "\ufeff")); err != nil {
		return nil, err
	}
	if len(p.lines) == 0 {
		return nil, nil
	}
	n, err := p.block(0)
	if err != nil {
		return nil, err
	}
	if p.at < len(p.lines) {
		return nil, p.lines[p.at].fault("it is indented like none of the lines before")
	}
	if n.kind != mapping {
		return nil, lineFault(n.line, "want KEY: VALUE here")
	}
	return n, nil
}

func (l yamlLine) fault(format string, args ...any) error {
	return lineFault(l.number, format, args...)
}

func lineFault(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", line, fmt.Sprintf(format, args...))
}

// split makes the list of lines that say something.
func (p *yamlParser) split(text string) error {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	p.raw = strings.Split(text, "\n")
	begun := false
	for i, raw := range p.raw {
		if c, ok := control(raw); ok {
			return lineFault(i+1, "it has the control character %U", c)
		}
		body := strings.TrimLeft(raw, " ")
		l := yamlLine{number: i + 1, indent: len(raw) - len(body), text: body, raw: i}
		if body == "" || body[0] == '#' {
			continue
		}
		if l.indent == 0 && (mark(body, "---") || mark(body, "...") || body[0] == '%') {
			if !begun && len(p.lines) == 0 && mark(body, "---") && comment(body[3:]) {
				begun = true
				continue // the mark before the document
			}
			return l.fault("one document without directives is understood here")
		}
		p.lines = append(p.lines, l)
	}
	return nil
}

// mark says that a line begins or ends a document.
func mark(body, dashes string) bool {
	rest, ok := strings.CutPrefix(body, dashes)
	return ok && blankOrEnd(rest)
}

// control finds what YAML doesn't allow unescaped (section 5.1), and the line
// breaks that only some readers take for such.
func control(s string) (rune, bool) {
	for _, c := range s {
		if c < ' ' && c != '\t' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == '\u2028' || c == '\u2029' || c == '\ufeff' || c >= 0xfffe && c <= 0xffff {
			return c, true
		}
	}
	return 0, false
}

// comment says that nothing but a comment is in s, which follows a value.
func comment(s string) bool {
	t := strings.TrimLeft(s, " \t")
	return t == "" || t[0] == '#' && t != s
}

func blankOrEnd(s string) bool { return s == "" || s[0] == ' ' || s[0] == '\t' }
