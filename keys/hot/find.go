// SPDX-License-Identifier: AGPL-3.0-or-later

package hot

import "bytes"

// find looks a key up by its base64: a binary search over the bytes of the
// file, a few reads whatever its size.
func (f *file) find(base64 string) (Entry, bool) {
	// The line that is sought, if any, starts in [lo, hi).
	lo, hi := f.start, f.start+f.head.size
	for lo < hi {
		from, line, ok := f.lineFrom(lo, lo+(hi-lo)/2, hi)
		if !ok {
			return Entry{}, false
		}
		e, ok := parseEntry(line)
		switch {
		case !ok:
			return Entry{}, false
		case e.Base64 == base64:
			return e, true
		case e.Base64 < base64:
			lo = from + int64(len(line)) + 1
		default:
			hi = from
		}
	}
	return Entry{}, false
}

// lineFrom returns the line that the byte at mid belongs to; lo is the start of
// a line. It starts at mid or before, so that every call halves what is left.
// Most lines are short, so a small window around mid is tried first.
func (f *file) lineFrom(lo, mid, hi int64) (from int64, line string, ok bool) {
	for _, window := range []int64{1 << 10, maxLine} {
		if from, line, ok = f.lineWithin(lo, mid, hi, window); ok {
			return from, line, true
		}
	}
	return 0, "", false // a line longer than any we write
}

func (f *file) lineWithin(lo, mid, hi, window int64) (from int64, line string, ok bool) {
	start := mid - min(mid-lo, window)
	buf, ok := f.read(start, min(mid-start+window, f.start+f.head.size-start))
	if !ok {
		return 0, "", false
	}
	// The line that mid lies in starts after the last newline before it.
	from = lo
	if i := bytes.LastIndexByte(buf[:mid-start], '\n'); i >= 0 {
		from = start + int64(i) + 1
	} else if start != lo {
		return 0, "", false
	}
	rest := buf[from-start:]
	stop := bytes.IndexByte(rest, '\n')
	if stop < 0 || from >= hi {
		return 0, "", false
	}
	return from, string(rest[:stop]), true
}

// all returns every line.
func (f *file) all() (lines []byte, count int, ok bool) {
	body, ok := f.read(f.start, f.head.size)
	if !ok {
		return nil, 0, false
	}
	for len(body) > 0 {
		line, rest, whole := bytes.Cut(body, []byte("\n"))
		e, good := parseEntry(string(line))
		if !whole || !good {
			return nil, 0, false
		}
		lines = append(append(lines, e.Line...), '\n')
		body = rest
		count++
	}
	return lines, count, count > 0
}
