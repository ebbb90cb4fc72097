// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"strings"
)

// flowReader reads {…} and […], which may go on over several lines.
type flowReader struct {
	p     *yamlParser
	line  yamlLine
	rest  string
	depth int
}

func (p *yamlParser) flow(l yamlLine, text string, indent int) (*node, error) {
	f := &flowReader{p: p, line: l, rest: text}
	n, err := f.collection()
	if err != nil {
		return nil, err
	}
	if !comment(f.rest) {
		return nil, f.line.fault("there is something behind the %q: %q", closing(text[0]), clipped(f.rest))
	}
	return n, p.nothingDeeper(indent)
}

func closing(open byte) string {
	if open == '{' {
		return "}"
	}
	return "]"
}

// skip goes to the next thing, on this line or a further one.
func (f *flowReader) skip() error {
	for {
		before := f.rest
		f.rest = strings.TrimLeft(f.rest, " \t")
		if f.rest != "" && (f.rest[0] != '#' || before == f.rest) {
			return nil
		}
		if f.p.at >= len(f.p.lines) {
			return f.line.fault("a { or [ is not closed")
		}
		f.line = f.p.lines[f.p.at]
		f.rest = f.line.text
		f.p.at++
	}
}

// collection reads from the bracket to its other half.
func (f *flowReader) collection() (*node, error) {
	if f.depth++; f.depth > maxDepth {
		return nil, errDeep
	}
	defer func() { f.depth-- }()
	open := f.rest[0]
	n := &node{line: f.line.number, kind: sequence}
	if open == '{' {
		n.kind = mapping
	}
	f.rest = f.rest[1:]
	for {
		if err := f.skip(); err != nil {
			return nil, err
		}
		if f.rest[:1] == closing(open) {
			f.rest = f.rest[1:]
			return n, nil
		}
		if err := f.entry(n); err != nil {
			return nil, err
		}
		if err := f.skip(); err != nil {
			return nil, err
		}
		switch {
		case f.rest[0] == ',':
			f.rest = f.rest[1:]
		case f.rest[:1] != closing(open):
			return nil, f.line.fault("%q: want a comma or %q", clipped(f.rest), closing(open))
		}
	}
}

// entry reads an item of a sequence or a pair of a mapping.
func (f *flowReader) entry(n *node) error {
	v, err := f.value()
	if err != nil || n.kind == sequence {
		n.values = append(n.values, v)
		return err
	}
	if v.kind != scalar {
		return f.line.fault("a { or [ can't be a key here")
	}
	f.rest = strings.TrimLeft(f.rest, " \t")
	if f.rest == "" || f.rest[0] != ':' { // on the next line readers take it for something else
		return f.line.fault("key %q has no colon behind it", clipped(v.text))
	}
	f.rest = f.rest[1:]
	if err := f.skip(); err != nil {
		return err
	}
	w := &node{line: f.line.number, plain: true}
	if f.rest[0] != ',' && f.rest[0] != '}' {
		if w, err = f.value(); err != nil {
			return err
		}
	}
	return n.add(v, w)
}

func (f *flowReader) value() (*node, error) {
	switch f.rest[0] {
	case '{', '[':
		return f.collection()
	case '"', '\'':
		text, rest, err := quoted(f.line.number, f.rest)
		f.rest = rest
		return &node{line: f.line.number, text: text}, err
	}
	end := flowPlain(f.rest)
	text := strings.TrimRight(f.rest[:end], " \t")
	if text == "" {
		return nil, f.line.fault("%q: there is no value before it", clipped(f.rest))
	}
	if err := plainStart(f.line.number, text); err != nil {
		return nil, err
	}
	if text[0] == ':' || strings.HasSuffix(text, ":") || strings.Contains(text, "?") { // readers differ
		return nil, f.line.fault("%q: put quotes around it, or a space behind the colon", clipped(text))
	}
	n := &node{line: f.line.number, text: text, plain: true}
	f.rest = f.rest[len(text):]
	if comment(f.rest) {
		return n, f.ended()
	}
	return n, nil
}

// ended refuses a plain scalar that goes on on the next line.
func (f *flowReader) ended() error {
	at := f.p.at
	if err := f.skip(); err != nil {
		return err
	}
	if f.p.at != at && !strings.Contains(",]}", f.rest[:1]) {
		return f.line.fault("the value before it must be on one line; put a comma between two")
	}
	return nil
}

// flowPlain returns where a scalar without quotes ends within brackets.
func flowPlain(s string) int {
	for i := range len(s) {
		switch s[i] {
		case ',', '[', ']', '{', '}':
			return i
		case ':':
			if blankOrEnd(s[i+1:]) {
				return i
			}
		case '#':
			if i > 0 && (s[i-1] == ' ' || s[i-1] == '\t') {
				return i
			}
		}
	}
	return len(s)
}
