// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

const sample = `{"version":3,"term":{"cols":80,"rows":24,"type":"xterm"},"timestamp":1763812800,"env":{"SHELL":"/bin/sh"},"castgate":{"id":"x"}}
[0.5, "o", "a<b>\u001b[1m"]
#raw //4=
[1.25, "o", "\ufffd"]
# a comment
[0.25, "r", "90x30"]
[0.0, "i", "q"]
[1.0, "x", "0"]
`

func TestWriteV2(t *testing.T) {
	const want = `{"version":2,"width":80,"height":24,"timestamp":1763812800,"env":{"SHELL":"/bin/sh","TERM":"xterm"}}
[0.500000, "o", "a\u003cb\u003e\u001b[1m"]
[1.750000, "o", "�"]
[2.000000, "r", "90x30"]
[2.000000, "i", "q"]
`
	for _, tt := range []struct {
		in   string
		torn bool
	}{{sample, false}, {sample + `[1.0, "o`, true}} {
		r, err := NewReader(strings.NewReader(tt.in))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		torn, err := WriteV2(&out, r)
		if err != nil || torn != tt.torn || out.String() != want {
			t.Errorf("torn %v, %v\n%s\nwant\n%s", torn, err, out.String(), want)
		}
	}
	// What it writes must say the same when it is read again.
	r, _ := NewReader(strings.NewReader(sample))
	var out bytes.Buffer
	_, _ = WriteV2(&out, r)
	a, _ := NewReader(strings.NewReader(sample))
	b, err := NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	for {
		x, err1 := a.Next()
		if x.Code == Exit {
			x, err1 = a.Next()
		}
		y, err2 := b.Next()
		if err1 == io.EOF && err2 == io.EOF {
			return
		}
		if err1 != nil || err2 != nil || x.Time != y.Time || x.Code != y.Code || string(x.Text) != string(y.Text) && len(x.Data) == len(x.Text) {
			t.Fatalf("%v %+v, %v %+v", err1, x, err2, y)
		}
	}
}

func TestWriteV3(t *testing.T) {
	long := "# " + strings.Repeat("x", 300<<10) + "\n"
	for _, in := range []string{sample, sample + long + sample[strings.Index(sample, "\n")+1:], sample + long} {
		for _, tail := range []string{"", `[1.0, "o`} {
			var out bytes.Buffer
			torn, err := WriteV3(&out, strings.NewReader(in+tail))
			if err != nil || torn != (tail != "") || out.String() != in {
				t.Errorf("%d bytes and %q: torn %v, %v, %d bytes out", len(in), tail, torn, err, out.Len())
			}
		}
	}
}

// What other recorders write, in every version, becomes v3; what is no recording
// says why.
func TestFormatsBecomeV3(t *testing.T) {
	const head3 = `{"version":3,"term":{"cols":80,"rows":24}}` + "\n"
	const head = `{"version":3,"term":{"cols":80,"rows":24,"type":"xterm"},"env":{"TERM":"xterm"}}` + "\n"
	const v2 = `{"version":2,"width":80,"height":24,"env":{"TERM":"xterm"}}` + "\n"
	const events = `[0.500000, "o", "a\r\n"]` + "\n" + `[1.000000, "q\u0001", "?"]` + "\n"
	for _, tt := range []struct{ name, in, want, fails string }{
		{"v3", head3 + `[0.5, "o", "a"]` + "\n", head3 + `[0.5, "o", "a"]` + "\n", ""},
		{"v3, last line without newline", head3 + `[0.5, "o", "a"]`, head3 + `[0.5, "o", "a"]` + "\n", ""},
		{"v3, last comment without newline", head3 + `# end`, head3 + "# end\n", ""},
		{"v3 with a byte order mark", "\ufeff" + head3 + `[0.5, "o", "a"]` + "\n", head3 + `[0.5, "o", "a"]` + "\n", ""},
		{"v2", v2 + `[0.5, "o", "a\r\n"]` + "\n" + `[1.5, "q\u0001", "?"]` + "\n", head + events, ""},
		{"v2, last line without newline", v2 + `[0.5, "o", "a\r\n"]` + "\n" + `[1.5, "q\u0001", "?"]`, head + events, ""},
		{"v2 with a theme", `{"version":2,"width":80,"height":24,"theme":{"fg":"#ffffff","bg":"#000000","palette":"x"}}`, `{"version":3,"term":{"cols":80,"rows":24,"theme":{"fg":"#ffffff","bg":"#000000","palette":"x"}}}` + "\n", ""},
		{"v1", `{"version":1,"width":80,"height":24,"duration":1.5,"env":{"TERM":"xterm"},"stdout":[[0.5,"a\r\n"],[1,"b"]]}`, head + `[0.500000, "o", "a\r\n"]` + "\n" + `[1.000000, "o", "b"]` + "\n", ""},
		{"v1 of many lines", "\ufeff{\n  \"version\": 1,\n \"width\": 80,\n \"height\": 24,\n \"stdout\": [\n [0.5,\n \"a\"]\n ]\n}\n", head3 + `[0.500000, "o", "a"]` + "\n", ""},
		{"v1 with a bad event", `{"version":1,"width":80,"height":24,"stdout":[[0.5]]}`, head3, "not an event"},
		{"v1 back in time", `{"version":1,"width":80,"height":24,"stdout":[[-1,"a"]]}`, head3, "out of range"},
		{"empty", "", "", "the file is empty"},
		{"text", "hello\n", "", "not asciicast's"},
		{"text without newline", "hello", "", "does not begin with {"},
		{"other JSON", "{\"a\": 1}\n", "", "version 0 is not known"},
		{"JSON of many lines", "{\n\"version\": 2\n}\n", "", "not asciicast's"},
		{"a newer version", `{"version":4}`, "", "version 4 is not known"},
		{"no size", `{"version":3}`, "", "size is 0x0"},
		{"gzip", "\x1f\x8b\x08\x00", "", "compressed with gzip"},
		{"UTF-16", "\xff\xfe{\x00", "", "UTF-16"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			torn, err := WriteV3(&out, strings.NewReader(tt.in))
			if torn || out.String() != tt.want || (err == nil) != (tt.fails == "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("torn %v, %v\n got %q\nwant %q", torn, err, out.String(), tt.want)
			}
		})
	}
}
