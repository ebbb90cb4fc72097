// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"castgate/upload/archive"
	"castgate/upload/bucket"
	"castgate/upload/manifest"
	"castgate/upload/target"
	"castgate/upload/uploadtest"
	"castgate/wrap/spool"
)

// liveBytes puts a recording's parts together.
func liveBytes(s *s3Server, id string) (all string, parts int) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(s.Objects)) {
		if rest, ok := strings.CutPrefix(key, "pre fix/é/.castgate/live/web1/"+id+"/"); ok {
			if rest != fmt.Sprintf("%020d", len(all)) {
				return all, -1
			}
			all += string(s.Objects[key])
			parts++
		}
	}
	return all, parts
}

func TestLiveRecordingsAreStreamedToABucket(t *testing.T) {
	b := newBench(t)
	p := uploadtest.S3Place(t, b.Bench)
	srv := p.Faults.Handler.(*s3Server)
	b.config.Targets = []TargetConfig{{S3: &p.S3}}
	b.config.Stream = true
	if err := b.config.Validate(); err != nil {
		t.Fatal(err)
	}
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
	all := ""
	for i, step := range []struct {
		write, fault string
		restart      bool
		parts        int
	}{
		{recording(header(1), body), "", false, 1},
		{"", "", false, 1},
		{body, "lost answer", false, 2},
		{body, "", false, 3}, // the part that was lost is longer now
		{body, "", true, 4},
		{body, "500", false, 4},
		{"", "", false, 5},
		{strings.Repeat(`[0.1, "o", "`+strings.Repeat("x", 60000)+`"]`+"\n", 50), "", true, 7},
	} {
		fmt.Fprint(f, step.write)
		all += step.write
		if step.restart {
			s = newStreamer(u, s.target)
		}
		if step.fault != "" {
			p.Faults.Then(step.fault)
		}
		if err := s.pass(t.Context()); (err != nil) != (step.fault != "") {
			t.Fatalf("step %d: %v", i, err)
		}
		got, parts := liveBytes(srv, testID(1))
		if parts != step.parts || !strings.HasPrefix(all, got) || step.fault == "" && got != all {
			t.Fatalf("step %d: the bucket has %d of %d bytes in %d parts, want %d", i, len(got), len(all), parts, step.parts)
		}
	}
	end := `[0.1, "x", "0"]` + "\n"
	fmt.Fprint(f, end)
	f.Close()
	if err := dir.Ready(testID(1)); err != nil {
		t.Fatal(err)
	}
	if left, err := u.Once(t.Context()); left != 0 || err != nil {
		t.Fatalf("%d left, %v\n%s", left, err, b.log)
	}
	final := 0
	for key := range srv.Objects {
		if strings.HasSuffix(key, testID(1)+manifest.CastSuffix) {
			final++
		}
	}
	if got, parts := liveBytes(srv, testID(1)); final != 1 || parts != 7 || got != all {
		t.Errorf("%d finished, %d parts", final, parts)
	}
	p.Faults.Handler = lister{S3Server: srv}
	b.tidy(uploadtest.OpenBucket(t, p.S3))
	if _, parts := liveBytes(srv, testID(1)); parts != 0 || len(srv.Objects) != 2 { // the recording and its manifest
		t.Errorf("%d parts, %d objects are left", parts, len(srv.Objects))
	}
}

// TestTwoHostsDoNotMeetInABucket has both stream a recording with one id.
func TestTwoHostsDoNotMeetInABucket(t *testing.T) {
	b := newBench(t)
	p := uploadtest.S3Place(t, b.Bench)
	to := p.Target.(target.Live)
	for _, host := range []string{"web1", "web2.example.org"} {
		part := strings.Replace(recording(header(1), body), "web1", host, 1)
		if size, err := to.PutLive(t.Context(), host, testID(1), 0, []byte(part)); err != nil || size != int64(len(part)) {
			t.Errorf("%s: %d of %d bytes, %v", host, size, len(part), err)
		}
	}
}

// tidy does with a bucket what castgate index does.
func (b *bench) tidy(from *bucket.Bucket) {
	b.t.Helper()
	store := &archive.Store{FS: from, Name: "bucket"}
	ix, err := archive.OpenIndex(b.path("index.sqlite"), true)
	if err != nil {
		b.t.Fatal(err)
	}
	defer ix.Close()
	open := func(host, id string) (io.ReadCloser, error) { return ix.Open(store, archive.Name{ID: id, Host: host}) }
	if tidied, err := from.TidyLive(b.t.Context(), open); tidied != 0 || err != nil {
		b.t.Errorf("before the index has it: %d, %v", tidied, err)
	}
	if err := ix.Update(b.t.Context(), store, false, func(err error) { b.t.Error(err) }); err != nil {
		b.t.Fatal(err)
	}
	if tidied, err := from.TidyLive(b.t.Context(), open); tidied != 1 || err != nil {
		b.t.Errorf("%d, %v", tidied, err)
	}
}
