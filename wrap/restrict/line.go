// SPDX-License-Identifier: AGPL-3.0-or-later

package restrict

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Line is a line of an authorized_keys file (sshd(8), AUTHORIZED_KEYS FILE FORMAT).
type Line struct {
	File      string
	Number    int
	Blob      []byte // the key
	Authority bool   // cert-authority: it opens for certificates that this key signed
	Fault     error  // its options can't be read
	Text      string // as it stands in the file, without blanks around it
	Options   string // what stands before the key
	Restriction
}

// Where names the line: "/root/.ssh/authorized_keys:3".
func (l Line) Where() string { return fmt.Sprintf("%s:%d", l.File, l.Number) }

// ParseLines reads the lines of a file, but for empty ones and comments.
func ParseLines(file string, text []byte) []Line {
	var all []Line
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if l, ok := parseLine(strings.TrimRight(line, "\r\n")); ok {
			l.File, l.Number, l.Text = file, n, strings.TrimSpace(line)
			all = append(all, l)
		}
	}
	return all
}

// parseLine reads a line as sshd does (auth2-pubkeyfile.c): it begins with a
// key, or else with options and then a key. ok is false for an empty line and a
// comment. What can't be read is a line with a Fault: sshd may be able to.
func parseLine(line string) (l Line, ok bool) {
	line = strings.TrimLeft(line, " \t")
	if line == "" || line[0] == '#' {
		return Line{}, false
	}
	if blob, ok := cutKey(line); ok {
		return Line{Blob: blob}, true
	}
	end := optionsEnd(line)
	blob, ok := cutKey(strings.TrimLeft(line[end:], " \t"))
	if !ok {
		return Line{Fault: errors.New("not a line with a key")}, true
	}
	l = parseOptions(line[:end])
	l.Blob, l.Options = blob, line[:end]
	return l, true
}

// cutKey takes "TYPE BASE64" off the front of s and returns the key as sshd
// writes it: the type's name is sshd's to judge ("rsa-sha2-512" stands for
// ssh-rsa), and white space within the base64 is left out (sshkey.c, sshkey_read;
// b64_pton).
func cutKey(s string) ([]byte, bool) {
	kind, rest, _ := cutBlank(s)
	if kind == "" || strings.ContainsAny(kind, `,="`) {
		return nil, false // options
	}
	text, _, _ := cutBlank(strings.TrimLeft(rest, " \t"))
	text = strings.Map(func(r rune) rune {
		if r == '\v' || r == '\f' || r == '\r' {
			return -1
		}
		return r
	}, text)
	blob, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	name, _, ok := cutString(blob)
	return canonical(blob), ok && len(name) > 0
}

func cutBlank(s string) (word, rest string, found bool) {
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], s[i:], true
	}
	return s, "", false
}

// optionsEnd is where the options end: at the first blank that isn't quoted
// (sshkey.c, sshkey_advance_past_options).
func optionsEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '"':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && (s[i] == ' ' || s[i] == '\t'):
			return i
		}
	}
	return len(s)
}

// parseOptions reads the options of a line (auth-options.c, sshauthopt_parse):
// names without regard to case, values in double quotes, commas between. What
// restricts to a command is kept; of the others sshd itself takes care.
func parseOptions(s string) Line {
	var l Line
	for s != "" {
		end := strings.IndexAny(s, ",=")
		if end < 0 {
			end = len(s)
		}
		name, value := strings.ToLower(s[:end]), ""
		s = s[end:]
		if strings.HasPrefix(s, "=") {
			var err error
			if value, s, err = dequote(s[1:]); err != nil {
				return Line{Fault: fmt.Errorf("option %q: %w", name, err)}
			}
		}
		switch {
		case name == "command" && l.Forced:
			return Line{Fault: errors.New("more than one command=")}
		case name == "command":
			l.Forced, l.Command = true, value
		case name == "cert-authority":
			l.Authority = true
		}
		if s != "" && s[0] != ',' {
			return Line{Fault: fmt.Errorf("option %q: no comma after it", name)}
		}
		s = strings.TrimPrefix(s, ",")
	}
	return l
}

// dequote takes a quoted value off the front of s; \" stands for a quote
// (auth-options.c, opt_dequote).
func dequote(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", errors.New("its value has no quotes")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '"':
			i++
			b.WriteByte('"')
		case s[i] == '"':
			return b.String(), s[i+1:], nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", errors.New("its quotes are not closed")
}
