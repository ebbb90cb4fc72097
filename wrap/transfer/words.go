// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"path/filepath"
	"slices"
	"strings"

	"castgate/wrap/setgid"
)

// word is a word of a command line; quoted letters have no second meaning.
type word struct {
	text string
	glob []bool // for each byte: it may be a wildcard
}

func texts(words []word) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w.text
	}
	return out
}

// splitWords splits a command line as sh(1) would, when it is nothing but
// words: quotes and backslashes are understood; everything by which a shell
// would do more than start one program makes it return false.
func splitWords(line string) ([]word, bool) {
	var words []word
	var cur *word
	add := func(c byte, glob bool) {
		if cur == nil {
			words = append(words, word{})
			cur = &words[len(words)-1]
		}
		cur.text += string([]byte{c})
		cur.glob = append(cur.glob, glob)
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == ' ' || c == '\t':
			cur = nil
		case c == '\\':
			if i++; i == len(line) || line[i] == '\n' {
				return nil, false
			}
			add(line[i], false)
		case c == '\'' || c == '"':
			end := strings.IndexByte(line[i+1:], c)
			if end < 0 {
				return nil, false
			}
			if cur == nil {
				words = append(words, word{})
				cur = &words[len(words)-1]
			}
			for _, q := range []byte(line[i+1 : i+1+end]) {
				if c == '"' && strings.IndexByte("$`\\", q) >= 0 {
					return nil, false
				}
				add(q, false)
			}
			i += end + 1
		case strings.IndexByte("$`;&|<>(){}\n\r#!^", c) >= 0 && !harmless(c, cur):
			return nil, false
		case c == '=' && len(words) == 1 && cur != nil:
			return nil, false // an assignment before the program's name
		default:
			add(c, c == '*' || c == '?' || c == '[' || c == '~' && cur == nil)
		}
	}
	return words, true
}

// harmless lets through what means something only at the start of a word.
func harmless(c byte, cur *word) bool {
	return cur != nil && (c == '#' || c == '!' || c == '^')
}

// expand does for a file name what the shell would have done: ~/ and wildcards,
// a pattern that matches nothing staying as it is (sh(1), 2.6.6).
func expand(words []word, home string) []string {
	var out []string
	for _, w := range words {
		pattern, magic := w.pattern(home)
		names, err := glob(pattern)
		names = slices.DeleteFunc(names, func(n string) bool { return hidden(n) && !hidden(pattern) })
		if !magic || err != nil || len(names) == 0 {
			out = append(out, w.tilde(home))
			continue
		}
		out = append(out, names...)
	}
	return out
}

// glob looks with the user's ids: the recorder's group may look into the spool,
// where the names are other people's.
func glob(pattern string) (names []string, err error) {
	err = setgid.AsUser(func() (err error) {
		names, err = filepath.Glob(pattern)
		return err
	})
	return names, err
}

// hidden files are not matched by a wildcard (sh(1), 2.13.3).
func hidden(name string) bool { return strings.HasPrefix(filepath.Base(name), ".") }

func (w word) tilde(home string) string {
	if len(w.glob) > 0 && w.text[0] == '~' && w.glob[0] && (len(w.text) == 1 || w.text[1] == '/') {
		return home + w.text[1:]
	}
	return w.text
}

// pattern is the word for filepath.Glob: quoted wildcards are escaped.
func (w word) pattern(home string) (string, bool) {
	var b strings.Builder
	magic := false
	text := w.tilde(home)
	start := len(text) - len(w.text) // bytes by which ~ grew
	for i := range len(text) {
		wild := i-start >= 0 && i-start < len(w.glob) && w.glob[i-start] && text[i] != '~'
		magic = magic || wild
		if !wild && strings.IndexByte(`*?[\`, text[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String(), magic
}
