// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !race

// One pass of the tests is enough to wait for a server that must be built.

package upload

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"castgate/upload/archive/receive"
	"castgate/upload/bucket"
	"castgate/upload/client"
	"castgate/upload/manifest"
)

// versitygw is a real S3 server, from the module proxy. It is built once, into
// .build/ of the repository, which takes some minutes (.ci/test has them spent
// beside the fuzz targets).
const versitygw = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

func buildVersitygw(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../.build")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "versitygw")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if os.Getenv("CASTGATE_TEST_ALL") != "1" {
		t.Skip("the S3 server is not built: make test does, in some minutes")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "install", versitygw)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build versitygw: %v\n%s", err, out)
	}
	return path
}

// realS3 starts the server with a bucket "recordings", locked or not.
func realS3(t *testing.T, b *bench, locked bool) *realBucket {
	t.Helper()
	program := buildVersitygw(t)
	for _, dir := range []string{"s3", "s3-versions"} {
		if err := os.Mkdir(b.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	cmd := exec.Command(program, "--port", addr, "--virtual-domain", "localhost", "posix", "--versioning-dir", b.path("s3-versions"), b.path("s3"))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY=testkey", "ROOT_SECRET_KEY=testsecret")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("versitygw: %.4000s", out.String())
		}
	})
	for range 300 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.put("s3-credentials", "[default]\naws_access_key_id = testkey\naws_secret_access_key = testsecret\n")
	c := S3Config{Endpoint: "http://" + addr, Bucket: "recordings", Prefix: "pre fix/é", CredentialsFile: b.path("s3-credentials"), PathStyle: true}
	if locked {
		c.Retain = time.Hour
	}
	direct, err := minio.New(addr, &minio.Options{Creds: credentials.NewStaticV4("testkey", "testsecret", "")})
	if err != nil {
		t.Fatal(err)
	}
	if err := direct.MakeBucket(t.Context(), c.Bucket, minio.MakeBucketOptions{ObjectLocking: locked}); err != nil {
		t.Fatalf("make the bucket: %v", err)
	}
	store, err := c.open()
	if err != nil {
		t.Fatal(err)
	}
	return &realBucket{&s3Target{store}, c, direct}
}

// realBucket is a bucket of a real server, and another way to it.
type realBucket struct {
	*s3Target
	c      S3Config
	direct *minio.Client
}

func (r *realBucket) fetch(ctx context.Context, key string) ([]byte, error) {
	o, err := r.direct.GetObject(ctx, r.c.Bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return io.ReadAll(o)
}

// lock checks that an object is locked.
func (r *realBucket) lock(t *testing.T, key string) {
	t.Helper()
	info, err := r.direct.StatObject(t.Context(), r.c.Bucket, key, minio.StatObjectOptions{})
	if got := info.Metadata.Get("X-Amz-Object-Lock-Mode"); err != nil || got != "COMPLIANCE" {
		t.Errorf("lock: %q, %v", got, err)
	}
}

func TestTheRealS3TakesIt(t *testing.T) {
	for _, locked := range []bool{false, true} {
		t.Run(fmt.Sprintf("locked %v", locked), func(t *testing.T) {
			b := newBench(t)
			b.config.SigningKey = b.path("key")
			newKey(t, b.config.SigningKey)
			s3 := realS3(t, b, locked)
			h := header(1)
			h.Session.User = `CORP\bob é+x`
			d := b.packed(1, recording(h, body))
			first, err := s3.Deliver(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := s3.Deliver(t.Context(), d); err != nil || again != first {
				t.Errorf("again: %+v, %v", again, err)
			}
			for _, o := range d.objects() {
				got, err := s3.fetch(t.Context(), "pre fix/é/"+d.Manifest.Path(o.suffix))
				if err != nil || manifest.Hash(got) != o.SHA256 {
					t.Errorf("%s: %v, SHA-256 %s", o.suffix, err, manifest.Hash(got))
				}
			}
			other := *d.Manifest
			o := inMemory("", []byte("other bytes"))
			if _, err := s3.bucket.Store(t.Context(), other.Path(manifest.CastSuffix), o.Object); !client.IsRefused(err) {
				t.Errorf("other bytes: %v", err)
			}
			if locked {
				s3.lock(t, "pre fix/é/"+d.Manifest.Path(manifest.CastSuffix))
			}
			b.put("s3-credentials", "aws_access_key_id=testkey\naws_secret_access_key=wrong\n")
			if _, err := s3.Deliver(t.Context(), d); err == nil || client.IsRefused(err) {
				t.Errorf("wrong secret: %v", err)
			}
		})
	}
}

// TestTheRealS3TakesAVirtualHost has the bucket in the host's name.
func TestTheRealS3TakesAVirtualHost(t *testing.T) {
	b := newBench(t)
	path := realS3(t, b, false)
	c := path.c
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c.PathStyle, c.Endpoint = false, strings.Replace(c.Endpoint, "127.0.0.1", "localhost", 1)
	store, err := c.open()
	if err != nil {
		t.Fatal(err)
	}
	if want := "recordings.localhost:" + u.Port() + "/pre fix/é"; store.String() != want {
		t.Fatalf("the bucket is %v", store)
	}
	store.Client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	}}}
	s3 := &s3Target{store}
	d := b.packed(1, whole(1))
	if _, err := s3.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got, err := path.fetch(t.Context(), "pre fix/é/"+d.Manifest.Path(manifest.CastSuffix)); err != nil || manifest.Hash(got) != d.Manifest.Stored.SHA256 {
		t.Errorf("by the path: %v", err)
	}
}

func TestTheRealS3TakesParts(t *testing.T) {
	b := newBench(t)
	s3 := realS3(t, b, false)
	const each = 5 << 20 // the least that S3 takes
	s3.bucket.Parts = bucket.Parts{From: each, Each: each}
	data := make([]byte, 3*each+1234)
	_, _ = rand.Read(data)
	o := inMemory("", data).Object
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
	if _, err := s3.bucket.Store(t.Context(), "big", inMemory("", data[1:]).Object); !client.IsRefused(err) {
		t.Errorf("other bytes: %v", err)
	}
}

func TestTheRealS3TakesTickets(t *testing.T) {
	b := newBench(t)
	signs := realS3(t, b, true)
	c := signs.c
	c.CredentialsFile, c.Retain = "", 0
	dir, err := receive.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := serveArchiveWith(t, b, "web1", dir, func(s *receive.Server) http.Handler {
		s.Tickets = signs.bucket
		return s
	})
	c.Ticket = &a
	target, err := newS3Target(c)
	if err != nil {
		t.Fatal(err)
	}
	h := header(1)
	h.Session.User = `CORP\bob é+x`
	d := b.packed(1, recording(h, body))
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
	signs.lock(t, key)
	ticket := target.(*ticketTarget)
	if _, err := ticket.store(t.Context(), d.Manifest, inMemory(manifest.CastSuffix, []byte("other bytes"))); !client.IsRefused(err) {
		t.Errorf("other bytes: %v", err)
	}
	// And in parts, of the least size that S3 takes.
	const each = 5 << 20
	signs.bucket.Parts = bucket.Parts{From: each, Each: each}
	ticket.bucket.Parts = signs.bucket.Parts
	data := make([]byte, 2*each+1234)
	_, _ = rand.Read(data)
	m := *d.Manifest
	m.Session.ID = testID(2)
	o := inMemory(manifest.CastSuffix, data)
	for range 2 {
		if _, err := ticket.store(t.Context(), &m, o); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := signs.fetch(t.Context(), "pre fix/é/"+m.Path(manifest.CastSuffix)); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := ticket.store(t.Context(), &m, inMemory(manifest.CastSuffix, data[1:])); !client.IsRefused(err) {
		t.Errorf("other bytes in parts: %v", err)
	}
}

func TestTheRealS3TakesLiveParts(t *testing.T) {
	b := newBench(t)
	s3 := realS3(t, b, true)
	for _, step := range []struct {
		offset, want int64
		data         string
	}{{0, 4, "one\n"}, {4, 8, "two\n"}, {0, 8, "one\ntwo\n"}, {4, 8, "two\nthree\n"}, {8, 14, "three\n"}} {
		if size, err := s3.putLive(t.Context(), "web1", testID(1), step.offset, []byte(step.data)); err != nil || size != step.want {
			t.Fatalf("%+v: %d, %v", step, size, err)
		}
	}
}

// TestTheRealS3LosesLiveParts tidies a bucket that locks everything: what was
// deleted is still there for who asks for its version.
func TestTheRealS3LosesLiveParts(t *testing.T) {
	b := newBench(t)
	s3 := realS3(t, b, true)
	text := recording(header(1), strings.Repeat(body, 20))
	for _, at := range []int{0, 100} {
		if _, err := s3.putLive(t.Context(), "web1", testID(1), int64(at), []byte(text[at:at+100])); err != nil {
			t.Fatal(err)
		}
	}
	bucket := s3.bucket
	other := "[" + text[1:]
	if tidied, err := bucket.TidyLive(t.Context(), finished{testID(1): other}.open); tidied != 0 || err == nil {
		t.Errorf("another recording: %d, %v", tidied, err)
	}
	for _, want := range []int{1, 0} {
		if tidied, err := bucket.TidyLive(t.Context(), finished{testID(1): text}.open); tidied != want || err != nil {
			t.Errorf("%d, %v; want %d", tidied, err, want)
		}
	}
	if size, err := s3.bucket.LiveSize(t.Context(), "web1", testID(1)); size != 0 || err != nil {
		t.Errorf("%d bytes, %v", size, err)
	}
	versions := 0
	for o := range s3.direct.ListObjectsIter(t.Context(), s3.c.Bucket, minio.ListObjectsOptions{Prefix: "pre fix/é/.castgate/live/web1/" + testID(1), Recursive: true, WithVersions: true}) {
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
