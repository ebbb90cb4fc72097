// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Formats of images in control strings.
const (
	sixel = "sixel" // https://vt100.net/docs/vt3xx-gp/chapter14.html
	kitty = "kitty" // https://sw.kovidgoyal.net/kitty/graphics-protocol/
	iterm = "iTerm" // https://iterm2.com/documentation-images.html
)

// imageFormat is the format of the image that a string with this head is.
func imageFormat(kind byte, head []byte) string {
	switch {
	case kind == 'P' && head[len(head)-1] == 'q' && len(bytes.Trim(head[:len(head)-1], "0123456789;")) == 0:
		return sixel
	case kind == '_' && head[0] == 'G':
		return kitty
	case kind == ']' && head[len(head)-1] == '=':
		switch string(head) {
		case "1337;File=", "1337;MultipartFile=", "1337;FilePart=":
			return iterm
		}
	case kind == ']' && string(head) == "1337;FileEnd":
		return iterm
	}
	return ""
}

// payloadBegins says that b, which was read last, is the image's first.
func (c *ControlString) payloadBegins(b byte) bool {
	before := c.head[:max(0, len(c.head)-1)]
	switch c.format {
	case sixel:
		return b != 'q' || len(before) > 0 && bytes.IndexByte(before, 'q') >= 0
	case kitty:
		return bytes.IndexByte(before, ';') >= 0
	}
	return bytes.IndexByte(before, ':') >= 0 || bytes.HasPrefix(before, []byte("1337;FilePart="))
}

// imageData says whether b can be part of an image: of its pixels or base64, and
// of the keys before them.
func imageData(format string, b byte) bool {
	if format == sixel {
		return b >= '?' && b <= '~' || b >= '0' && b <= '9' || strings.IndexByte(`!"#$-;,`, b) >= 0
	}
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("+/=,;:-_%", b) >= 0
}

// base64Line is the shortest line into which encoders divide base64, but for the
// last: 60 for uuencode's and perl's kin, 64 for PEM, 76 for MIME.
const base64Line = 60

// dataLine says that a line in which all is imageData is meant as such: words
// are as well, but they have neither a sixel's commands nor base64's length.
func dataLine(format string, line []byte) bool {
	if format == sixel {
		return bytes.ContainsAny(line, `!"#$`)
	}
	return len(line) >= base64Line || bytes.ContainsAny(line, ";=,")
}

// A harmless string is of these, and stays out of the transcript. What a person
// could read of it (a notification, text that kitty draws larger) or that does
// something (the clipboard) is not among them. They are made when they are first
// needed: the recorder, which begins with every session, needs none.
var (
	harmlessOnce  sync.Once
	harmlessKinds map[byte]*regexp.Regexp
)

func makeHarmless() {
	harmlessKinds = map[byte]*regexp.Regexp{
		']': regexp.MustCompile(`^(?:` + strings.Join([]string{
			`[012]`,
			`7;(?:file|kitty-shell-cwd)://\S*`, // working directory
			`8;\S*`,                            // link
			`9;4(?:;\d*)*`,                     // progress
			`(?:4|5|1\d|2[12]|10[45]|11\d)(?:;[\da-fA-Frgbi:/#?;_-]*)?`, // colours, asked for or set
			`22;[a-z-]*`,             // pointer
			`133;[A-Z](?:;\S*)?`,     // prompts
			`633;[A-Z](?:;.*)?`,      // VS Code's prompts
			`666;vte\.\S*`,           // VTE's
			`777;(?:precmd|preexec)`, //
			`777;container;\S*`,      //
			`3008;(?:start|end)=.*`,  // systemd's contexts
			`1337;(?:CurrentDir|RemoteHost|ShellIntegrationVersion|CursorShape|ReportCellSize)(?:=\S*)?`,
			`1337;SetMark`,
		}, "|") + `)$`),
		'P': regexp.MustCompile(`^(?:\$q[\x20-\x2f]?[a-z"|{}]{1,2}|\+q[\da-fA-F;]*|=[12]s)$`), // settings, termcap, synchronized output
	}
}

// harmless is about titles, too, and about a whole string without control characters.
func (c *ControlString) harmless() bool {
	if c.size > maxHarmless || !utf8.Valid(c.head) || bytes.ContainsFunc(c.head, unicode.IsControl) {
		return false // U+009C ends a string for some terminals, the byte 9C for others
	}
	if bytes.HasPrefix(c.head, []byte("0;")) || bytes.HasPrefix(c.head, []byte("1;")) || bytes.HasPrefix(c.head, []byte("2;")) {
		return c.kind == ']' && c.size <= maxTitle
	}
	harmlessOnce.Do(makeHarmless)
	known := harmlessKinds[c.kind]
	return known != nil && known.Match(c.head)
}
