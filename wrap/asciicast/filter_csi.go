// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bytes"
	"strconv"
	"strings"
)

// allowedCSI are the final bytes of sequences without prefix that may pass, and
// how many parameters each may have. Not among them: c, n, x (the terminal
// answers), t (window and title), i (printer), q (LEDs), y (tests), g (tab
// stops would stay changed), p, | and } (device settings).
var allowedCSI = map[byte]int{
	'@': 1, 'A': 1, 'B': 1, 'C': 1, 'D': 1, 'E': 1, 'F': 1, 'G': 1, 'H': 2, 'I': 1, 'J': 1, 'K': 1, 'L': 1,
	'M': 1, 'P': 1, 'S': 1,
	'T': 1, // with five parameters it is xterm's mouse tracking
	'X': 1, 'Z': 1, '`': 1, 'a': 1, 'b': 1, 'd': 1, 'e': 1, 'f': 2, 'm': maxParams, 'r': 2, 's': 0, 'u': 0,
}

// allowedModes are the DEC private modes that may be set and reset: autowrap,
// cursor, alternate screens, saved cursor, synchronized output. All of them are
// put back by Restore. Mouse, bracketed paste, focus reports, application keys
// and the like would change what the auditor's keyboard sends.
var allowedModes = map[string]bool{"7": true, "25": true, "47": true, "1047": true, "1048": true, "1049": true, "2026": true}

func (f *Filter) csiByte(dst []byte, b byte) []byte {
	switch {
	case b == 0x7f:
		return dst
	case b < 0x40:
		if len(f.seq) >= maxSequence {
			f.state = csiTooLong
		}
		if f.state == csi {
			f.seq = append(f.seq, b)
		}
		return dst
	}
	whole := f.state == csi
	f.state = ground
	if !whole {
		return dst
	}
	return f.sequence(dst, b)
}

// sequence writes a whole CSI sequence when it is on the list, in one spelling.
func (f *Filter) sequence(dst []byte, final byte) []byte {
	switch {
	case len(f.seq) > 0 && f.seq[0] == '?':
		return f.modes(dst, string(f.seq[1:]), final)
	case string(f.seq) == "!" && final == 'p': // soft reset
		f.chars = charsets{}
		return append(dst, "\x1b[!p"...)
	case final == 'h' || final == 'l':
		if string(f.seq) == "4" { // insert mode
			return append(dst, 0x1b, '[', '4', final)
		}
		return dst
	}
	most, ok := allowedCSI[final]
	params, clean := parameters(f.seq, final == 'm')
	if !ok || !clean || len(params) > most {
		return dst
	}
	switch {
	case final == 'm':
		params = visible(params)
		if len(params) == 0 {
			return dst
		}
	case final == 'J' && len(params) == 1 && !strings.Contains("012", params[0]): // 3 is the auditor's own scrollback, more is nothing
		return dst
	}
	dst = append(dst, 0x1b, '[')
	dst = append(dst, strings.Join(params, ";")...)
	return append(dst, final)
}

// parameters splits and bounds the numbers of a sequence. Colons, which divide
// the parts of one parameter, are for SGR only.
func parameters(seq []byte, colons bool) (params []string, ok bool) {
	if len(seq) == 0 {
		return []string{""}[:0:1], true
	}
	for _, part := range bytes.Split(seq, []byte(";")) {
		var subs []string
		for _, sub := range bytes.Split(part, []byte(":")) {
			n, err := strconv.Atoi(string(sub))
			switch {
			case len(sub) == 0:
				subs = append(subs, "")
			case sub[0] < '0' || sub[0] > '9': // Atoi takes a sign
				return nil, false
			case err != nil || n > maxParameter: // too large even for an int, or other bytes
				if bytes.ContainsFunc(sub, func(r rune) bool { return r < '0' || r > '9' }) {
					return nil, false
				}
				subs = append(subs, strconv.Itoa(maxParameter))
			default:
				subs = append(subs, strconv.Itoa(n))
			}
		}
		if len(subs) > 1 && !colons {
			return nil, false
		}
		params = append(params, strings.Join(subs, ":"))
	}
	return params, true
}

// visible takes "concealed" (8) out of SGR parameters, and leaves it where it
// is part of a colour: 38;5;8, 48;2;8;8;8. No parameter at all means reset and
// stays; a sequence that only concealed is left out.
func visible(params []string) []string {
	if len(params) == 0 {
		return []string{""}
	}
	kept := params[:0:0]
	for i := 0; i < len(params); i++ {
		n := 1
		switch p := params[i]; {
		case p == "8" || strings.HasPrefix(p, "8:"):
			continue
		case (p == "38" || p == "48" || p == "58") && i+1 < len(params):
			switch params[i+1] {
			case "5":
				n = 3
			case "2":
				n = 5
			}
		}
		n = min(n, len(params)-i)
		kept = append(kept, params[i:i+n]...)
		i += n - 1
	}
	return kept
}

// modes writes those of the private modes that are on the list.
func (f *Filter) modes(dst []byte, list string, final byte) []byte {
	if final != 'h' && final != 'l' {
		if final == 'J' || final == 'K' { // selective erase: nothing is ever protected here
			return f.selective(dst, list, final)
		}
		return dst
	}
	var pass []string
	for _, mode := range strings.Split(list, ";") {
		if !allowedModes[mode] {
			continue
		}
		pass = append(pass, mode)
		f.note(mode, final == 'h')
	}
	if len(pass) == 0 || len(pass) > maxParams {
		return dst
	}
	dst = append(dst, "\x1b[?"...)
	dst = append(dst, strings.Join(pass, ";")...)
	return append(dst, final)
}

func (f *Filter) selective(dst []byte, list string, final byte) []byte {
	switch list {
	case "", "0", "1", "2":
		return append(append(append(dst, 0x1b, '['), list...), final)
	}
	return dst
}

var altModes = [...]string{"", "47", "1047", "1049"}

func (f *Filter) note(mode string, on bool) {
	for i, m := range altModes {
		if m == mode {
			f.alt = 0
			if on {
				f.alt = byte(i)
			}
		}
	}
}

// Restore appends what takes a terminal back from wherever the recording left
// it: out of the alternate screen, visible cursor, default colours and margins.
func (f *Filter) Restore(dst []byte) []byte {
	dst = append(dst, "\x1b[?2026l"...)
	if f.alt != 0 {
		dst = append(append(append(dst, "\x1b[?"...), altModes[f.alt]...), 'l')
	}
	// Margins home the cursor, so it is kept around them.
	return append(dst, "\x1b7\x1b[r\x1b8\x1b[4l\x1b[?7h\x1b[?25h\x1b[m"...)
}
