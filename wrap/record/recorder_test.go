// SPDX-License-Identifier: AGPL-3.0-or-later

package record

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
