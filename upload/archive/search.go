// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"

	"castgate/upload/archive/screen"
)

// Found is a recording whose screen showed the words.
type Found struct {
	Row
	Hits []Hit `json:"hits"`
}

// Hit is a line with one of the words.
type Hit struct {
	At     float64 `json:"at"` // seconds since the start
	Text   string  `json:"text"`
	Hidden string  `json:"hidden,omitempty"` // how, see screen.Hidden
}

// maxHits bounds the lines that are shown of one document.
const maxHits = 8

// Search yields the recordings that showed all the words, the newest first,
// with the lines where they stand. A word of several ("etc passwd", a/path) is
// found where these follow each other; one that ends in * by its beginning.
func (ix *Index) Search(words []string, q Query, limit int) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		match, err := matchExpression(words, q)
		if err != nil {
			yield(Found{}, err)
			return
		}
		where, args := q.where(eitherHost)
		low, high := q.docs()
		rows, err := ix.db.Query(`SELECT `+rowColumns+`, t.lines, t.recording FROM docs
			CROSS JOIN texts t ON t.doc = docs.rowid CROSS JOIN recordings r ON r.n = t.recording
			WHERE docs MATCH ? AND docs.rowid >= ? AND docs.rowid < ? AND `+where+`
			ORDER BY docs.rowid DESC`, append([]any{match, low, high}, args...)...)
		if err != nil {
			yield(Found{}, fmt.Errorf("search: %w", err))
			return
		}
		defer rows.Close()
		var last Found
		var lastN int64
		for n := 0; rows.Next(); {
			var lines []byte
			var number int64
			r, err := scanRow(rows.Scan, &lines, &number)
			if err != nil {
				yield(Found{}, err)
				return
			}
			if !q.takesPerson(r.Person()) {
				continue
			}
			hits, err := ix.hits(lines, words, q.Visible)
			if err != nil {
				yield(Found{}, fmt.Errorf("recording %s: %w", r.ID, err))
				return
			}
			if number == lastN { // another piece of the same, earlier in it
				last.Hits = append(hits, last.Hits...)
				continue
			}
			if lastN != 0 && !yield(last, nil) {
				return
			}
			if lastN = 0; limit > 0 && n == limit {
				return
			}
			n++
			last, lastN = Found{r, hits}, number
		}
		if err := rows.Err(); err != nil {
			yield(Found{}, fmt.Errorf("search: %w", err))
		} else if lastN != 0 {
			yield(last, nil)
		}
	}
}

// docs is the range of document numbers in which the query's time lies.
func (q Query) docs() (low, high int64) {
	low, high = 0, 1<<62
	const shift = seqBits + docBits
	if !q.Since.IsZero() {
		low = min(max(0, q.Since.Add(-maxSession).Unix()), maxStart) << shift
	}
	if !q.Until.IsZero() {
		high = min(max(0, ceilSeconds(q.Until)), maxStart+1) << shift
	}
	return low, high
}

// matchExpression is the words and the query in FTS5's language. Every word
// is a quoted string there, so that nothing in it is an operator.
func matchExpression(words []string, q Query) (string, error) {
	columns := `{text hidden} : `
	if q.Visible {
		columns = `text : `
	}
	var terms []string
	for _, w := range words {
		if !strings.ContainsFunc(w, isWordRune) {
			return "", fmt.Errorf("%q is not a word that can be looked for", w)
		}
		term := columns + `"` + strings.ReplaceAll(strings.TrimSuffix(w, "*"), `"`, `""`) + `"`
		if strings.HasSuffix(w, "*") {
			term += "*"
		}
		terms = append(terms, term)
	}
	if len(terms) == 0 {
		return "", errors.New("no words to look for")
	}
	about := [][]string{{word('u', string(q.User))}, {word('h', q.Host)}}
	for _, p := range q.wanted() {
		about = append(about, personWords(p))
	}
	for _, one := range about {
		if one = slices.DeleteFunc(one, func(w string) bool { return w == "" }); len(one) > 0 {
			terms = append(terms, `about:("`+strings.Join(one, `" OR "`)+`")`)
		}
	}
	return strings.Join(terms, " AND "), nil
}

// isWordRune is what the tokenizer unicode61 makes words of.
func isWordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.Co, r)
}

// hits picks the lines with the words: those with all of them, else with any.
func (ix *Index) hits(packed []byte, words []string, visible bool) ([]Hit, error) {
	lines, err := ix.dec.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("the index is damaged: %w", err)
	}
	var wanted [][]string
	for _, w := range words {
		wanted = append(wanted, tokens(w))
	}
	var all, some, near []Hit
	for len(lines) > 0 && len(all) < maxHits {
		hit, rest, err := nextLine(lines)
		if lines = rest; err != nil {
			return nil, err
		}
		if visible && hit.Hidden != "" {
			continue
		}
		line := tokens(hit.Text)
		for _, other := range Readings(hit.Text) {
			line = append(line, tokens(other)...)
		}
		switch count := matches(line, wanted, words); {
		case count == len(words):
			all = append(all, hit)
		case count > 0 && len(some) < maxHits:
			some = append(some, hit)
		case len(near) < 1 && len(wanted) > 0 && len(wanted[0]) > 1 && slices.Contains(line, wanted[0][0]):
			near = append(near, hit) // words that follow each other over the end of a line
		}
	}
	if len(all) == 0 {
		all = some
	}
	if len(all) == 0 {
		all = near
	}
	return all, nil
}

// nextLine reads what document.add has written.
func nextLine(lines []byte) (hit Hit, rest []byte, err error) {
	var fields [3]uint64 // time, how it was hidden, length
	for i := range fields {
		v, n := binary.Uvarint(lines)
		if n <= 0 {
			return hit, nil, errDamaged
		}
		fields[i], lines = v, lines[n:]
	}
	if fields[1] > uint64(screen.Unfollowed) || fields[2] > uint64(len(lines)) {
		return hit, nil, errDamaged
	}
	hit = Hit{At: (time.Duration(fields[0]) * time.Millisecond).Seconds(), Text: string(lines[:fields[2]]), Hidden: screen.Hidden(fields[1]).String()}
	return hit, lines[fields[2]:], nil
}

var errDamaged = errors.New("the index is damaged")

// matches counts the words that stand in a line.
func matches(line []string, wanted [][]string, words []string) (n int) {
	for i, w := range wanted {
		if follows(line, w, strings.HasSuffix(words[i], "*")) {
			n++
		}
	}
	return n
}

func follows(line, want []string, prefix bool) bool {
	for i := 0; i+len(want) <= len(line); i++ {
		ok := true
		for j, w := range want {
			last := prefix && j == len(want)-1
			ok = ok && (line[i+j] == w || last && strings.HasPrefix(line[i+j], w))
		}
		if ok && len(want) > 0 {
			return true
		}
	}
	return false
}

// tokens cuts text as the tokenizer of the full-text index does: letters and
// digits, in lower case, without diacritics.
func tokens(s string) []string {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	if !ascii {
		strip := transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn)), norm.NFC)
		if t, _, err := transform.String(strip, s); err == nil {
			s = t
		}
	}
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !isWordRune(r) })
}
