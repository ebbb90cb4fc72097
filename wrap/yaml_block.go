// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"strings"
)

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
