// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

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

// quoted reads a scalar in quotes at the start of s, and returns what is behind it.
func quoted(line int, s string) (text, rest string, err error) {
	if s[0] == '\'' {
		return singleQuoted(line, s)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			n, err := escape(&b, line, s[i+1:])
			if err != nil {
				return "", "", err
			}
			i += n
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", notClosed(line)
}

func notClosed(line int) error {
	return lineFault(line, "a quotation mark is not closed on its line; | begins a text of several lines")
}

func singleQuoted(line int, s string) (text, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] != '\'':
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == '\'':
			b.WriteByte('\'')
			i++
		default:
			return b.String(), s[i+1:], nil
		}
	}
	return "", "", notClosed(line)
}

// escapes are those of YAML, section 5.7, that stand for one character; of 1.2's
// own, \/, the libraries know nothing.
var escapes = [...]struct {
	letter byte
	means  string
}{
	{'0', "\x00"},
	{'a', "\a"},
	{'b', "\b"},
	{'t', "\t"},
	{'\t', "\t"},
	{'n', "\n"},
	{'v', "\v"},
	{'f', "\f"},
	{'r', "\r"},
	{'e', "\x1b"},
	{' ', " "},
	{'"', `"`},
	{'\\', `\`},
	{'N', "\u0085"},
	{'_', "\u00a0"},
	{'L', "\u2028"},
	{'P', "\u2029"},
}

// escape reads what follows a backslash and returns its length.
func escape(b *strings.Builder, line int, s string) (int, error) {
	if s == "" {
		return 0, notClosed(line)
	}
	for _, e := range escapes {
		if s[0] == e.letter {
			b.WriteString(e.means)
			return 1, nil
		}
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]
	if digits > 0 && len(s) > digits {
		if c, err := strconv.ParseUint(s[1:1+digits], 16, 32); err == nil && utf8.ValidRune(rune(c)) && c <= utf8.MaxRune {
			b.WriteRune(rune(c))
			return 1 + digits, nil
		}
	}
	return 0, lineFault(line, `%q is no escape that YAML knows`, `\`+clipped(s))
}
