// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"castgate/upload/archive"
	"castgate/upload/archive/receive"
	"castgate/upload/archive/web"
	"castgate/upload/bucket"
	"castgate/upload/client"
	"castgate/upload/manifest"
	"castgate/upload/target"
	"castgate/upload/uploadtest"
)

// door is one of the servers before the bucket.
func door(t *testing.T, b *bench, store *bucket.Bucket) (c ArchiveConfig, side string) {
	t.Helper()
	side = t.TempDir()
	dir, err := receive.OpenBucket(side, store)
	if err != nil {
		t.Fatal(err)
	}
	return uploadtest.ServeArchive(t, b.Bench, "web1", dir), side
}

// filesIn lists the files below a directory.
func filesIn(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, strings.TrimPrefix(p, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestServersBeforeOneBucket(t *testing.T) {
	b := newBench(t)
	b.config.SigningKey = b.path("key")
	newKey(t, b.config.SigningKey)
	srv, bucket := uploadtest.Bucket(t, b.Bench)
	one, sideOne := door(t, b, bucket)
	two, sideTwo := door(t, b, bucket)

	b.config.Targets = []TargetConfig{{Archive: &one}}
	b.incoming(1, whole(1))
	h := header(2)
	h.Session.User = `CORP\bob é`
	b.incoming(2, recording(h, body))
	if left := b.once(); left != 0 {
		t.Fatalf("%d left\n%s", left, b.log)
	}
	if len(srv.Objects) != 6 || len(srv.Locks) != 6 {
		t.Errorf("%d objects, %d of them locked", len(srv.Objects), len(srv.Locks))
	}
	n := 0
	faults, err := (&manifest.Verifier{}).All(bucket, func(string, *manifest.Manifest, []manifest.Fault) { n++ })
	if err != nil || len(faults) > 0 || n != 2 {
		t.Errorf("%d recordings, %v, %v", n, faults, err)
	}

	d := b.packed(3, whole(3))
	var receipts []Receipt
	for _, c := range []ArchiveConfig{one, two, one} {
		target := newArchive(t, c)
		r, err := target.Deliver(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
	}
	if receipts[0] != receipts[2] || receipts[0].SHA256 != receipts[1].SHA256 {
		t.Errorf("receipts %+v", receipts)
	}
	if strings.Count(b.Served.String(), `what="there already"`) != 6 {
		t.Errorf("not all was there already at the second and third delivery:\n%s", b.Served.String())
	}
	key := "pre fix/" + d.Manifest.Path(manifest.CastSuffix)
	srv.Objects[key], srv.Sums[key] = []byte("other"), "" // as somebody with the bucket's credentials could
	target := newArchive(t, two)
	if _, err := target.Deliver(t.Context(), d); !client.IsRefused(err) || !strings.Contains(err.Error(), "409") {
		t.Errorf("other bytes: %v", err)
	}
	if got := string(srv.Objects[key]); got != "other" {
		t.Errorf("an object was replaced by %d bytes", len(got))
	}
	for _, side := range []string{sideOne, sideTwo} {
		if left := filesIn(t, side); len(left) > 0 {
			t.Errorf("left at the side of the bucket: %q", left)
		}
	}
}

// TestBucketThatFails: what the bucket did not take has no receipt, and a
// later try has.
func TestBucketThatFails(t *testing.T) {
	b := newBench(t)
	srv, bucket := uploadtest.Bucket(t, b.Bench)
	c, side := door(t, b, bucket)
	target := newArchive(t, c)
	d := b.packed(1, whole(1))
	srv.Secret = "another"
	if _, err := target.Deliver(t.Context(), d); err == nil || client.IsRefused(err) || !strings.Contains(err.Error(), "500") {
		t.Errorf("without access to the bucket: %v", err)
	}
	if strings.Contains(b.Served.String(), "what=stored") || len(srv.Objects) > 0 || len(filesIn(t, side)) > 0 {
		t.Errorf("%d objects, %q\n%s", len(srv.Objects), filesIn(t, side), b.Served.String())
	}
	srv.Secret = "testsecret"
	if _, err := target.Deliver(t.Context(), d); err != nil {
		t.Error(err)
	}
}

// TestPartsOfAnotherServer: parts came to one server, the whole to another.
func TestPartsOfAnotherServer(t *testing.T) {
	b := newBench(t)
	_, bucket := uploadtest.Bucket(t, b.Bench)
	one, side := door(t, b, bucket)
	two, _ := door(t, b, bucket)
	b.live(one, 1, whole(1))
	b.live(one, 2, whole(2))
	target := newArchive(t, two)
	if _, err := target.Deliver(t.Context(), b.packed(1, whole(1))); err != nil {
		t.Fatal(err)
	}
	name := func(n int) string { return "/.castgate/live/web1/" + testID(n) + ".cast" }
	b.live(one, 3, whole(3))
	if got := filesIn(t, side); len(got) != 3 {
		t.Errorf("young parts were taken away: %q", got)
	}
	old := time.Now().Add(-2 * time.Hour)
	for n := range 3 {
		if err := os.Chtimes(side+name(n+1), old, old); err != nil {
			t.Fatal(err)
		}
	}
	b.live(one, 4, whole(4))
	want := fmt.Sprint([]string{name(2), name(3), name(4)})
	if got := fmt.Sprint(filesIn(t, side)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// live sends recording n as its first part.
func (b *bench) live(c ArchiveConfig, n int, text string) {
	b.t.Helper()
	to := newArchive(b.t, c).(target.Live)
	if size, err := to.PutLive(b.t.Context(), "web1", testID(n), 0, []byte(text)); err != nil || size != int64(len(text)) {
		b.t.Fatalf("part of %d: %d bytes, %v", n, size, err)
	}
}

// TestPageOfABucket lists, finds, reads and proves what is in the bucket.
func TestPageOfABucket(t *testing.T) {
	b := newBench(t)
	b.config.SigningKey = b.path("key")
	newKey(t, b.config.SigningKey)
	srv, bucket := uploadtest.Bucket(t, b.Bench)
	c, side := door(t, b, bucket)
	b.config.Targets = []TargetConfig{{Archive: &c}}
	b.incoming(1, whole(1))
	b.incoming(2, whole(2))
	if left := b.once(); left != 0 {
		t.Fatalf("%d left\n%s", left, b.log)
	}
	b.live(c, 3, whole(3)) // it has ended, but is not delivered yet

	dir, err := web.OpenBucket(side, bucket)
	if err != nil {
		t.Fatal(err)
	}
	index, err := archive.OpenIndex(b.path("index.sqlite"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	store := &archive.Store{FS: bucket, Name: "s3://recordings"}
	page := &web.Indexed{Directory: dir, Index: index, Store: store}
	if _, err := page.Get(t.Context(), testID(2)); err != nil {
		t.Errorf("before it is in the index: %v", err)
	}
	if err := index.Update(t.Context(), store, false, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	rows, err := page.List(t.Context(), web.Query{Scope: archive.Everything(), Limit: 10})
	if err != nil || len(rows) != 3 || rows[0].State != manifest.StateWaiting || !rows[1].Signed {
		t.Fatalf("%+v, %v", rows, err)
	}
	in, err := page.Cast(t.Context(), rows[2])
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if text, err := io.ReadAll(in); err != nil || !bytes.Contains(text, []byte("hello")) {
		t.Errorf("%q, %v", text, err)
	}
	if proof, err := page.Verify(t.Context(), rows[2]); err != nil || !proof.OK {
		t.Errorf("%+v, %v", proof, err)
	}
	key := "pre fix/" + rows[1].Manifest.Path(manifest.CastSuffix)
	srv.Objects[key] = srv.Objects[key][1:]
	if proof, err := page.Verify(t.Context(), rows[1]); err != nil || proof.OK {
		t.Errorf("a changed object is proved: %+v, %v", proof, err)
	}
	if _, err := web.OpenAudit(filepath.Join(side, receive.SideDir, "audit"), slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}
