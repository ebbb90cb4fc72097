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

func TestWriteWhole(t *testing.T) {
	long := "# " + strings.Repeat("x", 300<<10) + "\n"
	for _, tt := range []struct {
		in   string
		torn bool
	}{{"", false}, {sample, false}, {sample + long + sample, false}, {sample + long, false}} {
		for _, tail := range []string{"", `[1.0, "o`} {
			var out bytes.Buffer
			torn, err := WriteWhole(&out, strings.NewReader(tt.in+tail))
			if err != nil || torn != (tail != "") || out.String() != tt.in {
				t.Errorf("%d bytes and %q: torn %v, %v, %d bytes out", len(tt.in), tail, torn, err, out.Len())
			}
		}
	}
}
