// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !race

// What is measured here would be the race detector's own memory and time.

package upload

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"castgate/upload/archive/receive"
	"castgate/upload/manifest"
	"castgate/upload/uploadtest"
)

// bigSize is 2 GiB, or 64 MiB outside of `make test-all`.
func bigSize() int64 {
	if os.Getenv("CASTGATE_TEST_SLOW") == "1" {
		return 2 << 30
	}
	return 64 << 20
}

// constantMemory holds what the process takes from the system during do to a
// bound that does not depend on the size.
func constantMemory(t *testing.T, do func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	if grown := int64(after.Sys) - int64(before.Sys); grown > 64<<20 {
		t.Errorf("%d MiB took %d MiB of memory", bigSize()>>20, grown>>20)
	}
}

// bigCast writes a recording of that size.
func bigCast(w io.Writer, size int64) error {
	out := bufio.NewWriterSize(w, 64<<10)
	fmt.Fprint(out, recording(header(1), ""))
	line := `[0.000100, "o", "` + strings.Repeat("all work and no play ", 3000) + "%d\"]\n"
	for n := int64(0); n < size; n += int64(len(line)) {
		fmt.Fprintf(out, line, n)
	}
	fmt.Fprint(out, `[0.1, "x", "0"]`+"\n")
	return out.Flush()
}

// TestABigRecordingTakesConstantMemory packs and delivers a recording of 2 GiB.
func TestABigRecordingTakesConstantMemory(t *testing.T) {
	b := newBench(t)
	f, err := os.Create(b.path("spool/incoming/" + testID(1) + ".cast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := bigCast(f, bigSize()); err != nil {
		t.Fatal(err)
	}
	constantMemory(t, func() {
		if left := b.once(); left != 0 {
			t.Fatalf("%d left\n%s", left, b.log)
		}
	})
}

// sink takes what every target sends, as far as it must be understood for a
// receipt, and keeps nothing of it.
type sink struct {
	mu    sync.Mutex
	sums  map[string]string // by path, for who asks again
	sizes map[string]int64
	bytes int64 // of the largest body
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	sum, there := s.sums[r.URL.Path]
	size := s.sizes[r.URL.Path]
	s.mu.Unlock()
	if r.Method == http.MethodHead {
		if !there {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		w.Header().Set("X-Amz-Checksum-Sha256", base64Sum(sum))
		return
	}
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	sum = hex.EncodeToString(h.Sum(nil))
	s.mu.Lock()
	s.sums[r.URL.Path], s.sizes[r.URL.Path], s.bytes = sum, n, max(s.bytes, n)
	s.mu.Unlock()
	switch {
	case strings.HasPrefix(r.URL.Path, "/v1/recordings/"):
		_ = json.NewEncoder(w).Encode(map[string]any{"sha256": sum, "bytes": n, "path": r.URL.Path})
	case r.URL.Path == "/api/v1/recordings":
		w.Header().Set("Location", "http://"+r.Host+"/a/1")
		w.WriteHeader(http.StatusCreated)
	}
}

// TestABigRecordingIsSentInConstantMemory sends 2 GiB to every target, as what
// they take: a stored object that no compression made small, or a recording.
func TestABigRecordingIsSentInConstantMemory(t *testing.T) {
	b := newBench(t)
	d := bigDelivery(t, b)
	b.put("s3-credentials", "aws_access_key_id=testkey\naws_secret_access_key=testsecret\n")
	b.put("install-id", uploadtest.InstallID)
	srv := &sink{sums: map[string]string{}, sizes: map[string]int64{}}
	plain := httptest.NewServer(srv)
	defer plain.Close()
	tls := mutual(t, b.Bench, srv)
	archive := ArchiveConfig{URL: tls.URL, CAFile: b.path("ca.pem"), CertFile: b.path("cert.pem"), KeyFile: b.path("key.pem")}
	s3 := S3Config{Endpoint: plain.URL, Bucket: "recordings", PathStyle: true, CredentialsFile: b.path("s3-credentials")}
	ticket := s3
	signer := ticketSigner(t, b, s3)
	ticket.CredentialsFile, ticket.Ticket, ticket.Prefix = "", &signer, ""
	for name, c := range map[string]TargetConfig{
		"dir":       {Dir: &DirConfig{Path: b.path("archive")}},
		"archive":   {Archive: &archive},
		"s3":        {S3: &s3},
		"ticket":    {S3: &ticket},
		"ttyspy":    {TTYSpy: &TTYSpyConfig{URL: tls.URL + "/transcript", CAFile: archive.CAFile, CertFile: archive.CertFile, KeyFile: archive.KeyFile}},
		"asciinema": {Asciinema: &AsciinemaConfig{URL: plain.URL, InstallIDFile: b.path("install-id")}},
	} {
		t.Run(name, func(t *testing.T) {
			srv.sums, srv.bytes = map[string]string{}, 0
			target, err := c.New()
			if err != nil {
				t.Fatal(err)
			}
			constantMemory(t, func() {
				if r, err := target.Deliver(t.Context(), d); err != nil || r.Bytes < bigSize()*9/10 {
					t.Errorf("%+v, %v", r, err)
				}
			})
			if c.Dir == nil && srv.bytes < bigSize()*9/10 {
				t.Errorf("the server got %d bytes", srv.bytes)
			}
		})
	}
}

// bigDelivery is a recording of bigSize whose stored object has as many bytes,
// all of them zero, which takes no room on the disk.
func bigDelivery(t *testing.T, b *bench) *Delivery {
	t.Helper()
	d := b.packed(1, whole(1))
	b.put("big", "")
	if err := os.Truncate(b.path("big"), bigSize()); err != nil {
		t.Fatal(err)
	}
	d.Stored = func() (io.ReadSeekCloser, error) { return os.Open(b.path("big")) }
	d.Cast = func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(bigCast(w, bigSize())) }()
		return r, nil
	}
	f, err := d.Stored()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := manifest.NewHasher(io.Discard)
	if _, err := io.Copy(sum, f); err != nil {
		t.Fatal(err)
	}
	d.Manifest.Stored.Object = manifest.Object{Bytes: sum.N, SHA256: sum.Hex()}
	return d
}

// ticketSigner is an archive that signs for the bucket.
func ticketSigner(t *testing.T, b *bench, c S3Config) ArchiveConfig {
	t.Helper()
	tickets := uploadtest.OpenBucket(t, c)
	dir, err := receive.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return uploadtest.ServeArchiveWith(t, b.Bench, "web1", dir, func(s *receive.Server) http.Handler {
		s.Tickets = tickets
		return s
	})
}

func TestManyWaitingTakeBoundedMemory(t *testing.T) {
	const many = 50000
	b := newBench(t)
	for n := range many {
		// Links to nothing are enough: a target that is down never opens them.
		if err := os.WriteFile(b.path("spool/incoming/"+testID(n)+".cast"), nil, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	b.incoming(0, whole(0))
	u := b.open().with(&fake{name: "f", deliver: func(context.Context, *Delivery) error { return errors.New("down") }})
	g := u.schedule.gates["f"]
	g.fails, g.until = 5, time.Now().Add(time.Hour)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 5 {
		if _, err := u.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	n, _ := u.waiting()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); n != many || grown > 4<<20 {
		t.Errorf("%d wait; the heap grew by %d bytes", n, grown)
	}
	if len(u.schedule.lanes) > 10 {
		t.Errorf("%d lanes are remembered", len(u.schedule.lanes))
	}
}
