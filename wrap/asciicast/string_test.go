// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// readString runs one control string, from behind its ESC, and returns what was
// found.
func readString(s string, whole bool) string {
	var c ControlString
	c.Begin(s[0])
	for i := 1; i < len(s); i++ {
		if !c.Add(s[i]) {
			break
		}
	}
	c.End(whole)
	c.Flush()
	var found []string
	for _, p := range c.Pieces {
		found = append(found, strings.TrimSpace(p.Name+" "+p.Line()))
	}
	return strings.Join(found, "|")
}

func TestControlStrings(t *testing.T) {
	pixels := strings.Repeat("#0!80~$#1!80@-", 150_000) // 2.1 MB
	base64 := strings.Repeat("iVBORw0KGgoAAAANSUhEUgAAAAE", 50_000)
	for _, tt := range []struct {
		name, in string
		whole    bool
		want     string
	}{
		{"title", "]0;deploy@web1: ~", true, ""},
		{"title that does not end", "]0;mkosi: Syncing", false, "OSC 0;mkosi: Syncing"},
		{"title with a line break", "]0;a\nrm -rf /srv", true, "OSC 0;a|rm -rf /srv"},
		{"title with a control character", "]0;a\bb", true, "OSC 0;ab"},
		{"title that some terminals end (C1)", "]0;a\u009crm -rf /srv", true, "OSC 0;arm -rf /srv"},
		{"title that some terminals end (byte)", "]0;a\x9crm -rf /srv", true, "OSC 0;a\ufffdrm -rf /srv"},
		{"title of a page", "]0;" + strings.Repeat("x", 600), true, "OSC 0;" + strings.Repeat("x", 600)},
		{"link", "]8;id=1;https://example.org/a?b", true, ""},
		{"link with words", "]8;;rm -rf /srv", true, "OSC 8;;rm -rf /srv"},
		{"colour query", "]11;?", true, ""},
		{"palette", "]4;1;rgb:ff/00/00", true, ""},
		{"prompt", "]133;A;cl=m", true, ""},
		{"directory", "]7;file://web1/home/deploy", true, ""},
		{"context of systemd", "]3008;start=ab;machineid=cd", true, ""},
		{"progress", "]9;4;1;50", true, ""},
		{"notification", "]9;rm -rf /srv", true, "OSC 9;rm -rf /srv"},
		{"clipboard", "]52;c;c2VjcmV0", true, "OSC 52;c;c2VjcmV0"},
		{"text in kitty's size", "]66;s=2;secret", true, "OSC 66;s=2;secret"},
		{"DECRQSS", "P$qm", true, ""},
		{"XTGETTCAP", "P+q544e", true, ""},
		{"tmux passes on", "Ptmux;", false, ""},
		{"DCS", "P1$r\r\nAFTER", false, "DCS 1$r|AFTER"},
		{"APC", "_\r\nAFTER", false, "APC|AFTER"},
		{"PM", "^x", true, "PM x"},
		{"SOS, not UTF-8", "Xa\xffb\xc2\x9cc", true, "SOS a\ufffdbc"},
		{"empty", "^", true, ""},
		{"sixel", "P0;1;0q\"1;1;80;6" + pixels, true, "[image, sixel, 2.1 MB]"},
		{"sixel in lines", "Pq" + strings.ReplaceAll(pixels[:28_000], "-", "-\r\n"), true, "[image, sixel, 32.0 kB]"},
		{"sixel with words", "Pq#0~~-\r\nrm -rf /srv\r\n#0~~", true, "DCS rm -rf /srv|[image, sixel, 24 B]"},
		{"sixel that does not end", "Pq\r\nAFTER\r\nrm -rf /srv\r\n", false, "DCS rm -rf /srv|q|AFTER"},
		{"large sixel that does not end", "Pq" + pixels + "\r\nAFTER\r\n", false, "DCS AFTER|[image, sixel, 2.1 MB]"},
		{"words in one line of pixels", "Pq" + pixels + " rm -rf /srv", true, "DCS !80~$#1!80@- rm -rf /srv|[image, sixel, 2.1 MB]"},
		{"kitty", "_Ga=T,f=100;" + base64, true, "[image, kitty, 1.4 MB]"},
		{"kitty asks", "_Gi=1,a=q;AAAA", true, ""},
		{"kitty deletes", "_Ga=d", true, ""},
		{"kitty that does not end", "_G\r\nAFTER\r\n", false, "APC G|AFTER"},
		{"iTerm", "]1337;File=name=YQ==;size=9;inline=1:" + base64, true, "[image, iTerm, 1.4 MB]"},
		{"iTerm in lines", "]1337;File=inline=1:\n" + strings.Repeat(strings.Repeat("A", 76)+"\n", 100) + "QUI=", true, "[image, iTerm, 7.7 kB]"},
		{"iTerm sets a variable", "]1337;SetUserVar=a=c2VjcmV0", true, "OSC 1337;SetUserVar=a=c2VjcmV0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := readString(tt.in, tt.whole)
			if tt.name == "words in one line of pixels" { // which pixels stand before them doesn't matter
				if i := strings.Index(got, "!80~$#1!80@- rm"); i >= 0 {
					got = "DCS " + got[i:]
				}
			}
			if got != tt.want {
				t.Errorf("got %.300q, want %q", got, tt.want)
			}
		})
	}
}

func TestAnImageInParts(t *testing.T) {
	for _, tt := range []struct {
		parts []string
		want  string
	}{
		{[]string{"_Ga=T,m=1;AAAA", "_Gm=1;AAAA", "_Gm=0;AAA="}, "[image, kitty, 12 B]"},
		{[]string{"_Ga=T,m=1;AAAA", "_Gm=1;AAAA"}, "[image, kitty, 8 B]"},
		{[]string{"]1337;MultipartFile=inline=1", "]1337;FilePart=AAAA", "]1337;FilePart=AA==", "]1337;FileEnd"}, "[image, iTerm, 8 B]"},
		{[]string{"_Ga=T,m=1;AAAA", "Pq~~~~"}, "[image, kitty, 4 B]|[image, sixel, 4 B]"},
	} {
		var c ControlString
		for _, p := range tt.parts {
			c.Begin(p[0])
			for i := 1; i < len(p); i++ {
				c.Add(p[i])
			}
			c.End(true)
		}
		c.Flush()
		var got []string
		for _, p := range c.Pieces {
			got = append(got, p.Line())
		}
		if s := strings.Join(got, "|"); s != tt.want {
			t.Errorf("%q: %q, want %q", tt.parts, s, tt.want)
		}
	}
}

// A string takes bounded memory whatever is in it, and gives what it has away.
func TestStringsAreBounded(t *testing.T) {
	for _, part := range []string{"a", "\n", "word\n", "#0~", "AFTER\r\n", strings.Repeat("A", 59) + "\n", "\x01", "\xff"} {
		for _, begin := range []string{"]0;", "Pq", "_Ga=T;", "]1337;File=:", "X"} {
			var c ControlString
			c.Begin(begin[0])
			for i := 1; i < len(begin); i++ {
				c.Add(begin[i])
			}
			for n := 0; n < 3<<20; n += len(part) {
				for i := range len(part) {
					if !c.Add(part[i]) {
						c.Begin(begin[0])
					}
				}
				if held := cap(c.head) + cap(c.line) + c.doubts; held > 1<<20 {
					t.Fatalf("%q, %q: %d bytes are held", begin, part, held)
				}
				c.Pieces = c.Pieces[:0]
			}
		}
	}
}

func TestReveal(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"a\x1b[31mb\x1b]0;title\x07c\x1b(0q", "a\x1b[31mb\x1b]0;title\x07c\x1b(0q"},
		{"before\r\n\x1b]0;mkosi\r\nrm -rf /srv\r\n$ ", "before\r\n<OSC>0;mkosi\r\nrm -rf /srv\r\n$ "},
		{"a\x1bPx\x1b[31mb", "a<DCS>x\x1b[31mb"},
		{"a\x1b^x\x1b\\b", "a<PM>xb"},
		{"a\x1b_Gi=1,a=q;AAAA\x1b\\b", "a\x1b_Gi=1,a=q;AAAA\x1b\\b"},
		{"a\x1bPq" + strings.Repeat("#0~~", 2000) + "\x1b\\b", "a[image, sixel, 8.0 kB]\r\nb"},
		{"a\x1bP\x1b]0;t\x07\x1b\\b", "a\x1bP\x1b]0;t\x07\x1b\\b"},
		{"\x1b\x1b]2;t\x1b\\漢", "\x1b\x1b]2;t\x1b\\漢"},
	} {
		for size := 1; size < 5; size++ {
			var r Reveal
			var out []byte
			for in := []byte(tt.in); len(in) > 0; in = in[min(size, len(in)):] {
				out = r.Append(out, in[:min(size, len(in))])
			}
			if out = r.Close(out); string(out) != tt.want {
				t.Errorf("%.60q by %d: %.200q, want %q", tt.in, size, out, tt.want)
			}
		}
	}
}

// What an unfinished string hides is shown by a player that reveals, from the
// start and after going back; one that doesn't counts it.
func TestPlayReveals(t *testing.T) {
	var enc Encoder
	cast := AppendHeader(nil, Header{Term: Term{Cols: 80, Rows: 24}})
	cast = enc.AppendOutput(cast, 1e9, []byte("before\r\n\x1b]0;mkosi"))
	cast = enc.AppendOutput(cast, 2e9, []byte("\r\nrm -rf /srv\r\n$ "))
	for _, reveal := range []bool{false, true} {
		var out bytes.Buffer
		p := &Player{Out: &out, Reveal: reveal, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(cast)), nil }}
		if err := p.Play(t.Context()); err != nil {
			t.Fatal(err)
		}
		want, hidden := "before\r\n", 3
		if reveal {
			want, hidden = "before\r\n<OSC>0;mkosi\r\nrm -rf /srv\r\n$ ", 0
		}
		if out.String() != want || p.Hidden != hidden {
			t.Errorf("reveal %v: %q, %d hidden", reveal, out.String(), p.Hidden)
		}
	}
}

func FuzzReveal(f *testing.F) {
	f.Add([]byte("a\x1b]0;t\x07\x1bPq#0~\r\nAFTER\x1b\\\x1b_Gm=1;AA\x1b\\\x1b^x\x18"), uint64(1))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		var whole, parts Reveal
		want := whole.Close(whole.Append(nil, in))
		rnd := rand.New(rand.NewPCG(seed, 1))
		var got []byte
		for rest := in; len(rest) > 0; {
			n := 1 + rnd.IntN(len(rest))
			got = parts.Append(got, rest[:n])
			rest = rest[n:]
			copied := parts.Clone()
			parts = copied
		}
		if got = parts.Close(got); !bytes.Equal(got, want) {
			t.Fatalf("in parts %q, at once %q", got, want)
		}
		if !bytes.ContainsRune(in, 0x1b) && !bytes.Equal(want, in) {
			t.Fatalf("%q became %q", in, want)
		}
		var safe Filter
		if out := safe.Append(nil, want); bytes.Contains(out, []byte("\x1b]")) || bytes.Contains(out, []byte("\x1bP")) {
			t.Fatalf("%q passes", out)
		}
	})
}
