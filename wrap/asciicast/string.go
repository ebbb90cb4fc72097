// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ControlString reads one control string after another (OSC, DCS, APC, PM, SOS)
// and finds what may not be forgotten with them. Terminals show nothing of a
// string, but they differ in where it ends: some at a line break, some after a
// few hundred bytes, some never. What one of them hides another shows, and the
// person chooses the terminal. So a string is one of three things:
//
//   - harmless: whole, and of a kind that programs use: titles, links, colours,
//     prompts (see harmless). Nothing comes of it.
//   - an image: sixel, kitty's, iTerm's. It may have any size; its Piece says
//     how much it was.
//   - everything else is text, and its lines are Pieces.
//
// An image that never ends, or that has lines no image has, is text as well. The
// memory is bounded whatever is read.
type ControlString struct {
	Now    time.Duration // the time of what is added next
	Pieces []Piece       // what was found; the caller takes them and empties it

	kind   byte // after ESC: ] OSC, P DCS, _ APC, ^ PM, X SOS
	size   int64
	last   byte
	head   []byte // its first bytes
	format string // of an image
	data   int64  // bytes of the image; 0 until its payload begins

	line   []byte
	at     time.Duration // of the line
	odd    bool          // the line has what is no data of an image
	long   bool          // the line's beginning was data, and is gone
	text   bool          // it can't be harmless any more
	named  bool          // its first piece has said what it is
	doubt  []Piece       // lines that are data when the image ends
	doubts int           // the bytes that they take

	parts Piece // an image that comes in several strings
}

// Piece is a line of text, or an image when it has a Format.
type Piece struct {
	At     time.Duration
	Name   string // of the kind of string, for its first line: OSC
	Text   string
	Broken bool // a line break follows
	Format string
	Bytes  int64
}

const (
	// maxString is where terminals give up a string that is no image.
	maxString = 1 << 20
	// maxHarmless is what a harmless string may have: links are the longest.
	maxHarmless = 4 << 10
	// maxTitle is what a title may have: terminals show some hundred letters.
	maxTitle = 512
	// maxMagic is where an image has said that it is one.
	maxMagic = 64
	// lineKept stays of a long line of data, so that text after it has its words.
	lineKept = 256
	// maxDoubt bounds the lines that wait for the image's end: a real one has
	// few of them.
	maxDoubt = 64 << 10
	// pieceSize is what a piece takes beside its text.
	pieceSize = 100
)

var stringNames = map[byte]string{']': "OSC", 'P': "DCS", '_': "APC", '^': "PM", 'X': "SOS"}

// Begin starts the string that ESC and kind have opened.
func (c *ControlString) Begin(kind byte) {
	c.kind, c.size, c.last, c.head, c.format, c.data = kind, 0, 0, c.head[:0], "", 0
	c.line, c.odd, c.long, c.text, c.named = c.line[:0], false, false, false, false
	c.doubt, c.doubts = c.doubt[:0], 0
}

// AppendBegin appends what begins a string like this one, for a reader who comes
// while it goes on.
func (c *ControlString) AppendBegin(dst []byte) []byte {
	dst = append(dst, 0x1b, c.kind)
	switch c.format {
	case sixel:
		dst = append(dst, 'q')
	case kitty:
		dst = append(dst, "G;"...)
	case iterm:
		dst = append(dst, "1337;File=:"...)
	}
	return dst
}

// Add takes a byte of the string. It returns false where terminals give up and
// show what follows: then the string has ended.
func (c *ControlString) Add(b byte) bool {
	c.size++
	if len(c.head) < maxHarmless {
		c.head = append(c.head, b)
	}
	if c.format == "" && c.size <= maxMagic {
		c.format = imageFormat(c.kind, c.head)
	}
	if c.data > 0 || c.format != "" && c.payloadBegins(b) {
		c.data++
	}
	switch {
	case b == '\n' && c.last == '\r': // one line break
	case b >= '\n' && b <= '\r':
		c.breakLine(true)
	case b == '\t':
		c.character(' ')
	case b >= 0x20 && b != 0x7f:
		c.character(b)
	default: // another control character: it is not shown, and no program means it
		c.text = c.text || c.format == ""
	}
	c.last = b
	if c.format == "" && c.size > maxString {
		c.End(false)
		return false
	}
	return true
}

func (c *ControlString) character(b byte) {
	if len(c.line) == 0 {
		c.at = c.Now
	}
	c.line = append(c.line, b)
	if c.format != "" && !imageData(c.format, b) {
		c.odd = true
	}
	if len(c.line) < maxHarmless {
		return
	}
	if c.format != "" && !c.odd {
		c.line, c.long = append(c.line[:0], c.line[len(c.line)-lineKept:]...), true
		return
	}
	c.breakLine(false)
}

// breakLine is called when the line has ended, or is as long as one may be.
func (c *ControlString) breakLine(broken bool) {
	c.text = c.text || c.format == ""
	switch {
	case c.text || c.odd:
		c.give(c.piece(broken))
	case c.long || dataLine(c.format, c.line):
	case len(c.line) > 0:
		c.doubt = append(c.doubt, c.piece(broken))
		if c.doubts += len(c.line) + pieceSize; c.doubts > maxDoubt {
			c.giveDoubt()
		}
	}
	c.line, c.odd, c.long = c.line[:0], false, false
}

func (c *ControlString) piece(broken bool) Piece {
	return Piece{At: c.at, Text: plainText(c.line), Broken: broken}
}

// plainText is a line without what controls terminals.
func plainText(line []byte) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, string(bytes.ToValidUTF8(line, []byte("\ufffd"))))
}

func (c *ControlString) give(p Piece) {
	if p.Text == "" && !p.Broken {
		return
	}
	if !c.named {
		p.Name, c.named = stringNames[c.kind], true
	}
	c.Pieces = append(c.Pieces, p)
}

func (c *ControlString) giveDoubt() {
	for _, p := range c.doubt {
		c.give(p)
	}
	c.doubt, c.doubts = c.doubt[:0], 0
}

// End ends the string: whole says that it has its terminator.
func (c *ControlString) End(whole bool) {
	switch {
	case c.format != "":
		c.endImage(whole)
	case c.size == 0, !c.text && whole && c.harmless():
	case !c.text && c.kind == 'P' && string(c.line) == "tmux;": // a sequence for the outer terminal
	default:
		c.text = true
		c.give(c.piece(false))
	}
	c.line = c.line[:0]
}

func (c *ControlString) endImage(whole bool) {
	c.breakLine(false)
	if !whole {
		c.giveDoubt()
	}
	if !whole && c.size <= maxHarmless {
		return // its lines are there
	}
	if more := c.addPart(whole); !more {
		c.Flush()
	}
}

// Flush gives an image of which more was announced. Call it at the end.
func (c *ControlString) Flush() {
	if c.parts.Bytes > 0 {
		c.Pieces = append(c.Pieces, c.parts)
	}
	c.parts = Piece{}
}

// addPart counts a string with image data and says whether more is to come.
func (c *ControlString) addPart(whole bool) (more bool) {
	format := c.format
	switch format {
	case kitty:
		keys, _, _ := bytes.Cut(c.head, []byte(";"))
		switch key(keys, 'a') {
		case 'q', 'd', 'p', 'c', 'a': // no new image
			return false
		}
		more = whole && key(keys, 'm') == '1'
	case iterm:
		more = whole && (bytes.HasPrefix(c.head, []byte("1337;MultipartFile=")) || bytes.HasPrefix(c.head, []byte("1337;FilePart=")))
	}
	if c.parts.Format != format {
		c.Flush()
	}
	if c.parts.Bytes == 0 {
		c.parts.At = c.Now
	}
	c.parts.Format = format
	c.parts.Bytes += c.data
	return more
}

// key is the value of one key of kitty's "Ga=T,f=100".
func key(keys []byte, name byte) byte {
	for _, k := range bytes.Split(bytes.TrimPrefix(keys, []byte("G")), []byte(",")) {
		if len(k) == 3 && k[0] == name && k[1] == '=' {
			return k[2]
		}
	}
	return 0
}

// Line is the line that stands for an image, or the text.
func (p Piece) Line() string {
	if p.Format == "" {
		return p.Text
	}
	return "[image, " + p.Format + ", " + size(p.Bytes) + "]"
}

func size(n int64) string {
	switch {
	case n < 1e3:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func (c *ControlString) clone() ControlString {
	d := *c
	d.head, d.line = bytes.Clone(c.head), bytes.Clone(c.line)
	d.doubt, d.Pieces = slices.Clone(c.doubt), slices.Clone(c.Pieces)
	return d
}
