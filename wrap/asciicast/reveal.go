// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import "fmt"

// Reveal makes the text of control strings part of the output, as a terminal
// shows it that knows nothing of them; see ControlString. Harmless strings pass
// as they are, images become one line, all else is untouched. The zero value is
// ready.
type Reveal struct {
	string ControlString
	state  filterState // ground, escape, str, oscString or strEscape
	held   []byte      // a string that may be harmless
}

// Append appends what becomes of p to dst.
func (r *Reveal) Append(dst, p []byte) []byte {
	for i := 0; i < len(p); i++ {
		b := p[i]
		switch r.state {
		case ground:
			if b == 0x1b {
				r.state = escape
				continue
			}
			dst = append(dst, b)
		case escape:
			dst = r.afterEscape(dst, b)
		default:
			var again bool
			if dst, again = r.stringByte(dst, b); again {
				i--
			}
		}
	}
	return dst
}

func (r *Reveal) afterEscape(dst []byte, b byte) []byte {
	r.state = ground
	switch b {
	case ']':
		r.state = oscString
	case 'P', 'X', '^', '_':
		r.state = str
	case 0x1b:
		r.state = escape
		return append(dst, b)
	default:
		return append(dst, 0x1b, b)
	}
	r.string.Begin(b)
	r.held = append(r.held[:0], 0x1b, b)
	return dst
}

func (r *Reveal) stringByte(dst []byte, b byte) (_ []byte, again bool) {
	r.hold(b)
	switch {
	case r.state == strEscape && b == '\\', b == 0x07 && r.state == oscString:
		r.string.End(true)
		r.state = ground
	case b == 0x18 || b == 0x1a:
		r.string.End(false)
		r.state = ground
	case b == 0x1b:
		r.state = strEscape
		return dst, false
	case r.state == strEscape: // the ESC began another sequence
		r.string.End(false)
		r.state = escape
		r.unhold(2)
		again = true
	case !r.string.Add(b):
		r.state = ground
	}
	dst, found := r.pieces(dst)
	switch {
	case found:
		r.held = r.held[:0]
	case r.state == ground || r.state == escape:
		dst = append(dst, r.held...)
		r.held = r.held[:0]
	}
	return dst, again
}

// hold keeps a byte of a string that may pass. One that is too long does not.
func (r *Reveal) hold(b byte) {
	if n := len(r.held); n > 0 && n < maxHarmless+4 {
		r.held = append(r.held, b)
		return
	}
	r.held = r.held[:0]
}

func (r *Reveal) unhold(n int) { r.held = r.held[:max(0, len(r.held)-n)] }

// pieces appends what was found in the string.
func (r *Reveal) pieces(dst []byte) (_ []byte, found bool) {
	for _, p := range r.string.Pieces {
		found = true
		switch {
		case p.Format != "":
			dst = append(append(dst, p.Line()...), "\r\n"...)
			continue
		case p.Name != "":
			dst = fmt.Appendf(dst, "<%s>", p.Name)
		}
		dst = append(dst, p.Text...)
		if p.Broken {
			dst = append(dst, "\r\n"...)
		}
	}
	r.string.Pieces = r.string.Pieces[:0]
	return dst, found
}

// Close appends what is left of a string that did not end.
func (r *Reveal) Close(dst []byte) []byte {
	if r.state == str || r.state == oscString || r.state == strEscape {
		r.string.End(false)
	}
	r.string.Flush()
	r.state = ground
	dst, _ = r.pieces(dst)
	return dst
}

// Clone returns a copy that goes its own way.
func (r *Reveal) Clone() Reveal {
	c := *r
	c.held = append([]byte(nil), r.held...)
	c.string = r.string.clone()
	return c
}
