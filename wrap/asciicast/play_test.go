// SPDX-License-Identifier: AGPL-3.0-or-later

package asciicast

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// cast is a small recording: an event at each of 0, 1, 2 ... seconds.
func cast(data ...string) string {
	var b strings.Builder
	b.WriteString(`{"version":3,"term":{"cols":80,"rows":24}}` + "\n")
	for i, d := range data {
		text, _ := json.Marshal(d)
		fmt.Fprintf(&b, "[%d.000000, \"o\", %s]\n", min(i, 1), text)
	}
	return b.String()
}

func opener(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

// paper is a Screen that keeps everything, so that its painting tells what was
// run through it.
type paper struct{ bytes.Buffer }

func (p *paper) Resize(cols, rows int)       { fmt.Fprintf(p, "<%dx%d>", cols, rows) }
func (p *paper) AppendPaint(b []byte) []byte { return append(b, p.Bytes()...) }

func newPaper(int, int) Screen { return &paper{} }

// stamped notes when each write came.
type stamped struct {
	start time.Time
	got   []string
}

func (s *stamped) Write(p []byte) (int, error) {
	text := strings.NewReplacer("\x1b[?2026l", "", "\x1b7\x1b[r\x1b8\x1b[4l\x1b[?7h\x1b[?25h\x1b[m", "", "\x1b[!p\x1b[H\x1b[2J", "CLEAR").Replace(string(p))
	s.got = append(s.got, fmt.Sprintf("%v %s", time.Since(s.start), text))
	return len(p), nil
}

func TestPlayWithoutSpeedNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var out bytes.Buffer
		p := Player{Open: opener(cast("a", "\x1b]0;x\x07b", "\xc3\xa9")), Out: &out}
		if err := p.Play(t.Context()); err != nil || out.String() != "abé" || time.Since(start) != 0 {
			t.Errorf("got %q after %v, %v", out.String(), time.Since(start), err)
		}
		out.Reset()
		p.Raw = true
		if err := p.Play(t.Context()); err != nil || out.String() != "a\x1b]0;x\x07bé" {
			t.Errorf("raw: got %q, %v", out.String(), err)
		}
	})
}

func TestPlayTimes(t *testing.T) {
	five := cast("a", "b", "c", "d", "e")
	idle := strings.Replace(five, `"term"`, `"idle_time_limit":0.5,"term"`, 1)
	resized := strings.Replace(five, `"o", "b"`, `"r", "90x30"`, 1)
	type press struct {
		at  time.Duration
		key string
	}
	for _, tt := range []struct {
		name   string
		player Player
		cast   string
		keys   []press
		want   string
	}{
		{"as it was", Player{Speed: 1}, five, nil, "0s a, 1s b, 2s c, 3s d, 4s e"},
		{"twice as fast", Player{Speed: 2}, five, nil, "0s a, 500ms b, 1s c, 1.5s d, 2s e"},
		{"idle limit", Player{Speed: 1, Idle: 100 * time.Millisecond}, five, nil, "0s a, 100ms b, 200ms c, 300ms d, 400ms e"},
		{"idle limit of the header", Player{Speed: 1}, idle, nil, "0s a, 500ms b, 1s c, 1.5s d, 2s e"},
		{"start", Player{Speed: 1, Start: 2500 * time.Millisecond}, five, nil, "0s CLEAR, 0s abc, 500ms d, 1.5s e"},
		{"start behind the end", Player{Speed: 1, Start: time.Hour}, five, nil, "0s CLEAR, 0s abcde"},
		{"the screen follows the size", Player{Speed: 1, Start: 2 * time.Second}, resized, nil, "0s CLEAR, 0s a<90x30>c, 1s d, 2s e"},
		{
			"pause",
			Player{Speed: 1},
			five,
			[]press{{1500 * time.Millisecond, " "}, {10 * time.Second, " "}},
			"0s a, 1s b, 10.5s c, 11.5s d, 12.5s e",
		},
		{
			"step",
			Player{Speed: 1},
			five,
			[]press{{1500 * time.Millisecond, "."}, {1600 * time.Millisecond, "."}, {5 * time.Second, " "}},
			"0s a, 1s b, 1.5s c, 1.6s d, 6s e",
		},
		{
			"faster within a wait",
			Player{Speed: 1},
			five,
			[]press{{1500 * time.Millisecond, "+"}},
			"0s a, 1s b, 1.75s c, 2.25s d, 2.75s e",
		},
		{
			"slower while paused",
			Player{Speed: 1},
			five,
			[]press{{1500 * time.Millisecond, " "}, {1600 * time.Millisecond, "-"}, {2 * time.Second, "p"}},
			"0s a, 1s b, 3s c, 5s d, 7s e",
		},
		{
			"back to the start and quit",
			Player{Speed: 1},
			five,
			[]press{{2500 * time.Millisecond, "\x1b[H"}, {3 * time.Second, "q"}},
			"0s a, 1s b, 2s c, 2.5s CLEAR, 2.5s a",
		},
		{
			"back and forward by arrows",
			Player{Speed: 1},
			five,
			[]press{{2500 * time.Millisecond, "\x1b[D"}, {2600 * time.Millisecond, "\x1bOC"}},
			"0s a, 1s b, 2s c, 2.5s CLEAR, 2.5s a, 2.6s CLEAR, 2.6s abcde",
		},
		{"end", Player{Speed: 1}, five, []press{{100 * time.Millisecond, "G"}}, "0s a, 100ms CLEAR, 100ms abcde"},
		{
			"unknown keys",
			Player{Speed: 1},
			cast("a", "b"),
			[]press{{100 * time.Millisecond, "\x1b[200~x\x1b"}},
			"0s a, 1s b",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := stamped{start: time.Now()}
				keys := make(chan Action)
				p := tt.player
				p.Open, p.Out, p.Keys, p.Screen = opener(tt.cast), &out, keys, newPaper
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					for _, k := range tt.keys {
						time.Sleep(k.at - time.Since(out.start))
						for _, a := range ParseKeys([]byte(k.key)) {
							select {
							case keys <- a:
							case <-ctx.Done():
							}
						}
					}
				}()
				err := p.Play(ctx)
				cancel()
				if got := strings.Join(out.got, ", "); err != nil || got != tt.want {
					t.Errorf("%v\n got %s\nwant %s", err, got, tt.want)
				}
			})
		})
	}
}

func TestPlayFaults(t *testing.T) {
	whole := cast("a", "b")
	for _, tt := range []struct {
		name, cast, want string
		syntax           bool
	}{
		{"torn", strings.Replace(whole, `"term"`, `"castgate":{},"term"`, 1) + `[1.0, "o", "c`, "ab", false},
		{"a line that is none", whole + "nonsense\n", "ab", true},
		{"no recording", "hello\n", "", true},
	} {
		var out bytes.Buffer
		err := (&Player{Open: opener(tt.cast), Out: &out}).Play(t.Context())
		var s *SyntaxError
		if out.String() != tt.want || errors.As(err, &s) != tt.syntax {
			t.Errorf("%s: %q, %v", tt.name, out.String(), err)
		}
	}
	want := errors.New("no such file")
	p := Player{Open: func() (io.ReadCloser, error) { return nil, want }}
	if err := p.Play(t.Context()); !errors.Is(err, want) {
		t.Errorf("open: %v", err)
	}
}

// untilSeen calls then as soon as seen has been written.
type untilSeen struct {
	bytes.Buffer
	seen string
	then func()
}

func (w *untilSeen) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.seen) {
		w.then()
	}
	return n, err
}

func TestPlayGivesTheTerminalBack(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := untilSeen{seen: "\x1b[?1049h", then: cancel}
	keys := make(chan Action) // never used: the recording is silent after its first event
	p := Player{Open: opener(cast("\x1b[?1049h", "b")), Out: &out, Speed: 1e-6, Tidy: true, Keys: keys, Raw: true}
	if err := p.Play(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "\x1b[?1049l") {
		t.Errorf("still in the alternate screen: %q", out.String())
	}
}

// Going back in a large recording must not lose or repeat anything, wherever
// the frames are.
func TestSeekThroughFrames(t *testing.T) {
	var b strings.Builder
	b.WriteString(cast())
	line := strings.Repeat("x", 64<<10)
	const events = 400 // 25 MiB: three frames
	for i := range events {
		fmt.Fprintf(&b, "[1.000000, \"o\", \"%s%03d,\"]\n", line, i)
	}
	s := &show{Player: &Player{Open: opener(b.String()), Out: io.Discard, Screen: newDigits, Speed: 1, Keys: make(chan Action)}, speed: 1}
	if err := s.open(frame{}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []int{390, 140, 5, 270, 269, 399} {
		if err := s.seek(t.Context(), time.Duration(to)*time.Second); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		var want strings.Builder
		for i := range to {
			fmt.Fprintf(&want, "%03d,", i)
		}
		if got := s.screen.(*digits).String(); got != want.String() {
			t.Fatalf("at %d s the screen has seen %d bytes, want %d", to, len(got), want.Len())
		}
	}
	if len(s.frames) != 3 {
		t.Errorf("%d frames, want 3", len(s.frames))
	}
	s.src.stop()
}

// digits is paper without the filling.
type digits struct{ paper }

func newDigits(int, int) Screen { return &digits{} }

func (d *digits) Write(p []byte) (int, error) {
	return d.paper.Write(bytes.ReplaceAll(p, []byte("x"), nil))
}

func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.cast")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	whole := cast("old1 ", "old2 ", "new1 ", "new2 ")
	lines := slices.Collect(strings.Lines(whole))
	fmt.Fprint(file, strings.Join(lines[:3], ""), lines[3][:8]) // the third event is half written
	ended := make(chan struct{})
	out, in := io.Pipe()
	p := Player{
		Open: func() (io.ReadCloser, error) {
			f, err := os.Open(path)
			return &Tail{f, func() bool {
				select {
				case <-ended:
					return true
				default:
					return false
				}
			}}, err
		},
		Out: in, Screen: newPaper, Speed: 1, Follow: true,
	}
	done := make(chan error)
	go func() {
		done <- p.Play(t.Context())
		in.Close()
	}()
	expect := func(want string) {
		t.Helper()
		var got []byte
		buf := make([]byte, 100)
		for !strings.HasSuffix(string(got), want) {
			n, err := out.Read(buf)
			if err != nil {
				t.Fatalf("want %q, got %q, %v", want, got, err)
			}
			got = append(got, buf[:n]...)
		}
	}
	expect("old1 old2 ")
	fmt.Fprint(file, lines[3][8:])
	expect("new1 ")
	fmt.Fprint(file, lines[4])
	close(ended)
	expect("new2 ")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(" q\x1b[A\x1bOB\x1b[200~x\x1b"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if n := len(ParseKeys(in)); n > len(in) {
			t.Fatalf("%d keys in %d bytes", n, len(in))
		}
	})
}
