// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// The second emulator is xterm.js without a browser, the one behind most web
// terminals. It comes from npm at test time and is kept in the build directory.
var oracleModules = []string{"@xterm/headless@6.0.0", "@xterm/addon-unicode11@0.9.0"}

type stream struct {
	Cols  int    `json:"cols"`
	Rows  int    `json:"rows"`
	Parts []part `json:"parts"`
	name  string
}

// part is output, or a new size.
type part struct {
	Data []byte `json:"data,omitempty"`
	Cols int    `json:"cols,omitempty"`
	Rows int    `json:"rows,omitempty"`
}

type screenState struct {
	Text    []string `json:"text"`
	Styles  []string `json:"styles"`
	X       int      `json:"x"`
	Y       int      `json:"y"`
	Alt     bool     `json:"alt"`
	History []string `json:"history"`
	Failed  string   `json:"failed"` // what the second emulator threw
}

// oracle runs streams through the second emulator.
func oracle(t *testing.T, streams []stream) []screenState {
	t.Helper()
	for _, p := range []string{"node", "npm"} {
		if _, err := exec.LookPath(p); err != nil {
			hosttest.Skip(t, fmt.Sprintf("the second emulator needs %s: %v", p, err))
		}
	}
	dir, err := filepath.Abs("../../../.build/xterm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules/@xterm/addon-unicode11")); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		npm := exec.Command("npm", append([]string{"install", "--no-audit", "--no-fund", "--prefix", dir}, oracleModules...)...)
		if out, err := npm.CombinedOutput(); err != nil {
			hosttest.Skip(t, fmt.Sprintf("npm install: %v\n%s", err, out))
		}
	}
	in, err := json.Marshal(streams)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.Command("node", "testdata/oracle.js")
	node.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
	node.Stdin = bytes.NewReader(in)
	node.Stderr = os.Stderr
	out, err := node.Output()
	if err != nil {
		t.Fatal(err)
	}
	var states []screenState
	if err := json.Unmarshal(out, &states); err != nil || len(states) != len(streams) {
		t.Fatalf("%d states for %d streams: %v", len(states), len(streams), err)
	}
	return states
}

// play runs a stream through the Screen.
func play(in stream) (*Screen, screenState) {
	s := New(in.Cols, in.Rows)
	var got screenState
	s.Lines = func(l Line) {
		if l.Kind == Scrolled {
			got.History = append(got.History, l.Text)
		}
	}
	for _, p := range in.Parts {
		if p.Data == nil {
			s.Resize(p.Cols, p.Rows)
			continue
		}
		_, _ = s.Write(p.Data)
	}
	if !s.main.lines[0].wrapped {
		s.flush(Scrolled)
	}
	got.Text, got.Alt = s.Text(), s.b == s.alt
	got.X, got.Y = s.Cursor()
	for _, r := range s.b.lines {
		got.Styles = append(got.Styles, rowStyles(r))
	}
	return s, got
}

func rowStyles(r *row) string {
	var b strings.Builder
	colour := func(c colour) string {
		switch {
		case c == 0:
			return ""
		case c < direct:
			return fmt.Sprintf("p%d", c&0xff)
		}
		return fmt.Sprintf("r%x", uint32(c&0xffffff))
	}
	if r.empty {
		return ""
	}
	for x := range r.cells {
		c := &r.cells[x]
		if c.width == 0 || (c.r == 0 || c.r == ' ') && c.marks == "" {
			continue
		}
		flags := ""
		for bit := range 8 {
			if c.look.attr&(1<<bit) != 0 {
				flags += fmt.Sprint(bit)
			}
		}
		fmt.Fprintf(&b, "%d:%s/%s/%s ", x, colour(c.look.fg), colour(c.look.bg), flags)
	}
	return b.String()
}

// compare plays streams on both and reports the first difference of each.
//
// Where rows that wrapped were deleted, the two differ in which lines belong
// together. With joined false only the text of the scrollback is compared.
func compare(t *testing.T, streams []stream, joined bool) {
	t.Helper()
	failed, thrown := 0, 0
	for i, want := range oracle(t, streams) {
		in := streams[i]
		if want.Failed != "" {
			thrown++
			continue
		}
		s, got := play(in)
		diff := ""
		for y := range want.Text {
			switch {
			case got.Text[y] != want.Text[y]:
				diff = fmt.Sprintf("row %d\n got %q\nwant %q", y, got.Text[y], want.Text[y])
			case got.Styles[y] != want.Styles[y]:
				diff = fmt.Sprintf("row %d %q\n got %s\nwant %s", y, got.Text[y], got.Styles[y], want.Styles[y])
			}
			if diff != "" {
				break
			}
		}
		if diff == "" && (got.X != want.X || got.Y != want.Y || got.Alt != want.Alt) {
			diff = fmt.Sprintf("cursor %d,%d alt %v, want %d,%d %v", got.X, got.Y, got.Alt, want.X, want.Y, want.Alt)
		}
		if joined && diff == "" && !want.Alt && !slices.Equal(got.History, want.History) {
			n := 0
			for n < min(len(got.History), len(want.History)) && got.History[n] == want.History[n] {
				n++
			}
			diff = fmt.Sprintf("history: %d lines, want %d; from %d\n got %q\nwant %q", len(got.History), len(want.History), n,
				got.History[n:min(n+3, len(got.History))], want.History[n:min(n+3, len(want.History))])
		}
		text := func(lines []string) string { return strings.ReplaceAll(strings.Join(lines, ""), " ", "") }
		if diff == "" && !want.Alt && !s.main.lines[0].wrapped && text(got.History) != text(want.History) {
			diff = fmt.Sprintf("history\n got %q\nwant %q", got.History, want.History)
		}
		if diff != "" {
			failed++
			if failed <= 5 {
				data := ""
				for _, p := range in.Parts {
					data += string(p.Data)
				}
				t.Errorf("%s (%dx%d): %s\ninput %.3000q", in.name, in.Cols, in.Rows, diff, data)
			}
		}
	}
	if failed > 5 {
		t.Errorf("%d of %d streams differ", failed, len(streams))
	}
	if thrown > len(streams)/20 {
		t.Errorf("the second emulator gave up on %d of %d streams", thrown, len(streams))
	}
}

func one(name, data string) stream {
	return stream{Cols: 20, Rows: 6, Parts: []part{{Data: []byte(data)}}, name: name}
}

func TestAgainstXtermByHand(t *testing.T) {
	long := strings.Repeat("0123456789", 5)
	compare(t, []stream{
		one("plain", "hello\r\nworld"),
		one("wrap", long+"\r\nx"),
		one("pending wrap", long[:20]+"\rx"),
		one("pending wrap and erase", long[:20]+"\x1b[K"),
		one("pending wrap and backspace", long[:20]+"\bx"),
		one("no autowrap", "\x1b[?7l"+long+"X\x1b[?7h"),
		one("scroll", "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n8"),
		one("scroll wrapped", long+long+long),
		one("tabs", "a\tb\tc\x1b[2Ze\x1b[3g\rf\tg"),
		one("tab set", "\x1b[5G\x1bH\r\tx\x1b[0g\r\ty"),
		one("region", "1\r\n2\r\n3\r\n4\r\n5\r\n6\x1b[2;4r\x1b[4;1Ha\r\nb\r\nc\x1b[r"),
		one("region reverse", "1\r\n2\r\n3\r\n4\r\n5\r\n6\x1b[2;4r\x1b[2;1H\x1bMa\x1bMb\x1b[r"),
		one("lines in and out", "1\r\n2\r\n3\r\n4\r\n5\r\n6\x1b[2;2H\x1b[2Lx\x1b[5;2H\x1b[My"),
		one("cells in and out", "abcdefgh\x1b[3G\x1b[2@X\x1b[7G\x1b[2PY\x1b[2XZ"),
		one("insert mode", "abc\x1b[1G\x1b[4hXY\x1b[4lZ"),
		one("erase", "1111\r\n2222\r\n3333\x1b[2;2H\x1b[J"),
		one("erase above", "1111\r\n2222\r\n3333\x1b[2;2H\x1b[1J"),
		one("erase line", "1111\x1b[2D\x1b[1K\r\n2222\x1b[2D\x1b[K\r\n3333\x1b[2K4"),
		one("scroll up and down", "1\r\n2\r\n3\x1b[S\x1b[2Tx"),
		one("colours", "\x1b[31ma\x1b[1;42mb\x1b[38;5;200mc\x1b[48;2;1;2;3md\x1b[38:2::4:5:6me\x1b[38:5:7mf\x1b[39;49mg\x1b[mh"),
		one("attributes", "\x1b[1ma\x1b[2mb\x1b[3mc\x1b[4md\x1b[5me\x1b[7mf\x1b[8mg\x1b[9mh\x1b[22;23;24;25;27;28;29mi\x1b[4:0mj\x1b[91;101mk"),
		one("wide", "漢字かな\r\nab\x1b[2;2H漢\x1b[1;2Hx"),
		one("wide at the edge", "0123456789012345678漢x"),
		one("wide overwritten", "漢漢漢\x1b[2Gx\x1b[5Gy"),
		one("wide deleted", "漢漢漢abc\x1b[2G\x1b[P\x1b[4G\x1b[2@"),
		one("wide erased", "漢漢漢\x1b[2G\x1b[X\x1b[4G\x1b[K"),
		one("combining", "e\u0301a\u0308\u0304 x\u0301"),
		one("emoji", "a🚀b"),
		one("cursor saved", "ab\x1b[31m\x1b7cd\x1b[m\x1b[3;3Hx\x1b8ef\x1b[sgh\x1b[5;5Hi\x1b[uj"),
		one("alternate", "main\x1b[?1049halt\x1b[2;2Hmore\x1b[?1049lback"),
		one("alternate stays", "main\r\nx\x1b[?1049h\x1b[Halt"),
		one("47", "main\x1b[?47halt\x1b[?47lback"),
		one("1047 and 1048", "ma\x1b[?1048h\x1b[?1047halt\x1b[?1047l\x1b[?1048lin"),
		one("soft reset", "\x1b[2;4r\x1b[31m\x1b[4h\x1b[3;3H\x1b[!pabc\x1b[Hd"),
		one("full reset", "abc\x1b[31m\x1b[2;3r\x1bcdef"),
		one("line drawing", "\x1b(0lqqk\x1b(Bx\x1b)0\x0elqk\x0fx"),
		one("repeat", "ab\x1b[5bc\x1b[m\x1b[3b"),
		one("strings", "a\x1b]0;title\x07b\x1bPq123\x1b\\c\x1b_x\x1b\\d\x1b^y\x1b\\e\x1bXz\x1b\\f"),
		one("broken sequences", "a\x1b[1;\x18b\x1b[3\x1b[31mc\x1b]0;x\x1b[32md\x1b\x1b[1me"),
		one("controls in sequences", "ab\x1b[\r2Cc\x1b[1\n;3Hd"),
		one("index", "a\x1bDb\x1bEc\x1bMd"),
		one("moves", "\x1b[3;3Ha\x1b[Ab\x1b[2Bc\x1b[3De\x1b[2Cf\x1b[Eg\x1b[2Fh\x1b[5Gi\x1b[4dj\x1b[2ek\x1b[3al\x1b[99;99Hm\x1b[99Ax\x1b[99D\x1b[99By"),
		one("alignment", "abc\x1b#8\x1b[2;2Hx"),
		one("progress", "10%\r20%\r100%\x1b[K done\r\n"),
		{Cols: 20, Rows: 6, name: "fewer rows", Parts: []part{{Data: []byte("1\r\n2\r\n3\r\n4\r\n5\r\n6")}, {Cols: 20, Rows: 4}, {Data: []byte("x")}}},
		{Cols: 20, Rows: 6, name: "fewer rows, blank below", Parts: []part{{Data: []byte("1\r\n2")}, {Cols: 20, Rows: 4}, {Data: []byte("x")}}},
		{Cols: 20, Rows: 6, name: "wider", Parts: []part{{Data: []byte("1\r\n2")}, {Cols: 30, Rows: 8}, {Data: []byte(long)}}},
		{Cols: 20, Rows: 6, name: "narrower", Parts: []part{{Data: []byte("1\r\n2")}, {Cols: 10, Rows: 6}, {Data: []byte(long)}}},
	}, true)
}

// Streams put together at random from what programs send. The seeds are fixed:
// a stream that differs today differs tomorrow.
func TestAgainstXtermAtRandom(t *testing.T) {
	n := 400
	if os.Getenv("CASTGATE_TEST_SLOW") != "" {
		n = 5000
	}
	var streams []stream
	for seed := range n {
		rnd := rand.New(rand.NewPCG(uint64(seed), 7))
		var b strings.Builder
		for range 5 + rnd.IntN(80) {
			b.WriteString(randomOutput(rnd))
		}
		streams = append(streams, stream{
			Cols: 5 + rnd.IntN(30), Rows: 2 + rnd.IntN(10), name: fmt.Sprintf("seed %d", seed), Parts: []part{{Data: []byte(b.String())}},
		})
	}
	compare(t, streams, false)
}

// Every word that the second emulator showed between two events is in the
// transcript, however it was written over, erased or pushed away.
func TestTheTranscriptHasWhatXtermShowed(t *testing.T) {
	n := 30
	if os.Getenv("CASTGATE_TEST_SLOW") != "" {
		n = 1000
	}
	var streams []stream
	said := map[string]string{} // by name of the stream
	for seed := range n {
		rnd := rand.New(rand.NewPCG(uint64(seed), 11))
		var parts []part
		var out strings.Builder
		cols, rows := 20+rnd.IntN(30), 2+rnd.IntN(4)
		for range 12 {
			text := overwriting(rnd)
			out.WriteString(text)
			parts = append(parts, part{Data: []byte(text)})
			streams = append(streams, stream{Cols: cols, Rows: rows, name: fmt.Sprintf("seed %d", seed), Parts: slices.Clone(parts)})
		}
		said[fmt.Sprintf("seed %d", seed)] = strings.Join(transcript(cols, rows, out.String()), "\n")
	}
	failed := map[string]bool{}
	for i, state := range oracle(t, streams) {
		name := streams[i].name
		for word := range words(strings.Join(state.Text, " ")) {
			if strings.Contains(said[name], word) || failed[name] {
				continue
			}
			failed[name] = true
			var data strings.Builder
			for _, p := range streams[i].Parts {
				data.Write(p.Data)
			}
			t.Errorf("%s (%dx%d): %q was on the screen after %q\ntranscript:\n%s", name, streams[i].Cols, streams[i].Rows, word, data.String(), said[name])
		}
	}
}

// overwriting goes somewhere and writes or erases there.
func overwriting(rnd *rand.Rand) string {
	move := []string{"\r", "\r", "\r\n", "\x1b[H", "\x1b[A\r", "\x1b[7D", "\x1b[9G", "\x1b[2;4H", "\x1bM\r"}[rnd.IntN(9)]
	text := []string{"", " ", "\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[J", "\x1b[2J", "\x1b[4@", "\x1b[3P", "\x1b[6X", "\x1b[L", "\x1b[M", "\x1b[S", "\x1b[T", "\x1b[?1049h", "\x1b[?1049l"}
	if rnd.IntN(3) == 0 {
		return move + text[rnd.IntN(len(text))]
	}
	for range 1 + rnd.IntN(2) {
		word := make([]byte, 3+rnd.IntN(6))
		for i := range word {
			word[i] = byte('a' + rnd.IntN(26))
		}
		move += string(word) + " "
	}
	return move
}

func randomOutput(rnd *rand.Rand) string {
	words := []string{
		"x", "hello", "the quick brown fox", "漢字", "a漢b", "e\u0301", "\r\n", "\r\n", "\n", "\r", "\b", "\t",
		"\x1bD", "\x1bE", "\x1bM", "\x1b[?25l", "\x1b[r", "\x1b(0", "\x1b(B",
		"\x1b[m", "\x1b[1;31m", "\x1b[44m", "\x1b[7;38;5;100m", "\x1b]0;t\x07", "\x1b[?1047h", "\x1b[?1047l", "\x1b[!p",
	}
	if rnd.IntN(2) == 0 {
		return words[rnd.IntN(len(words))]
	}
	// Left out is where xterm.js differs from xterm: CBT (Z) does nothing where
	// the next character wraps, REP (b) repeats combining characters, the saved
	// cursor scrolls with the text, and without autowrap (7) or in insert mode (4)
	// the last column may keep half a wide character, or a character too many.
	const finals = "@ABCDEFGHIJKLMPSTX`adefr"
	final := finals[rnd.IntN(len(finals))]
	switch final {
	case 'H', 'f', 'r':
		return fmt.Sprintf("\x1b[%d;%d%c", rnd.IntN(12), rnd.IntN(36), final)
	case 'J', 'K':
		return fmt.Sprintf("\x1b[%d%c", rnd.IntN(3), final)
	}
	return fmt.Sprintf("\x1b[%d%c", rnd.IntN(8), final)
}
