// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"castgate/wrap/asciicast"
)

// transcript plays outputs, a second apart, and returns the lines as
// "second kind text", with how a line was hidden behind the kind: "erased/rubbed out".
func transcript(cols, rows int, outputs ...string) []string {
	s := New(cols, rows)
	var got []string
	s.Lines = func(l Line) {
		kind := l.Kind.String()
		if l.Hidden != Visible {
			kind += "/" + l.Hidden.String()
		}
		got = append(got, fmt.Sprintf("%d %s %s", l.At/time.Second, kind, l.Text))
	}
	for i, o := range outputs {
		s.Now = time.Duration(i) * time.Second
		_, _ = s.Write([]byte(o))
	}
	s.Close()
	return got
}

func TestTranscript(t *testing.T) {
	for _, tt := range []struct {
		name    string
		outputs []string
		want    []string
	}{
		{"lines and their times", []string{"$ ", "ls\r\n", "a  b\r\n", "$ "}, []string{"1 final $ ls", "2 final a  b", "3 final $"}},
		{"scrolled", []string{"1\r\n2\r\n", "3\r\n4\r\n", "5"}, []string{"0 scrolled 1", "0 final 2", "1 final 3", "1 final 4", "2 final 5"}},
		{"wrapped lines are whole", []string{"0123456789secr", "et\r\n1\r\n2\r\n3\r\n4"}, []string{"1 scrolled 0123456789secret", "1 final 1", "1 final 2", "1 final 3", "1 final 4"}},
		{"a password erased by backspace", []string{"# ", "hunter2", strings.Repeat("\b \b", 7), "id\r\n"}, []string{"1 erased/rubbed out # hunter2", "3 final # id"}},
		{"rubbed out at once, typed anew", []string{"# ", "hunter2", "\b\b\b\b\b\b\b\x1b[K", "su\b\x1b[Ks\r\n"}, []string{"1 erased/rubbed out # hunter2", "3 erased/rubbed out # su", "3 final # ss"}},
		{"rubbed out in the middle", []string{"# cat one", "\b\b\b", "\b\x1b[1P", "\b\x1b[1P", "\r\n"}, []string{"0 erased/rubbed out # cat one", "0 final # caone"}},
		{"put in between", []string{"# cat one", "\x1b[3D\x1b[1@m", "\x1b[1@y", "\x1b[1@ \r\n"}, []string{"3 final # cat my one"}},
		{"cleared at the end", []string{"secret plan", "\r\x1b[K"}, []string{"0 erased/erased secret plan"}},
		{"split", []string{"# secret", "\x1b[3D\x1b[1@-\r\n"}, []string{"0 erased/erased # secret", "1 final # sec-ret"}},
		{"written over", []string{"secret plan", "\rharmless...\r\n"}, []string{"0 erased/overwritten secret plan", "1 final harmless..."}},
		{"written over at once", []string{"secret\rpublic\r\n"}, []string{"0 erased/overwritten secret", "0 final public"}},
		{"written over in part", []string{"all well, secretly", "\rall well          \r\n"}, []string{"0 erased/overwritten all well, secretly", "1 final all well"}},
		{"written over with blanks", []string{"secret plan\r", "           \r$ "}, []string{"0 erased/erased secret plan", "1 final $"}},
		{"its line cleared", []string{"secret plan\r", "\x1b[K$ "}, []string{"0 erased/erased secret plan", "1 final $"}},
		{"its line cleared from within", []string{"secret plan\b", "\x1b[2K\r$ "}, []string{"0 erased/erased secret plan", "1 final $"}},
		{"its line cleared after a vain backspace", []string{"secret plan\r", "\b\x1b[K$ "}, []string{"0 erased/erased secret plan", "1 final $"}},
		{"its line left and cleared", []string{"secret plan\x1b[20D", "\x1b[K\x1b[2Hx"}, []string{"0 erased/erased secret plan", "0 final ", "1 final x"}},
		{"pushed off", []string{"secret plan\r", "\x1b[20@$ "}, []string{"0 erased/erased secret plan", "1 final $"}},
		{"pulled in", []string{"secret plan\r", "\x1b[20P$ "}, []string{"0 erased/erased secret plan", "1 final $"}},
		{"written over after backspaces", []string{"secret", "\b\b\b\b\b\bpublic\r\n"}, []string{"0 erased/overwritten secret", "1 final public"}},
		{"written over again and again", []string{"secret", "\rplans!", "\rfor", "\r\x1b[Know"}, []string{"0 erased/overwritten secret", "1 erased/overwritten plans!", "2 erased/erased forns!", "3 final now"}},
		{"written over, then another screen", []string{"secret\rpublic", "\x1b[?1049h\x1b[Hx"}, []string{"0 erased/overwritten secret", "1 alternate x", "0 final public"}},
		{"drawn anew", []string{"$ ls -l", "\r\x1b[K$ ls", " -l", "\r$ \x1b[Kls -l", "\x1b[2K\r$ ls -l"}, []string{"4 final $ ls -l"}},
		{"a progress bar", []string{" 10%", "\r 50%", "\r 70%", "\r100%", "\r\ndone"}, []string{"0 erased/overwritten  10%", "3 final 100%", "4 final done"}},
		{"a wheel", []string{"- working", "\r\\ working", "\r| working", "\r/ working"}, []string{"3 final / working"}},
		{"clear", []string{"secret\r\n", "$ clear\r\n", "\x1b[H\x1b[2Jafter"}, []string{"0 erased/erased secret", "1 erased/erased $ clear", "2 final after"}},
		{"clear from home", []string{"secret\r\n$ ", "\x1b[H\x1b[Jafter"}, []string{"0 erased/erased secret", "0 erased/erased $", "1 final after"}},
		{"split by colours", []string{"se\x1b[31mcr\x1b[0me\x1b]0;x\x07t"}, []string{"0 final secret"}},
		{"concealed", []string{"\x1b[8msecret\x1b[m"}, []string{"0 final/concealed secret"}},
		{
			"alternate screen",
			[]string{"$ vi\r\n", "\x1b[?1049h\x1b[Hfile one\r\nfile two", "\x1b[Hpage two\x1b[K\r\nnumber 2\x1b[K", "\x1b[?1049l$ "},
			[]string{"1 alternate file one", "2 alternate page two", "1 alternate file two", "2 alternate number 2", "0 final $ vi", "3 final $"},
		},
		{
			"alternate screen at the end",
			[]string{"$ top\r\n", "\x1b[?1049h\x1b[Hload"},
			[]string{"1 alternate load", "0 final $ top"},
		},
		{
			"lines that scroll out of a region",
			[]string{"\x1b[?1049h\x1b[1;3r\x1b[H1\r\n2\r\n3\r\n4", "\r\n5\x1b[H\x1bM0"},
			[]string{"0 alternate/flickered 1", "0 alternate 2", "1 alternate 5", "1 alternate 0", "0 alternate 3", "0 alternate 4"},
		},
		{
			"written over on the main screen",
			[]string{"one\r\ntwo", "\x1b[HONE\x1b[2H", "\x1b[4H$"},
			[]string{"0 erased/overwritten one", "1 final ONE", "0 final two", "0 final ", "2 final $"},
		},
		{"edited", []string{"hello world\r\n", "\x1b[H\x1b[6Chappy world\r\n"}, []string{"1 final hello happy world"}},
		{"the same page twice comes once", []string{"\x1b[?1049h\x1b[Hpage", "\x1b[2J", "\x1b[Hpage"}, []string{"0 alternate page"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cols := 20
			if strings.HasPrefix(tt.name, "wrapped") {
				cols = 10
			}
			if got := transcript(cols, 4, tt.outputs...); !slices.Equal(got, tt.want) {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestAClockIsLimited(t *testing.T) {
	var out strings.Builder
	out.WriteString("\x1b[?1049h")
	for i := range 5000 {
		fmt.Fprintf(&out, "\x1b[H%05d\x1b[K\x1b[3Hx\x1b[K", i*7919%100000)
	}
	if got := transcript(20, 4, out.String()); len(got) > maxAlike+10 {
		t.Errorf("%d lines", len(got))
	}
}

func TestResize(t *testing.T) {
	s := New(10, 3)
	var lines []string
	s.Lines = func(l Line) { lines = append(lines, l.Text) }
	_, _ = s.Write([]byte("0123456789\r\ntwo\r\nthree"))
	s.Resize(5, 2)
	if got := s.Text(); !slices.Equal(got, []string{"two", "three"}) || !slices.Equal(lines, []string{"0123456789"}) {
		t.Errorf("screen %q, lines %q", got, lines)
	}
	s.Resize(70000, -1)
	if c, r := s.Size(); c != asciicast.MaxCells || r != 24 {
		t.Errorf("size %dx%d", c, r)
	}
	_, _ = s.Write([]byte("\x1b[999;999Hx\x1b[1;1H漢"))
}

func TestBytesThatAreNotUTF8(t *testing.T) {
	s := New(20, 2)
	_, _ = s.Write([]byte("a\xffb\xc3(c\xe2\x82d\xe2"))
	_, _ = s.Write([]byte("\x82"))
	_, _ = s.Write([]byte("\xac"))
	if got := s.Text()[0]; got != "a\ufffdb\ufffd(c\ufffdd€" {
		t.Errorf("got %q", got)
	}
}

// What is painted must bring another screen into the same state, so that it
// stays the same whatever is written next; and what the auditor's terminal gets
// of it must show the same.
func TestPaint(t *testing.T) {
	more := []string{"", "x", "\r\ny\r\nz\r\n", "\x1b[?47l", "\x1b8w", "\x1bM\x1bM\x1bMq", "\x1b[L\x1b[2P\x1b[@"}
	for seed := range 2000 {
		rnd := rand.New(rand.NewPCG(uint64(seed), 1))
		var b strings.Builder
		for range 5 + rnd.IntN(60) {
			b.WriteString(randomOutput(rnd))
			if rnd.IntN(9) == 0 {
				b.WriteString([]string{"\x1b7", "\x1b[?1049h", "\x1b[4h", "\x1b[?7l", "\x0e", "\x1b)0"}[rnd.IntN(6)])
			}
		}
		cols, rows := 5+rnd.IntN(30), 2+rnd.IntN(10)
		a, painted, filtered := New(cols, rows), New(cols, rows), New(cols, rows)
		_, _ = a.Write([]byte(b.String()))
		paint := a.AppendPaint(nil)
		_, _ = painted.Write(paint)
		_, _ = filtered.Write(new(asciicast.Filter).Append(nil, paint))
		if diff := differ(a, filtered); diff != "" {
			t.Fatalf("seed %d (%dx%d) through the filter: %s\ninput %q\npaint %q", seed, cols, rows, diff, b.String(), paint)
		}
		for _, next := range more {
			_, _ = a.Write([]byte(next))
			_, _ = painted.Write([]byte(next))
			if diff := differ(a, painted); diff != "" {
				t.Fatalf("seed %d (%dx%d) after %q: %s\ninput %q\npaint %q", seed, cols, rows, next, diff, b.String(), paint)
			}
		}
	}
}

func differ(a, b *Screen) string {
	ax, ay := a.Cursor()
	bx, by := b.Cursor()
	if !slices.Equal(a.Text(), b.Text()) || ax != bx || ay != by {
		return fmt.Sprintf("%q,%d,%d is painted %q,%d,%d", a.Text(), ax, ay, b.Text(), bx, by)
	}
	for y := range a.b.lines {
		if as, bs := rowStyles(a.b.lines[y]), rowStyles(b.b.lines[y]); as != bs {
			return fmt.Sprintf("row %d: %s is painted %s", y, as, bs)
		}
	}
	return ""
}

func FuzzScreen(f *testing.F) {
	f.Add(uint16(20), uint16(6), []byte("hello\r\n\x1b[2J\x1b[5;5H漢\x1b[?1049h\x1b[3Lx\x1b[?1049l\x1b(0q\x1b[8b"))
	f.Add(uint16(1), uint16(1), []byte("漢ab\r\n\x1b[2;3r\x1bM\x1bD\x1b[65536@\x1b[65536b\x1b[99S\x1b[T"))
	f.Add(uint16(3), uint16(2), []byte("\x1b[?6h\x1b[1;2r\x1b[9B\x1b[9e\x1b[9Z\x1b[9I\x1bc\x1b#8\x1b[X\x1b[1K\x1b[1J"))
	f.Fuzz(func(t *testing.T, cols, rows uint16, in []byte) {
		s := New(int(cols%200), int(rows%100))
		s.Lines = func(l Line) {
			if len(l.Text) > 2*maxLine+asciicast.MaxCells*(maxMarks+8) {
				t.Fatalf("a line of %d bytes", len(l.Text))
			}
			for _, r := range l.Text {
				if r < 0x20 || r >= 0x7f && r < 0xa0 {
					t.Fatalf("control %U in %q", r, l.Text)
				}
			}
		}
		_, _ = s.Write(in[:len(in)/2])
		s.Resize(int(rows%150), int(cols%70))
		_, _ = s.Write(in[len(in)/2:])
		x, y := s.Cursor()
		if c, r := s.Size(); x < 0 || y < 0 || x >= c || y >= r {
			t.Fatalf("cursor %d,%d on %dx%d", x, y, c, r)
		}
		var safe asciicast.Filter
		_ = safe.Append(nil, s.AppendPaint(nil))
		s.Close()
	})
}

// Sequences of a few bytes that clear, fill, scroll or resize a huge screen
// must not cost what the screen has cells: 64 KiB of them would be hours.
func TestFewBytesDontMakeMuchWork(t *testing.T) {
	for _, seq := range []string{
		"\x1bc", "\x1b[2J", "\x1b[44m\x1b[2J\x1b[45m\x1b[2J", "\x1b#8", "x\x1b[9999b", "\x1b[?1049hx\x1b[?1049l", "\x1b[999L", "\x1b[999S", "\x1b[999T",
		"x\x1b[999@", "\x1b[H\x1b[J", "\x1b[1J", "\x1bM", "\n", "x\x1b[2;1Hy\x1b[H", "\x1b[H\x1b[K\x1b[999;1H\x1b[1K", "漢", "\x1b[999P",
	} {
		s := New(asciicast.MaxCells, asciicast.MaxCells)
		lines := 0
		s.Lines = func(Line) { lines++ }
		_, _ = s.Write([]byte(strings.Repeat(seq, 64<<10/len(seq))))
		s.Close()
	}
	s := New(1, 1)
	s.Lines = func(Line) {}
	for range 2000 {
		s.Resize(asciicast.MaxCells, asciicast.MaxCells)
		_, _ = s.Write([]byte("x"))
		s.Resize(1, 1)
	}
}

// An image takes no memory, however large it is, and one line at its place.
func TestImages(t *testing.T) {
	s := New(80, 24)
	var lines []string
	s.Lines = func(l Line) { lines = append(lines, fmt.Sprintf("%v/%v %s", l.Kind, l.Hidden, l.Text)) }
	chunk := []byte(strings.Repeat("#0!80~$#1!80@-", 1<<16/14))
	_, _ = s.Write([]byte("before\r\n\x1bPq"))
	_, _ = s.Write(chunk)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 400 { // 26 MB
		_, _ = s.Write(chunk)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("26 MB of an image took %d bytes", grown)
	}
	_, _ = s.Write([]byte("\x1b\\\r\nafter\r\n"))
	s.Close()
	if want := []string{"final/ before", "image/ [image, sixel, 26.3 MB]", "final/ ", "final/ after"}; !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}

// What was not followed, since it was too much work, is told.
func TestUnfollowedIsTold(t *testing.T) {
	s := New(asciicast.MaxCells, asciicast.MaxCells)
	told := 0
	s.Lines = func(l Line) {
		if l.Hidden == Unfollowed {
			told++
		}
	}
	_, _ = s.Write([]byte(strings.Repeat("\x1b#8", 100)))
	if told == 0 || told > maxSkipped {
		t.Errorf("told %d times", told)
	}
}
