// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !race

// One pass of the tests is enough to wait for a server that must be built.

package target_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"castgate/upload/archive/receive"
	"castgate/upload/bucket"
	"castgate/upload/client"
	"castgate/upload/manifest"

	. "castgate/upload/target"
	. "castgate/upload/uploadtest"
)

func TestTheRealS3TakesIt(t *testing.T) {
	onRealS3(t, func(t *testing.T, s realServer) {
		realS3TakesIt(t, s, false)
		if s.locks {
			realS3TakesIt(t, s, true)
		}
	})
}

func realS3TakesIt(t *testing.T, s realServer, locked bool) {
	b := New(t)
	b.Signing()
	s3 := s.start(t, b, locked)
	h := Header(1)
	h.Session.User = `CORP\bob é+x`
	d := b.Packed(Recording(h, Body))
	first, err := s3.Deliver(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s3.Deliver(t.Context(), d); err != nil || again != first {
		t.Errorf("again: %+v, %v", again, err)
	}
	for _, o := range d.Objects() {
		got, err := s3.fetch(t.Context(), "pre fix/é/"+d.Manifest.Path(o.Suffix()))
		if err != nil || manifest.Hash(got) != o.SHA256 {
			t.Errorf("%s: %v, SHA-256 %s", o.Suffix(), err, manifest.Hash(got))
		}
	}
	other := *d.Manifest
	o := InMemory("", []byte("other bytes"))
	if _, err := s3.bucket.Store(t.Context(), other.Path(manifest.CastSuffix), o.Object); !client.IsRefused(err) {
		t.Errorf("other bytes: %v", err)
	}
	if locked {
		s3.lock(t, "pre fix/é/"+d.Manifest.Path(manifest.CastSuffix))
	}
	b.Put("s3-credentials", "aws_access_key_id=testkey\naws_secret_access_key=wrong\n")
	if _, err := s3.Deliver(t.Context(), d); err == nil || client.IsRefused(err) {
		t.Errorf("wrong secret: %v", err)
	}
}

// TestTheRealS3TakesAVirtualHost has the bucket in the host's name.
func TestTheRealS3TakesAVirtualHost(t *testing.T) {
	b := New(t)
	path := realServers[0].start(t, b, false)
	c := path.c
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c.PathStyle, c.Endpoint = false, strings.Replace(c.Endpoint, "127.0.0.1", "localhost", 1)
	store := OpenBucket(t, c)
	if want := "recordings.localhost:" + u.Port() + "/pre fix/é"; store.String() != want {
		t.Fatalf("the bucket is %v", store)
	}
	store.Client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	}}}
	s3 := OfBucket(store)
	d := b.Packed(Whole(1))
	if _, err := s3.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got, err := path.fetch(t.Context(), "pre fix/é/"+d.Manifest.Path(manifest.CastSuffix)); err != nil || manifest.Hash(got) != d.Manifest.Stored.SHA256 {
		t.Errorf("by the path: %v", err)
	}
}

func TestTheRealS3TakesParts(t *testing.T) { onRealS3(t, realS3TakesParts) }

func realS3TakesParts(t *testing.T, s realServer) {
	b := New(t)
	s3 := s.start(t, b, false)
	const each = 5 << 20 // the least that S3 takes
	s3.bucket.Parts = bucket.Parts{From: each, Each: each}
	data := make([]byte, 3*each+1234)
	_, _ = rand.Read(data)
	o := InMemory("", data).Object
	// The third part is cut off.
	broken := o
	opens := 0
	broken.Open = func() (io.ReadSeekCloser, error) {
		if opens++; opens == 4 { // once for the sums, then part by part
			return nil, errors.New("cut")
		}
		return o.Open()
	}
	if _, err := s3.bucket.Store(t.Context(), "big", broken); err == nil {
		t.Fatal("the cut try says that all is well")
	}
	if _, err := s3.bucket.Store(t.Context(), "big", o); err != nil {
		t.Fatal(err)
	}
	got, err := s3.fetch(t.Context(), "pre fix/é/big")
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := s3.bucket.Store(t.Context(), "big", o); err != nil {
		t.Errorf("again: %v", err)
	}
	if _, err := s3.bucket.Store(t.Context(), "big", InMemory("", data[1:]).Object); !client.IsRefused(err) {
		t.Errorf("other bytes: %v", err)
	}
}

func TestTheRealS3TakesTickets(t *testing.T) { onRealS3(t, realS3TakesTickets) }

func realS3TakesTickets(t *testing.T, s realServer) {
	b := New(t)
	signs := s.start(t, b, s.locks)
	c := signs.c
	c.CredentialsFile, c.Retain = "", 0
	dir, err := receive.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := ServeArchiveWith(t, b, "web1", dir, func(r *receive.Server) http.Handler {
		r.Tickets = signs.bucket
		return r
	})
	c.Ticket = &a
	target, err := (Config{S3: &c}).New()
	if err != nil {
		t.Fatal(err)
	}
	h := Header(1)
	h.Session.User = `CORP\bob é+x`
	d := b.Packed(Recording(h, Body))
	first, err := target.Deliver(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := target.Deliver(t.Context(), d); err != nil || again != first {
		t.Errorf("again: %+v, %v", again, err)
	}
	key := "pre fix/é/" + d.Manifest.Path(manifest.CastSuffix)
	got, err := signs.fetch(t.Context(), key)
	if err != nil || manifest.Hash(got) != d.Manifest.Stored.SHA256 {
		t.Errorf("%v, SHA-256 %s", err, manifest.Hash(got))
	}
	if s.locks {
		signs.lock(t, key)
	}
	ticket := target.(*TicketTarget)
	if _, err := ticket.Store(t.Context(), d.Manifest, InMemory(manifest.CastSuffix, []byte("other bytes"))); !client.IsRefused(err) {
		t.Errorf("other bytes: %v", err)
	}
	if !s.locks { // nor does it list the sums of parts, by which the archive knows what is missing
		return
	}
	// And in parts, of the least size that S3 takes.
	const each = 5 << 20
	signs.bucket.Parts = bucket.Parts{From: each, Each: each}
	BucketOf(ticket).Parts = signs.bucket.Parts
	data := make([]byte, 2*each+1234)
	_, _ = rand.Read(data)
	m := *d.Manifest
	m.Session.ID = ID(2)
	o := InMemory(manifest.CastSuffix, data)
	for range 2 {
		if _, err := ticket.Store(t.Context(), &m, o); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := signs.fetch(t.Context(), "pre fix/é/"+m.Path(manifest.CastSuffix)); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := ticket.Store(t.Context(), &m, InMemory(manifest.CastSuffix, data[1:])); !client.IsRefused(err) {
		t.Errorf("other bytes in parts: %v", err)
	}
}

func TestTheRealS3TakesLiveParts(t *testing.T) { onRealS3(t, realS3TakesLiveParts) }

func realS3TakesLiveParts(t *testing.T, s realServer) {
	b := New(t)
	s3 := s.start(t, b, s.locks)
	for _, step := range []struct {
		offset, want int64
		data         string
	}{{0, 4, "one\n"}, {4, 8, "two\n"}, {0, 8, "one\ntwo\n"}, {4, 8, "two\nthree\n"}, {8, 14, "three\n"}} {
		if size, err := s3.PutLive(t.Context(), "web1", ID(1), step.offset, []byte(step.data)); err != nil || size != step.want {
			t.Fatalf("%+v: %d, %v", step, size, err)
		}
	}
}

// TestTheRealS3LosesLiveParts tidies a bucket that locks everything: what was
// deleted is still there for who asks for its version.
func TestTheRealS3LosesLiveParts(t *testing.T) { onRealS3(t, realS3LosesLiveParts) }

func realS3LosesLiveParts(t *testing.T, s realServer) {
	b := New(t)
	s3 := s.start(t, b, s.locks)
	text := Recording(Header(1), strings.Repeat(Body, 20))
	for _, at := range []int{0, 100} {
		if _, err := s3.PutLive(t.Context(), "web1", ID(1), int64(at), []byte(text[at:at+100])); err != nil {
			t.Fatal(err)
		}
	}
	bucket := s3.bucket
	other := "[" + text[1:]
	if tidied, err := bucket.TidyLive(t.Context(), finished(other)); tidied != 0 || err == nil {
		t.Errorf("another recording: %d, %v", tidied, err)
	}
	for _, want := range []int{1, 0} {
		if tidied, err := bucket.TidyLive(t.Context(), finished(text)); tidied != want || err != nil {
			t.Errorf("%d, %v; want %d", tidied, err, want)
		}
	}
	if size, err := s3.bucket.LiveSize(t.Context(), "web1", ID(1)); size != 0 || err != nil {
		t.Errorf("%d bytes, %v", size, err)
	}
	if !s.locks {
		return
	}
	versions := 0
	for o := range s3.direct.ListObjectsIter(t.Context(), s3.c.Bucket, minio.ListObjectsOptions{Prefix: "pre fix/é/.castgate/live/web1/" + ID(1), Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if !o.IsDeleteMarker {
			versions++
		}
	}
	if versions != 2 {
		t.Errorf("%d versions", versions)
	}
}

// finished opens the one recording that came whole.
func finished(text string) func(host, id string) (io.ReadCloser, error) {
	return func(string, string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}
