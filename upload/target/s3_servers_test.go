// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !race

package target_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"castgate/upload/bucket"

	. "castgate/upload/target"
	. "castgate/upload/uploadtest"
)

// realServer is a real S3 server, from the module proxy. It is built once, into
// .build/ of the repository, which takes some minutes (.ci/test has them spent
// beside the fuzz targets).
type realServer struct {
	name  string
	locks bool // has object lock, versions and, like AWS, the sums of parts
	build func(dir string) *exec.Cmd
	run   func(program, addr string, b *Bench) *exec.Cmd
}

// realServers are of two makers, so that we don't fit one only.
var realServers = []realServer{
	{"versitygw", true, func(dir string) *exec.Cmd {
		cmd := exec.Command("go", "install", "github.com/versity/versitygw/cmd/versitygw@v1.8.0")
		cmd.Env = append(os.Environ(), "GOBIN="+dir)
		return cmd
	}, func(program, addr string, b *Bench) *exec.Cmd {
		cmd := exec.Command(program, "--port", addr, "--virtual-domain", "localhost", "posix", "--versioning-dir", b.Path("s3-versions"), b.Path("s3"))
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY=testkey", "ROOT_SECRET_KEY=testsecret")
		return cmd
	}},
	// With all that it can store to, rclone would take an hour to build.
	{"rclone", false, func(dir string) *exec.Cmd {
		cmd := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "rclone"), ".")
		cmd.Dir = filepath.Join(dir, "rclone.src")
		for name, text := range map[string]string{
			"go.mod": "module rclone\n\ngo 1.26.0\n\nrequire github.com/rclone/rclone v1.76.0\n",
			"main.go": `package main

import (
	_ "github.com/rclone/rclone/backend/local"
	"github.com/rclone/rclone/cmd"
	_ "github.com/rclone/rclone/cmd/serve"
	_ "github.com/rclone/rclone/cmd/serve/s3"
)

func main() { cmd.Main() }
`,
		} {
			if err := errors.Join(os.MkdirAll(cmd.Dir, 0o755), os.WriteFile(filepath.Join(cmd.Dir, name), []byte(text), 0o644)); err != nil {
				panic(err)
			}
		}
		cmd.Env = os.Environ()
		return cmd
	}, func(program, addr string, b *Bench) *exec.Cmd {
		return exec.Command(program, "serve", "s3", "--addr", addr, "--auth-key", "testkey,testsecret", "--config", b.Path("rclone.conf"), b.Path("s3"))
	}},
}

// onRealS3 runs a test with each server.
func onRealS3(t *testing.T, do func(t *testing.T, s realServer)) {
	for _, s := range realServers {
		t.Run(s.name, func(t *testing.T) { do(t, s) })
	}
}

func (s realServer) program(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../.build")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, s.name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if os.Getenv("CASTGATE_TEST_ALL") != "1" {
		t.Skip("the S3 server is not built: make test does, in some minutes")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := s.build(dir)
	cmd.Env = append(cmd.Env, "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", s.name, err, out)
	}
	return path
}

// start starts the server with a bucket "recordings", locked or not.
func (s realServer) start(t *testing.T, b *Bench, locked bool) *realBucket {
	t.Helper()
	program := s.program(t)
	for _, dir := range []string{"s3", "s3-versions"} {
		if err := os.Mkdir(b.Path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	cmd := s.run(program, addr, b)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %.4000s", s.name, out.String())
		}
	})
	for range 300 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.Put("s3-credentials", "[default]\naws_access_key_id = testkey\naws_secret_access_key = testsecret\n")
	c := S3Config{Endpoint: "http://" + addr, Bucket: "recordings", Prefix: "pre fix/é", CredentialsFile: b.Path("s3-credentials"), PathStyle: true}
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
	store := OpenBucket(t, c)
	return &realBucket{OfBucket(store).(Live), store, c, direct}
}

// realBucket is a bucket of a real server, and another way to it.
type realBucket struct {
	Live
	bucket *bucket.Bucket
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
