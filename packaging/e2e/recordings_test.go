// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"bytes"
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
	r := hosttest.ReadRecording(t, path)
	rec := recording{
		path: path, header: r.Header, output: r.Output, input: r.Input, torn: r.Torn,
		sizes: r.Events[asciicast.Resize], marks: r.Events[asciicast.Marker],
	}
	if exits := r.Events[asciicast.Exit]; len(exits) > 0 {
		rec.exit = exits[len(exits)-1]
	}
	return rec
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
