// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Every line is something that a recording may do to the terminal of the person
// who looks at it; all of it ends with "after", which must be what is left.
var hostile = []string{
	"\x1b]0;title\x07", "\x1b]0;title\x1b\\", "\x1b]2;title\x07", "\x1b]l title\x1b\\",
	"\x1b]52;c;cm0gLXJmIH4=\x07", "\x1b]52;c;?\x07", "\x1b]8;;http://evil.example/\x1b\\", "\x1b]4;1;?\x07", "\x1b]10;?\x07",
	"\x1b]11;#000000\x07", "\x1b]7;file://host/\x07", "\x1b]9;4;1;50\x07", "\x1b]133;A\x07", "\x1b]50;?\x07",
	"\x1b]777;notify;a;b\x07", "\x1b]1337;File=name=x:AAAA\x07", "\x1b]5522;x\x1b\\",
	"\x1bP+q544e\x1b\\", "\x1bP$qm\x1b\\", "\x1bPq#0;2;0;0;0~\x1b\\", "\x1bP1$r0m\x1b\\", "\x1bPtmux;\x1b\x1b\\", "\x1b_Gi=1;AAAA\x1b\\",
	"\x1b^private\x1b\\", "\x1bXstart\x1b\\",
	"\x1b[c", "\x1b[>c", "\x1b[=c", "\x1b[0c", "\x1bZ", "\x1b[5n", "\x1b[6n", "\x1b[?6n", "\x1b[?15n", "\x1b[x", "\x1b[>q", "\x1b[?1$p", "\x1b[?u", "\x1b[>1u",
	"\x1b[21t", "\x1b[18t", "\x1b[8;10;10t", "\x1b[3;0;0t", "\x1b[22;0t", "\x1b[5i", "\x1b[4i", "\x1b[?5i", "\x1b[1q", "\x1b[ q", "\x1b[4;1y", "\x1b[3g", "\x1bH",
	"\x1b[?1000h", "\x1b[?1002h", "\x1b[?1003h", "\x1b[?1006h", "\x1b[?1004h", "\x1b[?2004h", "\x1b[?1h", "\x1b[?3h", "\x1b[?5h", "\x1b[?69h", "\x1b[?66h", "\x1b[?1034h",
	"\x1b[20h", "\x1b[2h", "\x1b[12l", "\x1b[3J", "\x1b[?3J", "\x1b[7J", "\x1b[1;2;3;4;5T", "\x1b[8m", "\x1b[08m", "\x1b[8:0m",
	"\x1b=", "\x1b>", "\x1b%G", "\x1b%@", "\x1b#8", "\x1b#3", "\x1bn", "\x1bo", "\x1b|", "\x1b}", "\x1b~", "\x1bN", "\x1bO", "\x1bl", "\x1bm", "\x1b F",
	"\x07", "\x05", "\x0e\x0f", "\x00", "\x7f", "\x18", "\x1a", "\x11", "\x13",
	"\u0084", "\u0085", "\u008d", "\u008e", "\u0090\u009c", "\u009c", "\u009e",
	"\x1b]0;a\x1b[c", "\x1bP\x1b]0;x\x07", "\x1b[\x1b]0;x\x07", "\x1b]0;\x18", "\x1b[1;\x18", "\x1b[>4;2m", "\x1b['|",
	"\x1b[" + strings.Repeat("1;", 500) + "m", "\x1b[-1A", "\x1b[+1A", "\x1b[?-7h", "\x1b[1\"q", "\x1b[1 t", "\x1b[2*x",
	"\x1b]0;" + strings.Repeat("x", 5000) + "\x07",
}

func TestFilterTakesHostileSequencesAndLeavesTheText(t *testing.T) {
	for _, in := range hostile {
		var f Filter
		if got := string(f.Append(nil, []byte(in+"after"))); got != "after" {
			t.Errorf("%q: got %q", in, got)
		}
		// The same, a byte an event: no cut may change what is taken.
		var cut Filter
		var out []byte
		for _, b := range []byte(in + "after") {
			out = cut.Append(out, []byte{b})
		}
		if string(out) != "after" {
			t.Errorf("%q in single bytes: got %q", in, out)
		}
	}
}

func TestFilterPasses(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"plain text\r\n\ttab\b", "plain text\r\n\ttab\b"},
		{"grüße 漢字 🚀 e\u0301 👩\u200d💻 \ue0b0", "grüße 漢字 🚀 e\u0301 👩\u200d💻 \ue0b0"},
		{"\x1b[1;31mred\x1b[m\x1b[0m", "\x1b[1;31mred\x1b[m\x1b[0m"},
		{"\x1b[38;5;8mgrey\x1b[48;2;8;8;8m\x1b[38:2::1:2:3m", "\x1b[38;5;8mgrey\x1b[48;2;8;8;8m\x1b[38:2::1:2:3m"},
		{"\x1b[1;8;4mhidden", "\x1b[1;4mhidden"},
		{"\x1b[38;5;1;8m", "\x1b[38;5;1m"},
		{"\x1b[38;8m\x1b[38;5m", "\x1b[38m\x1b[38;5m"},
		{"\x1b[2J\x1b[H\x1b[10;20H\x1b[K\x1b[1K\x1b[5A\x1b[3;5r\x1b[2L\x1b[7P\x1b[s\x1b[u", "\x1b[2J\x1b[H\x1b[10;20H\x1b[K\x1b[1K\x1b[5A\x1b[3;5r\x1b[2L\x1b[7P\x1b[s\x1b[u"},
		{"\x1b[99999999999999999999A\x1b[65535b", "\x1b[9999A\x1b[9999b"},
		{"\x1b[?1049h\x1b[?25l\x1b[?25;1000;7h", "\x1b[?1049h\x1b[?25l\x1b[?25;7h"},
		{"\x1b[4h\x1b[4l\x1b7\x1b8\x1bM\x1bD\x1bE", "\x1b[4h\x1b[4l\x1b7\x1b8\x1bM\x1bD\x1bE"},
		{"\x1b[?J\x1b[?2K", "\x1b[J\x1b[2K"},
		{"a\u202eb\u2066c\u200ed\ufeff\U000e0041\u2028", "a<U+202E>b<U+2066>c<U+200E>d<U+FEFF><U+E0041><U+2028>"},
		{"\xff\x80a\xe2\x82", "\ufffd\ufffda"},
		{"\xe2\x82\x1b[1mx", "\ufffd\x1b[1mx"},
		{"\x1b(0lqk\x1b(Blqk", "┌─┐lqk"},
		{"\x1b)0\x0eqx\x0fqx", "─│qx"},
		{"\x1b(0\x1b7\x1b(Bq\x1b8q", "\x1b7q\x1b8─"},
		{"\v\f", "\n\n"},
		{"\x1b[1\n;2Hx", "\n\x1b[1;2Hx"},
		{"\x1bcx", "\x1b[!p\x1b[m\x1b[H\x1b[2Jx"},
		{"\x1b[31é", "é"},
	} {
		var f Filter
		if got := string(f.Append(nil, []byte(tt.in))); got != tt.want {
			t.Errorf("%q\n got %q\nwant %q", tt.in, got, tt.want)
		}
	}
}

func TestEndlessStringDoesNotHideTheRest(t *testing.T) {
	var f Filter
	out := f.Append(nil, []byte("\x1b]0;"+strings.Repeat("x", maxString+10)+"visible"))
	if !strings.HasSuffix(string(out), "visible") || len(out) > 20 {
		t.Errorf("got %d bytes ending in %q", len(out), out[max(0, len(out)-20):])
	}
}

func TestRestoreLeavesTheAlternateScreen(t *testing.T) {
	var f Filter
	if got := string(f.Restore(nil)); strings.Contains(got, "1049") {
		t.Errorf("not in it: %q", got)
	}
	f.Append(nil, []byte("\x1b[?1049h"))
	if got := string(f.Restore(nil)); !strings.Contains(got, "\x1b[?1049l") {
		t.Errorf("in it: %q", got)
	}
}

// safeWire is the allow-list once more, written as what may be on the wire. It
// shares nothing with the filter.
var safeWire = regexp.MustCompile(`^(?:` + strings.Join([]string{
	`[\r\n\t\x08 -~]`,
	`\x1b[78DEM]`,
	`\x1b\[!p`,
	`\x1b\[4[hl]`,
	`\x1b\[\?(?:7|25|47|1047|1048|1049|2026)(?:;(?:7|25|47|1047|1048|1049|2026))*[hl]`,
	`\x1b\[[0-2]?J`,
	`\x1b\[\d{0,4}[@ABCDEFGIKLMPSTXZ` + "`" + `abde]`,
	`\x1b\[\d{0,4}(?:;\d{0,4})?[Hfr]`,
	`\x1b\[[su]`,
	`\x1b\[[\d:;]{0,300}m`,
}, "|") + `)`)

func checkSafe(out []byte) error {
	for i := 0; i < len(out); {
		r, n := utf8.DecodeRune(out[i:])
		if r >= utf8.RuneSelf {
			hides := unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) && r != 0x200c && r != 0x200d
			if r == utf8.RuneError && n == 1 || unicode.IsControl(r) || hides {
				return fmt.Errorf("at %d: %q", i, out[i:i+n])
			}
			i += n
			continue
		}
		m := safeWire.Find(out[i:min(len(out), i+400)]) // the time it takes grows with what it may read
		if m == nil {
			return fmt.Errorf("at %d: %q", i, out[i:min(len(out), i+20)])
		}
		if len(m) > 1 && m[len(m)-1] == 'm' && conceals(string(m[2:len(m)-1])) {
			return fmt.Errorf("at %d: conceals: %q", i, m)
		}
		i += len(m)
	}
	return nil
}

var extended = regexp.MustCompile(`(?:^|;)(?:38|48|58);(?:5(?:;[\d:]*)?|2(?:;[\d:]*){0,3})(?:;|$)`)

// conceals says whether an SGR sequence has parameter 8 outside a colour.
func conceals(params string) bool {
	for extended.MatchString(params) {
		params = extended.ReplaceAllString(params, ";")
	}
	return regexp.MustCompile(`(?:^|;)0*8(?:[:;]|$)`).MatchString(params)
}

func TestStrictScannerRefuses(t *testing.T) {
	for _, bad := range append(hostile, "\u202e", "\x1b", "\x1b[", "\xff") {
		if bad == "\x1b]0;\x18" {
			continue
		}
		if checkSafe([]byte(bad)) == nil {
			t.Errorf("the scanner takes %q", bad)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range hostile {
		f.Add([]byte(s+"after"), uint8(3))
	}
	f.Add([]byte("\x1b[38;5;8;8m\x1b(0q\x1b[?7;1049h\xe2\x82\xac\u202e"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, cut uint8) {
		var whole, parts Filter
		out := whole.Append(nil, in)
		if err := checkSafe(out); err != nil {
			t.Fatalf("%q -> %q: %v", in, out, err)
		}
		var again []byte
		for i, step := 0, int(cut)+1; i < len(in); i += step {
			again = parts.Append(again, in[i:min(len(in), i+step)])
		}
		if string(again) != string(out) {
			t.Fatalf("%q in parts of %d: %q, whole: %q", in, cut+1, again, out)
		}
		if err := checkSafe(whole.Restore(nil)); err != nil {
			t.Fatal(err)
		}
	})
}
