// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"castgate/wrap/asciicast"
)

// castgate-wrap never collects garbage: what an event left behind would stay
// for the length of the session.
func TestNothingIsAllocatedPerEvent(t *testing.T) {
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "x.cast"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &Recorder{FD: int(f.Fd()), Start: time.Now()}
	if err := r.Begin(asciicast.Header{}); err != nil {
		t.Fatal(err)
	}
	p := []byte("a line of output, größer als früher\r\n")
	if n := testing.AllocsPerRun(1000, func() {
		if r.Output(p) != nil || r.Input(p) != nil || r.Resize(80, 24) != nil {
			t.Error(r.Err())
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if shown, events, _ := r.Counts(); shown == 0 || events < 3000 {
		t.Errorf("%d bytes in %d events", shown, events)
	}
}

// Nor does the copy loop of a session allocate for what it waits for.
func TestNothingIsAllocatedPerWait(t *testing.T) {
	var pipe [2]int
	for i, f := range openPipe(t) {
		pipe[i] = int(f.Fd())
	}
	w, err := NewWaker()
	if err != nil {
		t.Fatal(err)
	}
	term := &Terminal{Outer: Outer{In: pipe[0], Out: pipe[1], Wake: w}, master: pipe[0]}
	flow := &flow{src: pipe[0], dst: pipe[1], buf: make([]byte, 16), record: func([]byte) error { return nil }}
	if _, err := writeFD(pipe[1], []byte("x")); err != nil { // so that nobody waits
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() {
		fds := term.interest()
		_, err := wait(fds[:])
		src, dst := flow.interest()
		if err != nil || flow.move(src.Events, dst.Events) != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func openPipe(t *testing.T) []*os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return []*os.File{r, w}
}
