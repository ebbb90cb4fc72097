// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"errors"
	"io"
	"os"
	"testing"

	"castgate/wrap/asciicast"
)

// Recording is what a recording holds, read to its end.
type Recording struct {
	Header asciicast.Header
	Output []byte              // every byte that was shown
	Input  []byte              // every byte that was typed, as far as it was kept
	Events map[string][]string // the others, by code
	Torn   bool                // its last line was never finished
}

// ReadRecording reads the recording at path. One that is damaged fails t; one
// that is torn does not.
func ReadRecording(t testing.TB, path string) Recording {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return ParseRecording(t, f)
}

// ParseRecording does so with what it reads from f.
func ParseRecording(t testing.TB, f io.Reader) Recording {
	t.Helper()
	r, err := asciicast.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rec := Recording{Header: r.Header, Events: map[string][]string{}}
	for {
		ev, err := r.Next()
		if err != nil {
			rec.Torn = errors.Is(err, asciicast.ErrTorn)
			if err != io.EOF && !rec.Torn {
				t.Fatalf("the recording ends with %v", err)
			}
			return rec
		}
		switch ev.Code {
		case asciicast.Output:
			rec.Output = append(rec.Output, ev.Data...)
		case asciicast.Input:
			rec.Input = append(rec.Input, ev.Data...)
		default:
			rec.Events[ev.Code] = append(rec.Events[ev.Code], string(ev.Data))
		}
	}
}
