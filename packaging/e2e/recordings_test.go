// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"castgate/packaging/hosttest"
	"castgate/wrap/asciicast"
)

const spoolDir = "/var/spool/castgate"

// recording is one file of the spool, read to its end.
type recording struct {
	path   string
	header asciicast.Header
	output []byte // every byte that was shown
	input  []byte
	sizes  []string
	marks  []string
	exit   string // "" when the recorder never wrote one
	torn   bool
}

func readRecording(t *testing.T, path string) recording {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := asciicast.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	rec := recording{path: path, header: r.Header}
	for {
		e, err := r.Next()
		if err != nil {
			rec.torn = errors.Is(err, asciicast.ErrTorn)
			if err != io.EOF && !rec.torn {
				t.Fatalf("%s: %v", path, err)
			}
			return rec
		}
		switch e.Code {
		case asciicast.Output:
			rec.output = append(rec.output, e.Data...)
		case asciicast.Input:
			rec.input = append(rec.input, e.Data...)
		case asciicast.Resize:
			rec.sizes = append(rec.sizes, string(e.Data))
		case asciicast.Marker:
			rec.marks = append(rec.marks, string(e.Data))
		case asciicast.Exit:
			rec.exit = string(e.Data)
		}
	}
}

func in(t *testing.T, sub string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(spoolDir, sub, "*.cast"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// finished waits until nothing is recorded any more, returns what has been
// and empties the spool. It wants exactly n recordings.
func finished(t *testing.T, n int) []recording {
	t.Helper()
	hosttest.WaitFor(t, "every recording to be finished", func() bool {
		return len(in(t, "live")) == 0 && len(in(t, "incoming")) >= n
	})
	var out []recording
	for _, path := range in(t, "incoming") {
		out = append(out, readRecording(t, path))
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if len(out) != n {
		t.Fatalf("%d recordings, want %d", len(out), n)
	}
	return out
}

// forget empties the spool.
func forget(t *testing.T) {
	t.Helper()
	for _, sub := range []string{"live", "incoming", "bad"} {
		for _, path := range in(t, sub) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// holds reports whether shown is the beginning of what was recorded.
func (r recording) holds(shown []byte) bool { return bytes.HasPrefix(r.output, shown) }
