// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"castgate/wrap/spool"
)

const head = `{"version":3,"term":{"cols":80,"rows":24},"castgate":{"id":"x"}}` + "\n"

// replay returns the bytes of every output event and how the file ends.
func replay(t *testing.T, file []byte) ([]byte, error) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	var out []byte
	for {
		ev, err := r.Next()
		if err != nil {
			return out, err
		}
		if ev.Code == Output {
			out = append(out, ev.Data...)
		}
	}
}

// strict holds a file against the rules by which asciinema-server decodes v3.
func strict(t *testing.T, file []byte) {
	t.Helper()
	if !utf8.Valid(file) || !bytes.HasSuffix(file, []byte("\n")) {
		t.Fatalf("not whole UTF-8 lines: %q", file)
	}
	lines := strings.Split(strings.TrimSuffix(string(file), "\n"), "\n")
	for _, line := range lines[1:] {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var ev []any
		if err := json.Unmarshal([]byte(line), &ev); err != nil || len(ev) != 3 {
			t.Fatalf("not an event: %q (%v)", line, err)
		}
		if sec, ok := ev[0].(float64); !ok || sec < 0 {
			t.Fatalf("bad time in %q", line)
		}
		for _, s := range ev[1:] {
			if _, ok := s.(string); !ok {
				t.Fatalf("not a string in %q", line)
			}
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for _, tt := range []struct {
		name   string
		chunks []string
		want   string // a line that must be there
	}{
		{"plain", []string{"hello\r\n"}, `"hello\r\n"]`},
		{"controls", []string{"\x1b[31m\x00\x07\"\\\x7f"}, `"\u001b[31m\u0000\u0007\"\\` + "\x7f\"]"},
		{"every special byte in words of eight", []string{"1234567\"abcdefg\\hijklmn\n1234567890"}, ""},
		{"euro sign in two reads", []string{"a\xe2", "\x82\xacb"}, `"€b"]`},
		{"euro sign in three reads", []string{"\xe2", "\x82", "\xac"}, `"€"]`},
		{"not UTF-8", []string{"caf\xe9 au lait"}, "#raw Y2Fm6SBhdSBsYWl0"},
		{"binary has no text", []string{strings.Repeat("\xff\x00\xfe", 100)}, `"o", ""]`},
		{"tail that never ends", []string{"a\xf0\x9f"}, "#raw 8J8="},
		{"tail, then something else", []string{"\xe2", "abc"}, "#raw 4mFiYw=="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var e Encoder
			file := []byte(head)
			for i, c := range tt.chunks {
				file = e.AppendOutput(file, time.Duration(i)*time.Millisecond, []byte(c))
			}
			file = e.Flush(file, time.Second)
			file = e.AppendExit(file, time.Second, 0)
			strict(t, file)
			if !strings.Contains(string(file), tt.want) {
				t.Errorf("no %q in\n%s", tt.want, file)
			}
			got, err := replay(t, file)
			if err != io.EOF || string(got) != strings.Join(tt.chunks, "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// A recorder killed after any write has recorded all that was shown by then.
func TestKilledAfterAnyWrite(t *testing.T) {
	var e Encoder
	file, shown := []byte(head), []byte(nil)
	for _, c := range []string{"a\xe2", "\x82", "\xac\xff", "\xf0\x9f\x98", "\x80 done"} {
		file = e.AppendOutput(file, 0, []byte(c))
		shown = append(shown, c...)
		if got, err := replay(t, file); !bytes.Equal(got, shown) || err != io.EOF {
			t.Errorf("after %q: got %q, want %q (%v)", c, got, shown, err)
		}
	}
}

func TestIntervalsDoNotDrift(t *testing.T) {
	var e Encoder
	file := []byte(head)
	var at time.Duration
	for range 10_000 {
		at += 333_333 * time.Nanosecond
		file = e.AppendOutput(file, at, []byte("x"))
	}
	file = e.AppendOutput(file, at-time.Second, []byte("the clock went back"))
	strict(t, file)
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var last time.Duration
	for {
		ev, err := r.Next()
		if err != nil {
			break
		}
		last = ev.Time
	}
	if want := at.Truncate(time.Microsecond); last != want {
		t.Errorf("the last event is at %v, want %v", last, want)
	}
}

func TestTornEnd(t *testing.T) {
	var e Encoder
	file := e.AppendOutput([]byte(head), 0, []byte("whole"))
	whole := len(file)
	file = e.AppendOutput(file, 0, []byte("cut \xff here"))
	for n := whole + 1; n < len(file); n++ {
		r, err := NewReader(bytes.NewReader(file[:n]))
		if err != nil {
			t.Fatal(err)
		}
		var out []byte
		for err == nil {
			var ev Event
			ev, err = r.Next()
			out = append(out, ev.Data...)
		}
		atLine := file[n-1] == '\n'
		if atLine != (err == io.EOF) || !atLine && !errors.Is(err, ErrTorn) {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if !bytes.HasPrefix(out, []byte("whole")) || r.Offset() < int64(whole) || r.Offset() > int64(n) {
			t.Fatalf("cut at %d: %q, offset %d", n, out, r.Offset())
		}
	}
}

func TestReaderTakesOthers(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"v2", `{"version":2,"width":100,"height":30,"env":{"TERM":"xterm"}}` + "\n[1.5,\"o\",\"a\"]\n\n[2, \"o\", \"b\"]\n", "1.5s a 2s b "},
		{"v2 without final newline", `{"version":2,"width":1,"height":1}` + "\n[0.25, \"o\", \"\\u20ac\\ud83d\\ude00\"]", "250ms €😀 "},
		{"v3 with comments and unknown codes", head + "# hi\n[1e0, \"z\", \"?\"]\n[ 0.5 , \"o\" , \"a\\/\" ] \n", "1s ? 1.5s a/ "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewReader(strings.NewReader(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for {
				ev, err := r.Next()
				if err != nil {
					if err != io.EOF {
						t.Error(err)
					}
					break
				}
				got.WriteString(ev.Time.String() + " " + string(ev.Data) + " ")
			}
			if got.String() != tt.want {
				t.Errorf("got %q, want %q", got.String(), tt.want)
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	for name, file := range map[string]string{
		"no JSON":         "hello\n",
		"version 5":       `{"version":5}` + "\n",
		"no size":         `{"version":3,"term":{}}` + "\n",
		"negative time":   head + `[-1, "o", "a"]` + "\n",
		"time is text":    head + `["1", "o", "a"]` + "\n",
		"NaN":             head + `[NaN, "o", "a"]` + "\n",
		"four elements":   head + `[1, "o", "a", 1]` + "\n",
		"two elements":    head + `[1, "o"]` + "\n",
		"data no string":  head + `[1, "o", 1]` + "\n",
		"control in data": head + "[1, \"o\", \"\x01\"]\n",
		"bad UTF-8":       head + "[1, \"o\", \"\xff\"]\n",
		"leading zero":    head + `[01.000000, "o", "a"]` + "\n",
		"bad base64":      head + "#raw ***\n[1, \"o\", \"\"]\n",
		"junk":            head + "junk\n",
	} {
		_, err := replay(t, []byte(file))
		var s *SyntaxError
		if !errors.As(err, &s) {
			t.Errorf("%s: got %v, want a *SyntaxError", name, err)
		}
	}
}

func TestNothingIsAllocatedPerEvent(t *testing.T) {
	var e Encoder
	buf := make([]byte, 0, 1<<20)
	chunk := []byte(strings.Repeat("\x1b[31mrot €\x1b[0m\r\n", 100))
	bin := make([]byte, 4096)
	for i := range bin {
		bin[i] = byte(rand.N(256))
	}
	if n := testing.AllocsPerRun(100, func() {
		buf = e.AppendOutput(buf[:0], 0, chunk[:len(chunk)-1])
		buf = e.AppendOutput(buf[:0], 0, chunk[:9])
		buf = e.AppendOutput(buf[:0], 0, chunk[9:])
		buf = e.AppendOutput(buf[:0], 0, bin)
		buf = e.Flush(buf[:0], 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNewID(t *testing.T) {
	var last string
	for i := range 100 {
		id := NewID(time.UnixMilli(int64(1_700_000_000_000 + i)))
		if !spool.ValidID(id) || strings.Compare(id, last) <= 0 {
			t.Fatalf("%q after %q", id, last)
		}
		last = id
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("hello\xff\xe2\x82\xac\x00\"\\"), uint64(1))
	f.Add([]byte(strings.Repeat("é", 100)), uint64(3))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, seed))
		var e Encoder
		file := []byte(head)
		for rest := data; len(rest) > 0; {
			n := 1 + rnd.IntN(min(len(rest), 40))
			file = e.AppendOutput(file, time.Duration(rnd.Int64N(1e10)), rest[:n])
			rest = rest[n:]
		}
		strict(t, e.Flush(bytes.Clone(file), 0))
		got, err := replay(t, file)
		if err != io.EOF || !bytes.Equal(got, data) {
			t.Fatalf("got %q, %v, want %q", got, err, data)
		}
	})
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(`[0.000001, "o", "a\u20ac\ud83d\ude00\n"]`))
	f.Add([]byte(`[1e3,"x","\ud800"]`))
	f.Fuzz(func(t *testing.T, line []byte) {
		_, code, data, err := parseEvent(line, nil)
		if err != nil {
			return
		}
		var ev []any
		if err := json.Unmarshal(line, &ev); err != nil || len(ev) != 3 || ev[1] != code || ev[2] != string(data) {
			t.Fatalf("%q: got %q %q, encoding/json says %v (%v)", line, code, data, ev, err)
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(head + `[1, "o", "a"]` + "\n#raw AAAA\n"))
	f.Add([]byte("\ufeff{\n\"version\":1,\"width\":80,\"height\":24,\"stdout\":[[1,\"a\"],[2]]}"))
	f.Fuzz(func(t *testing.T, file []byte) {
		_, err := replay(t, file)
		if err == nil {
			t.Fatal("a recording without end")
		}
	})
}

func BenchmarkAppendOutput(b *testing.B) {
	random := make([]byte, 4096)
	for i := range random {
		random[i] = byte(rand.N(256))
	}
	for _, bb := range []struct {
		name  string
		chunk []byte
	}{
		{"log", []byte(strings.Repeat("Nov 21 10:00:00 web1 sshd[123]: Accepted publickey for deploy\r\n", 63))},
		{"utf8", []byte(strings.Repeat("größer als früher, 日本語のテキスト\r\n", 80))},
		{"ansi", []byte(strings.Repeat("\x1b[1;31mred\x1b[0m \x1b[10;20Hmoved\x1b[K", 120))},
		{"random", random},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var e Encoder
			buf := make([]byte, 0, 1<<20)
			b.SetBytes(int64(len(bb.chunk)))
			for b.Loop() {
				buf = e.AppendOutput(buf[:0], 0, bb.chunk)
			}
		})
	}
}
