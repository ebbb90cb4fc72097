// SPDX-License-Identifier: AGPL-3.0-or-later

package bucket_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"castgate/upload/bucket"
	"castgate/upload/client"

	. "castgate/upload/uploadtest"
)

func TestBucketIsAFileSystem(t *testing.T) {
	for _, prefix := range []string{"", "pre fix/é"} {
		srv := NewS3Server()
		h := httptest.NewServer(Lister{S3Server: srv})
		defer h.Close()
		at := ""
		if prefix != "" {
			at = prefix + "/"
		}
		srv.Objects["elsewhere"] = []byte("x")
		var want []string
		for i := range 8 {
			name := fmt.Sprintf("u %d&/h/2026/11/%02d/id.json", i%2, i)
			srv.Objects[at+name] = []byte(name)
			want = append(want, name)
		}
		srv.Objects[at+"u 0&//odd"] = []byte("x") // no file can be called so
		creds := filepath.Join(t.TempDir(), "credentials")
		if err := os.WriteFile(creds, []byte("[default]\naws_access_key_id = testkey\naws_secret_access_key = testsecret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		fsys, err := bucket.Open(bucket.Config{Endpoint: h.URL, Bucket: "recordings", Prefix: prefix, CredentialsFile: creds, PathStyle: true})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		err = fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(fsys, p)
			if p != "elsewhere" {
				got = append(got, p)
				if string(text) != p {
					t.Errorf("%s holds %q", p, text)
				}
			}
			return err
		})
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("prefix %q: %v\n got %q\nwant %q", prefix, err, got, want)
		}
		for _, name := range []string{"none", "u 0&/none/x"} {
			if _, err := fsys.Open(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("open %q: %v", name, err)
			}
			if _, err := fs.ReadDir(fsys, name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("list %q: %v", name, err)
			}
		}
		if _, err := fsys.Open("../x"); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("a way out: %v", err)
		}
		if info, err := fs.Stat(fsys, "u 1&/h"); err != nil || !info.IsDir() {
			t.Errorf("stat: %v %v", info, err)
		}
		if info, err := fs.Stat(fsys, want[0]); err != nil || info.IsDir() || info.Size() != int64(len(want[0])) {
			t.Errorf("stat of an object: %v %v", info, err)
		}
		if _, err := fs.Stat(fsys, "u 1&/none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat of nothing: %v", err)
		}
		dir, err := fsys.Open("u 1&")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(dir); err == nil {
			t.Error("a directory was read as a file")
		}
	}
}

// TestABucketIsReadByItsOwnClock asks a server whose clock, or ours, is an hour
// off: whichever request comes first, it is sent again by the server's clock.
func TestABucketIsReadByItsOwnClock(t *testing.T) {
	for name, ask := range map[string]func(b *bucket.Bucket) error{
		"list": func(b *bucket.Bucket) error { _, err := fs.ReadDir(b, "u"); return err },
		"read": func(b *bucket.Bucket) error { _, err := fs.ReadFile(b, "u/x"); return err },
		"stat": func(b *bucket.Bucket) error { _, err := fs.Stat(b, "u/x"); return err },
		"put":  func(b *bucket.Bucket) error { return putText(b, "u/y", "new") },
		"tidy": func(b *bucket.Bucket) error { _, err := b.TidyLive(t.Context(), finished{}.open); return err },
	} {
		for _, skew := range []time.Duration{time.Hour, -time.Hour} {
			srv, b := Bucket(t, New(t))
			srv.Objects["pre fix/u/x"] = []byte("x")
			srv.Skew = skew
			if err := ask(b); err != nil {
				t.Errorf("%s, %v: %v", name, skew, err)
			}
		}
	}
}

func TestPutNeverReplaces(t *testing.T) {
	b := New(t)
	srv, bucket := Bucket(t, b)
	put := func(name, text string) (bool, error) {
		return bucket.Put(name, int64(len(text)), sha256.Sum256([]byte(text)), inMemory(text))
	}
	if created, err := put("a/b", "one"); !created || err != nil {
		t.Errorf("new: %v, %v", created, err)
	}
	if created, err := put("a/b", "one"); created || err != nil {
		t.Errorf("again: %v, %v", created, err)
	}
	if created, err := put("a/b", "two"); created || !errors.Is(err, fs.ErrExist) {
		t.Errorf("other bytes: %v, %v", created, err)
	}
	if created, err := bucket.Put("a/c", 3, sha256.Sum256([]byte("two")), inMemory("one")); created || err == nil {
		t.Errorf("bytes of another hash: %v, %v", created, err)
	}
	for _, name := range []string{"../x", ".", "/x", ""} {
		if _, err := put(name, "x"); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if len(srv.Objects) != 1 || string(srv.Objects["pre fix/a/b"]) != "one" {
		t.Errorf("the bucket has %q", srv.Objects)
	}
}

func inMemory(text string) func() (io.ReadSeekCloser, error) {
	return func() (io.ReadSeekCloser, error) { return MemoryFile{Reader: bytes.NewReader([]byte(text))}, nil }
}

func putText(b *bucket.Bucket, name, text string) error {
	_, err := b.Put(name, int64(len(text)), sha256.Sum256([]byte(text)), inMemory(text))
	return err
}

// TestAStalledBucketIsLeft has a server that stops in the middle of an answer.
func TestAStalledBucketIsLeft(t *testing.T) {
	for name, ask := range map[string]func(b *bucket.Bucket) error{
		"list": func(b *bucket.Bucket) error { _, err := fs.ReadDir(b, "u"); return err },
		"stat": func(b *bucket.Bucket) error { _, err := fs.Stat(b, "u"); return err },
		"read": func(b *bucket.Bucket) error { _, err := fs.ReadFile(b, "u/x"); return err },
	} {
		creds := filepath.Join(t.TempDir(), "credentials")
		if err := os.WriteFile(creds, []byte("aws_access_key_id = testkey\naws_secret_access_key = testsecret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			b, err := bucket.Open(bucket.Config{Endpoint: "http://127.0.0.1", Bucket: "recordings", CredentialsFile: creds, PathStyle: true})
			if err != nil {
				t.Fatal(err)
			}
			b.Client = PipeClient(func(c net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nLast-Modified: Fri, 20 Nov 2026 10:00:00 GMT\r\nContent-Length: 1000\r\n\r\n<ListBucketResult>")
				}
			})
			defer b.Client.CloseIdleConnections()
			began := time.Now()
			err = ask(b)
			if took := time.Since(began); !errors.Is(err, client.ErrStalled) || took > 2*time.Minute {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		})
	}
}
