// SPDX-License-Identifier: AGPL-3.0-or-later

package terminal

import (
	"os"
	"testing"

	"castgate/wrap/rawio"
)

// The copy loop of a session allocates nothing for what it waits for.
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
	if _, err := rawio.Write(pipe[1], []byte("x")); err != nil { // so that nobody waits
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() {
		fds := term.interest()
		_, err := rawio.Wait(fds[:])
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
