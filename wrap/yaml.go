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

// block reads the value whose first line is the next one, and is indented by at
// least indent.
func (p *yamlParser) block(indent int) (*node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errDeep
	}
	defer func() { p.depth-- }()
	l := p.lines[p.at]
	if l.indent < indent {
		return &node{line: l.number, plain: true}, nil
	}
	if item(l.text) {
		return p.sequence(l.indent)
	}
	_, _, ok, err := key(l)
	if err != nil {
		return nil, err
	}
	if ok {
		return p.mapping(l.indent)
	}
	p.at++
	return p.value(l, l.text, indent-1)
}

func item(text string) bool {
	return text == "-" || strings.HasPrefix(text, "- ") || strings.HasPrefix(text, "-\t")
}

// sequence reads the items that begin with "-" at indent. What follows the dash
// is read as if it stood on a line of its own.
func (p *yamlParser) sequence(indent int) (*node, error) {
	n := &node{line: p.lines[p.at].number, kind: sequence}
	for p.at < len(p.lines) && p.lines[p.at].indent == indent && item(p.lines[p.at].text) {
		l := &p.lines[p.at]
		rest := strings.TrimLeft(l.text[1:], " ")
		if strings.HasPrefix(rest, "\t") {
			return nil, l.fault("there is a tab behind the dash; YAML wants a space")
		}
		var v *node
		var err error
		if comment(l.text[1:]) {
			v, err = p.below(indent, false)
		} else {
			l.indent, l.text = indent+len(l.text)-len(rest), rest
			v, err = p.inItem(indent)
		}
		if err != nil {
			return nil, err
		}
		n.values = append(n.values, v)
	}
	return n, p.sameLevel(indent)
}

// inItem reads the value that begins behind a dash at indent.
func (p *yamlParser) inItem(indent int) (*node, error) {
	l := p.lines[p.at]
	if _, _, ok, err := key(l); ok || err != nil || item(l.text) {
		if err != nil {
			return nil, err
		}
		return p.block(l.indent)
	}
	p.at++
	return p.value(l, l.text, indent)
}

// mapping reads the pairs whose keys are at indent.
func (p *yamlParser) mapping(indent int) (*node, error) {
	n := &node{line: p.lines[p.at].number, kind: mapping}
	for p.at < len(p.lines) && p.lines[p.at].indent == indent {
		l := p.lines[p.at]
		if item(l.text) {
			break
		}
		k, rest, ok, err := key(l)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, l.fault("%q is no key: write KEY: VALUE", clipped(l.text))
		}
		p.at++
		var v *node
		if comment(rest) {
			v, err = p.below(indent, true)
		} else {
			v, err = p.value(l, strings.TrimLeft(rest, " \t"), indent)
		}
		if err != nil {
			return nil, err
		}
		if err := n.add(k, v); err != nil {
			return nil, err
		}
	}
	return n, p.sameLevel(indent)
}

// sameLevel refuses a line that goes on deeper than what it would belong to.
func (p *yamlParser) sameLevel(indent int) error {
	if p.at < len(p.lines) && p.lines[p.at].indent > indent {
		return p.lines[p.at].fault("it is indented deeper than the lines before")
	}
	return nil
}

// below reads what belongs to a key or a dash at indent that has nothing behind
// it. The items of a key's sequence may be at the key's own indent.
func (p *yamlParser) below(indent int, ofKey bool) (*node, error) {
	if !ofKey {
		p.at++
	}
	if p.at < len(p.lines) {
		l := p.lines[p.at]
		if l.indent > indent {
			return p.block(indent + 1)
		}
		if ofKey && l.indent == indent && item(l.text) {
			return p.sequence(indent)
		}
	}
	return &node{line: p.lines[p.at-1].number, plain: true}, nil
}

func (n *node) add(k, v *node) error {
	for _, have := range n.keys {
		if have.text == k.text {
			return lineFault(k.line, "key %q is there already, on line %d", k.text, have.line)
		}
	}
	n.keys, n.values = append(n.keys, k), append(n.values, v)
	return nil
}

// key cuts a line after the colon of its key; ok is false when it has none.
func key(l yamlLine) (k *node, rest string, ok bool, err error) {
	switch l.text[0] {
	case '\t':
		return nil, "", false, l.fault("it is indented by a tab; YAML wants spaces")
	case '"', '\'':
		text, rest, err := quoted(l.number, l.text)
		if err != nil {
			return nil, "", false, err
		}
		rest = strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(rest, ":") || !blankOrEnd(rest[1:]) || len(l.text)-len(rest) > maxKey {
			return nil, "", false, nil
		}
		return &node{line: l.number, text: text}, rest[1:], true, nil
	case '{', '[', '#', '|', '>':
		return nil, "", false, nil
	case '?':
		if blankOrEnd(l.text[1:]) {
			return nil, "", false, l.fault(`keys with "?" are not understood here`)
		}
	}
	for i := range len(l.text) {
		switch {
		case i > maxKey:
			return nil, "", false, nil
		case l.text[i] == ':' && blankOrEnd(l.text[i+1:]):
			text := strings.TrimRight(l.text[:i], " \t")
			if err := plainStart(l.number, text); err != nil {
				return nil, "", false, err
			}
			return &node{line: l.number, text: text, plain: true}, l.text[i+1:], true, nil
		case l.text[i] == '#' && (l.text[i-1] == ' ' || l.text[i-1] == '\t'):
			return nil, "", false, nil
		}
	}
	return nil, "", false, nil
}

func blankOrEnd(s string) bool { return s == "" || s[0] == ' ' || s[0] == '\t' }

// value reads a value that begins with text, the rest of l, and belongs to
// something at indent.
func (p *yamlParser) value(l yamlLine, text string, indent int) (*node, error) {
	switch text[0] {
	case '|', '>':
		return p.blockScalar(l, text, indent)
	case '{', '[':
		return p.flow(l, text, indent)
	case '"', '\'':
		s, rest, err := quoted(l.number, text)
		if err != nil {
			return nil, err
		}
		if !comment(rest) {
			return nil, l.fault("there is something behind the quoted text: %q", clipped(rest))
		}
		return &node{line: l.number, text: s}, p.nothingDeeper(indent)
	}
	s := plain(text)
	if err := plainStart(l.number, s); err != nil {
		return nil, err
	}
	if strings.Contains(s, ": ") || strings.Contains(s, ":\t") || strings.HasSuffix(s, ":") {
		return nil, l.fault("there is a second colon; put the value into quotes")
	}
	return &node{line: l.number, text: s, plain: true}, p.nothingDeeper(indent)
}

// nothingDeeper refuses the next line of a scalar of several lines.
func (p *yamlParser) nothingDeeper(indent int) error {
	if p.at < len(p.lines) && p.lines[p.at].indent > indent {
		return p.lines[p.at].fault("the value before it must be on one line; | begins a text of several")
	}
	return nil
}

// plain cuts a comment off a scalar without quotes.
func plain(text string) string {
	for i := 1; i < len(text); i++ {
		if text[i] == '#' && (text[i-1] == ' ' || text[i-1] == '\t') {
			text = text[:i]
			break
		}
	}
	return strings.TrimRight(text, " \t")
}

// plainStart refuses what means something else at the start of a scalar.
func plainStart(line int, s string) error {
	if s == "" {
		return lineFault(line, "there is no key before the colon")
	}
	switch s[0] {
	case '&', '*':
		return lineFault(line, "anchors and aliases are not understood here; put %q into quotes", clipped(s))
	case '!':
		return lineFault(line, "tags are not understood here; put %q into quotes", clipped(s))
	case '@', '`', '%', ',', ']', '}', '{', '[', '"', '\'', '|', '>', '#':
		return lineFault(line, "a value can't begin with %q; put it into quotes", s[:1])
	case '-', '?', ':':
		if len(s) == 1 || s[1] == ' ' || s[1] == '\t' {
			return lineFault(line, "a value can't begin with %q; put it into quotes", s[:1])
		}
	}
	return nil
}

func clipped(s string) string {
	const most = 40
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
