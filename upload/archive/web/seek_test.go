// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"castgate/upload/archive"
	"castgate/upload/archive/archivetest"
	"castgate/upload/archive/screen"
	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// large is a recording of size bytes in the store, which is never in memory.
// Event n shows, after that time, what shape says: "row N" somewhere.
func (s *sample) large(size int64, shape func(n int) (time.Duration, string)) Recording {
	s.t.Helper()
	k := s.take("bob", "build1", "bob-gh")
	m := &manifest.Manifest{
		Version: 1, Session: manifest.Session(*k.header.Session), Term: manifest.Term{Cols: 100, Rows: 28},
		Start: time.Unix(k.header.Timestamp, 0).UTC(), Complete: true, Ended: manifest.EndedExit, Exit: new(int), Sequence: 1,
	}
	at := filepath.Join(s.dir, m.Path(manifest.CastSuffix))
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		s.t.Fatal(err)
	}
	f, err := os.Create(at)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	packed, plain := sha256.New(), sha256.New()
	enc, err := zstd.NewWriter(io.MultiWriter(f, packed), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		s.t.Fatal(err)
	}
	out := io.MultiWriter(enc, plain)
	for n, line := 0, k.cast(s.t); ; n++ {
		if _, err := out.Write(line); err != nil {
			s.t.Fatal(err)
		}
		if m.Cast.Bytes += int64(len(line)); m.Cast.Bytes > size {
			break
		}
		after, text := shape(n)
		k.at += after
		line = k.enc.AppendOutput(line[:0], k.at, []byte(text))
		m.Events++
	}
	if err := enc.Close(); err != nil {
		s.t.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil {
		s.t.Fatal(err)
	}
	m.End, m.Duration = m.Start.Add(k.at), manifest.Seconds(k.at)
	m.Cast.SHA256 = hex.EncodeToString(plain.Sum(nil))
	m.Stored = manifest.Stored{
		Object: manifest.Object{Bytes: st.Size(), SHA256: hex.EncodeToString(packed.Sum(nil))}, Name: m.Session.ID + manifest.CastSuffix, Encoding: "zstd",
	}
	text, err := m.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(m.Path(manifest.JSONSuffix), text)
	return Recording{Entry: archive.Entry{Manifest: m, State: manifest.StateDelivered}, Host: m.Session.Host}
}

// counted is an Archive that counts what is read of its recordings.
type counted struct {
	Archive
	read atomic.Int64
}

func (c *counted) Cast(ctx context.Context, r Recording) (io.ReadCloser, error) {
	in, err := c.Archive.Cast(ctx, r)
	return &counter{in, &c.read}, err
}

type counter struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// A seek is one segment, read from a file of its own: nothing of the recording
// is read again, and what the browser gets is bounded, at any place of it. With
// CASTGATE_BENCH_MB it is measured, for make bench-archive.
func TestSeekCostsTheSameEverywhere(t *testing.T) {
	size := int64(24 << 20)
	if os.Getenv("CASTGATE_TEST_SLOW") != "" {
		size = 500 << 20
	}
	mb := os.Getenv("CASTGATE_BENCH_MB")
	if n, err := strconv.Atoi(mb); err == nil {
		size = int64(n) << 20
	}
	long := strings.Repeat("lorem ipsum dolor ", 45) + "\r\n"
	row := func(n int) string { return fmt.Sprintf("row %09d ", n) }
	for _, tt := range []struct {
		name  string
		size  int64
		shape func(n int) (time.Duration, string)
	}{
		{"output", size, func(n int) (time.Duration, string) { return 10 * time.Millisecond, row(n) + long }},
		{"keystrokes", size / 4, func(n int) (time.Duration, string) { return time.Second, row(n) + "\r" }},
		{"at one time", size / 4, func(n int) (time.Duration, string) { return 0, row(n) + long }},
		{"within sequences", size / 4, func(n int) (time.Duration, string) {
			return time.Millisecond, []string{row(n) + "\x1b[3", "1mred\x1b[m" + long}[n%2]
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSample(t)
			if mb != "" {
				s.dir = filepath.Join(os.Getenv("CASTGATE_BENCH_DIR"), "seek")
			}
			rec := s.large(tt.size, tt.shape)
			store := &counted{Archive: s.indexed()}
			v := newVisitor(t, s.pageOf(store, tokenAuth(t, testToken))).signIn(testToken)
			look := &seeker{v: v, base: "/r/" + rec.ID() + "/play/", term: rec.Manifest.Term}
			began := time.Now()
			look.open()
			cold := time.Since(began)
			if n := store.read.Load(); n != rec.Manifest.Cast.Bytes {
				t.Fatalf("the recording has %d bytes, %d were read", rec.Manifest.Cast.Bytes, n)
			}
			var costs []int
			var took []time.Duration
			for _, place := range []float64{0, 0.1, 0.5, 0.9, 0.9999} {
				began := time.Now()
				cost, row := look.seek(place)
				took = append(took, time.Since(began))
				costs = append(costs, cost)
				if want := int(place * float64(rec.Manifest.Events-1)); tt.name != "at one time" && (row < want-1 || row > want+1) {
					t.Errorf("at %v the screen shows row %d, not %d", place, row, want)
				}
			}
			if n := store.read.Load(); n != rec.Manifest.Cast.Bytes {
				t.Errorf("%d bytes of the recording were read again", n-rec.Manifest.Cast.Bytes)
			}
			if most := slices.Max(costs); most > maxSegment+64<<10 {
				t.Errorf("bytes for each seek: %d", costs)
			}
			if mb != "" && tt.name == "output" {
				what := fmt.Sprintf("page, %d MB: ", rec.Manifest.Cast.Bytes>>20)
				archivetest.Measured(t, what+"first look ever, cut into segments", cold, archivetest.PeakMemory(t))
				for i, place := range []string{"start", "first tenth", "middle", "last tenth", "end"} {
					archivetest.Measured(t, what+"seek to the "+place, took[i], fmt.Sprintf("%d KiB", costs[i]>>10))
				}
			}
		})
	}
}

// seeker asks for what the player asks for.
type seeker struct {
	v     *visitor
	base  string
	term  manifest.Term
	index struct {
		Duration float64
		Segments []struct {
			Start float64
			URL   string
		}
	}
}

func (k *seeker) get(name string, v any) int {
	k.v.t.Helper()
	status, text := k.v.get(k.base + name)
	if err := json.Unmarshal([]byte(text), v); status != http.StatusOK || err != nil {
		k.v.t.Fatalf("%s: %d, %v", name, status, err)
	}
	return len(text)
}

func (k *seeker) open() { k.get("index.json", &k.index) }

// seek goes to a place, from 0 to 1, and returns the bytes that it took and the
// row that the screen shows last.
func (k *seeker) seek(place float64) (cost, row int) {
	k.v.t.Helper()
	t := place * k.index.Duration
	i := len(k.index.Segments) - 1
	for i > 0 && k.index.Segments[i].Start > t {
		i--
	}
	var seg struct {
		Snapshot struct {
			Cols, Rows int
			Init       string
		}
		Events [][3]any
	}
	cost = k.get(k.index.Segments[i].URL, &seg)
	s := screen.New(seg.Snapshot.Cols, seg.Snapshot.Rows)
	_, _ = s.Write([]byte(seg.Snapshot.Init))
	for _, ev := range seg.Events {
		if ev[0].(float64) > t {
			break
		}
		if ev[1] == asciicast.Output {
			_, _ = s.Write([]byte(ev[2].(string)))
		}
	}
	for _, l := range s.Text() {
		if strings.Contains(l, "1mred") {
			k.v.t.Errorf("a sequence that the segment cut: %q", l)
		}
		if _, n, ok := strings.Cut(l, "row "); ok {
			row, _ = strconv.Atoi(n[:9])
		}
	}
	return cost, row
}
