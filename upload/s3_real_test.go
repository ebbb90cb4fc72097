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

	"castgate/upload/archive/receive"
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
func realS3(t *testing.T, b *bench, locked bool) *s3Target {
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
	target, err := newS3Target(c)
	if err != nil {
		t.Fatal(err)
	}
	s3 := target.(*s3Target)
	h := http.Header{}
	if locked {
		h.Set("X-Amz-Bucket-Object-Lock-Enabled", "true")
	}
	answer, err := s3.send(context.Background(), s3Request{method: http.MethodPut, header: h, sha256: emptySHA256})
	if err != nil || answer.status != http.StatusOK {
		t.Fatalf("make the bucket: %v %+v", err, answer)
	}
	return s3
}

func (t *s3Target) fetch(ctx context.Context, key string) ([]byte, error) {
	var b bytes.Buffer
	answer, err := t.send(ctx, s3Request{method: http.MethodGet, key: key, sha256: emptySHA256, into: &b})
	if err == nil && answer.status != http.StatusOK {
		err = answer.failure("get " + key)
	}
	return b.Bytes(), err
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
			if _, err := s3.store(t.Context(), "pre fix/é/"+other.Path(manifest.CastSuffix), o); !isRefused(err) {
				t.Errorf("other bytes: %v", err)
			}
			if locked {
				answer, err := s3.send(t.Context(), s3Request{method: http.MethodHead, key: "pre fix/é/" + d.Manifest.Path(manifest.CastSuffix), sha256: emptySHA256})
				if err != nil || answer.header.Get("X-Amz-Object-Lock-Mode") != "COMPLIANCE" {
					t.Errorf("lock: %v, %v", answer.header, err)
				}
			}
			b.put("s3-credentials", "aws_access_key_id=testkey\naws_secret_access_key=wrong\n")
			if _, err := s3.Deliver(t.Context(), d); err == nil || isRefused(err) {
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
	c.PathStyle, c.Endpoint = false, strings.Replace(c.Endpoint, "127.0.0.1", "localhost", 1)
	target, err := newS3Target(c)
	if err != nil {
		t.Fatal(err)
	}
	s3 := target.(*s3Target)
	if s3.url.Hostname() != "recordings.localhost" || s3.url.Path != "" {
		t.Fatalf("the bucket is %v", s3.url)
	}
	s3.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", path.url.Host)
	}
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
	s3.parts = partSizes{from: each, each: each}
	data := make([]byte, 3*each+1234)
	_, _ = rand.Read(data)
	o := inMemory("", data)
	// The third part is cut off.
	broken := o
	opens := 0
	broken.open = func() (io.ReadSeekCloser, error) {
		if opens++; opens == 4 { // once for the sums, then part by part
			return nil, errors.New("cut")
		}
		return o.open()
	}
	if _, err := s3.store(t.Context(), "big", broken); err == nil {
		t.Fatal("the cut try says that all is well")
	}
	if _, err := s3.store(t.Context(), "big", o); err != nil {
		t.Fatal(err)
	}
	got, err := s3.fetch(t.Context(), "big")
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := s3.store(t.Context(), "big", o); err != nil {
		t.Errorf("again: %v", err)
	}
	if _, err := s3.store(t.Context(), "big", inMemory("", data[1:])); !isRefused(err) {
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
		s.Tickets = &Tickets{signs}
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
	answer, err := signs.send(t.Context(), s3Request{method: http.MethodHead, key: key, sha256: emptySHA256})
	if err != nil || answer.header.Get("X-Amz-Object-Lock-Mode") != "COMPLIANCE" {
		t.Errorf("lock: %v, %v", answer.header, err)
	}
	ticket := target.(*ticketTarget)
	if _, err := ticket.store(t.Context(), d.Manifest, inMemory(manifest.CastSuffix, []byte("other bytes"))); !isRefused(err) {
		t.Errorf("other bytes: %v", err)
	}
	// And in parts, of the least size that S3 takes.
	const each = 5 << 20
	signs.parts = partSizes{from: each, each: each}
	ticket.bucket.parts = signs.parts
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
	if _, err := ticket.store(t.Context(), &m, inMemory(manifest.CastSuffix, data[1:])); !isRefused(err) {
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
	bucket := &BucketFS{s3}
	other := "[" + text[1:]
	if tidied, err := bucket.TidyLive(t.Context(), finished{testID(1): other}.open); tidied != 0 || err == nil {
		t.Errorf("another recording: %d, %v", tidied, err)
	}
	for _, want := range []int{1, 0} {
		if tidied, err := bucket.TidyLive(t.Context(), finished{testID(1): text}.open); tidied != want || err != nil {
			t.Errorf("%d, %v; want %d", tidied, err, want)
		}
	}
	if size, err := s3.liveSize(t.Context(), "web1", testID(1)); size != 0 || err != nil {
		t.Errorf("%d bytes, %v", size, err)
	}
	var versions struct{ Version []struct{ Size int64 } }
	q := url.Values{"versions": {""}, "prefix": {s3.liveKey("web1", testID(1), "")}}
	if err := s3.ask(t.Context(), s3Request{method: http.MethodGet, query: q, sha256: emptySHA256}, &versions); err != nil || len(versions.Version) != 2 {
		t.Errorf("versions: %+v, %v", versions, err)
	}
}
