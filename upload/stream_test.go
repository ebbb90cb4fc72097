// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"castgate/upload/target"
	"castgate/upload/uploadtest"
	"castgate/wrap/spool"
)

func TestLiveRecordingsAreStreamed(t *testing.T) {
	b := newBench(t)
	c, store := uploadtest.RealArchive(t, b.Bench, "web1")
	b.config.Targets = []TargetConfig{{Archive: &c}}
	b.config.Stream = true
	u := b.open()
	s := newStreamer(u, u.targets[u.names[0]].(target.Live))
	dir, err := spool.Open(b.config.Spool)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	f, err := dir.Create(testID(1))
	if err != nil {
		t.Fatal(err)
	}
	parts := filepath.Join(store, ".castgate/live/web1", testID(1)+".cast")
	all := ""
	for _, step := range []struct{ write, sent string }{
		{"", ""},
		{recording(header(1), body), recording(header(1), body)},
		{"", ""},
		{`[0.1, "o", "half a l`, ""}, // no part of a line
		{`ine"]` + "\n", `[0.1, "o", "half a line"]` + "\n"},
		{strings.Repeat(`[0.1, "o", "`+strings.Repeat("x", 60000)+`"]`+"\n", 50), strings.Repeat(`[0.1, "o", "`+strings.Repeat("x", 60000)+`"]`+"\n", 50)},
	} {
		fmt.Fprint(f, step.write)
		if err := s.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		all += step.sent
		if got, _ := os.ReadFile(parts); string(got) != all {
			t.Fatalf("after %.40q the archive has %d bytes, want %d", step.write, len(got), len(all))
		}
	}
	// The archive lost the end, and we were restarted.
	if err := os.Truncate(parts, int64(len(recording(header(1), body)))); err != nil {
		t.Fatal(err)
	}
	for range 2 { // by what it remembers, and from the start
		if err := s.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, body)
		all += body
		if err := s.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(parts); string(got) != all {
			t.Fatalf("the archive has %d bytes, want %d", len(got), len(all))
		}
		s = newStreamer(u, s.target)
	}
	fmt.Fprint(f, `[0.1, "x", "0"]`+"\n")
	f.Close()
	if err := dir.Ready(testID(1)); err != nil {
		t.Fatal(err)
	}
	if left, err := u.Once(t.Context()); left != 0 || err != nil {
		t.Fatalf("%d left, %v\n%s", left, err, b.log)
	}
	if _, err := os.Stat(parts); !os.IsNotExist(err) {
		t.Errorf("the parts are still there: %v", err)
	}
	if len(s.sent) != 0 {
		if err := s.pass(t.Context()); err != nil || len(s.sent) != 0 {
			t.Errorf("remembers %v, %v", s.sent, err)
		}
	}
}

func TestAForgedLiveRecordingIsNotStreamed(t *testing.T) {
	b := newBench(t)
	c, store := uploadtest.RealArchive(t, b.Bench, "web1")
	b.config.Targets = []TargetConfig{{Archive: &c}}
	u := b.open()
	h := header(1)
	h.Session.UID++
	b.put("spool/live/"+testID(1)+".cast", recording(h, body))
	s := newStreamer(u, u.targets[u.names[0]].(target.Live))
	if err := s.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := filepath.Glob(store + "/.castgate/live/*/*"); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
}

func TestAStreamingUploaderStays(t *testing.T) {
	b := newBench(t)
	c, _ := uploadtest.RealArchive(t, b.Bench, "web1")
	b.config.Targets = []TargetConfig{{Archive: &c}}
	b.config.Stream = true
	u := b.open()
	ctx, cancel := context.WithTimeout(t.Context(), linger+500*time.Millisecond)
	defer cancel()
	if err := u.Drain(ctx); err != nil && !errors.Is(err, ErrStopped) {
		t.Error(err)
	}
	if ctx.Err() == nil {
		t.Error("it ended by itself")
	}
	b.config.Targets = append(b.config.Targets, TargetConfig{Dir: &DirConfig{Path: b.path("archive")}})
	if err := b.config.Validate(); err != nil {
		t.Error(err)
	}
	b.config.Targets = b.config.Targets[1:]
	if err := b.config.Validate(); err == nil {
		t.Error("streaming to nowhere is taken")
	}
}
