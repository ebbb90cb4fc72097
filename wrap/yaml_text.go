// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"strings"
)

// blockScalar reads the text of several lines that | or > begins: section 8.1
// of YAML 1.2. It belongs to something at indent.
func (p *yamlParser) blockScalar(l yamlLine, header string, indent int) (*node, error) {
	folded := header[0] == '>'
	chomp, rest := byte(0), header[1:]
	if rest != "" && (rest[0] == '+' || rest[0] == '-') {
		chomp, rest = rest[0], rest[1:]
	}
	if !comment(rest) {
		return nil, l.fault("%q: only + or - may be behind the %q, the text begins on the next line", clipped(header), header[:1])
	}
	lines, unended, err := p.textLines(l, indent)
	if err != nil {
		return nil, err
	}
	if unended {
		chomp = '-'
	}
	return &node{line: l.number, text: joined(lines, folded, chomp)}, nil
}

// textLines takes the lines of a block scalar, without their indentation: that
// of the first which is not blank.
func (p *yamlParser) textLines(l yamlLine, indent int) (lines []string, unended bool, err error) {
	first := l.raw + 1
	next, want := first, -1
	for ; next < len(p.raw); next++ {
		raw := p.raw[next]
		spaces := len(raw) - len(strings.TrimLeft(raw, " "))
		switch {
		case spaces == len(raw): // blank
			lines = append(lines, raw[min(max(want, 0), spaces):])
			continue
		case want < 0 && spaces > indent:
			want = spaces
			if err := p.textStart(first, next, want); err != nil {
				return nil, false, err
			}
			clear(lines) // blank ones may be shorter than the indentation
		}
		if want < 0 || spaces < want {
			break
		}
		lines = append(lines, raw[want:])
	}
	for p.at < len(p.lines) && p.lines[p.at].raw < next {
		p.at++
	}
	if want < 0 {
		clear(lines)
	}
	if last := len(lines) - 1; next == len(p.raw) && last >= 0 {
		if unended = lines[last] != ""; !unended {
			lines = lines[:last] // what is behind the file's last line break is no line
		}
	}
	return lines, unended, p.nothingDeeper(indent)
}

// textStart looks at the first line of a text and the blank ones before it.
func (p *yamlParser) textStart(first, at, want int) error {
	if p.raw[at][want] == '\t' {
		return lineFault(at+1, "a tab is in its indentation; YAML wants spaces")
	}
	for i := first; i < at; i++ {
		if len(p.raw[i]) > want {
			return lineFault(i+1, "a blank line is indented deeper than the text that follows")
		}
	}
	return nil
}

// joined puts the line breaks in: a folded text has spaces for them, but not
// beside lines that are indented deeper.
func joined(lines []string, folded bool, chomp byte) string {
	end := len(lines)
	for end > 0 && lines[end-1] == "" {
		end--
	}
	var b strings.Builder
	for i, line := range lines[:end] {
		b.WriteString(line)
		if i+1 < end {
			b.WriteString(between(lines, i, folded))
		}
	}
	switch {
	case chomp == '+':
		if end > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(strings.Repeat("\n", len(lines)-end))
	case chomp == 0 && end > 0:
		b.WriteByte('\n')
	}
	return b.String()
}

// between is what stands between lines[i] and the next.
func between(lines []string, i int, folded bool) string {
	if !folded {
		return "\n"
	}
	if lines[i] == "" {
		return "\n"
	}
	deeper := func(s string) bool { return s != "" && (s[0] == ' ' || s[0] == '\t') }
	next := i + 1
	for next < len(lines)-1 && lines[next] == "" {
		next++
	}
	switch {
	case deeper(lines[i]) || deeper(lines[next]):
		return "\n"
	case lines[i+1] == "":
		return "" // the blank line brings the break
	}
	return " "
}
