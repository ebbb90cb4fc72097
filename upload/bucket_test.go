// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bufio"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"castgate/upload/bucket"
	"castgate/upload/client"
)

// lister adds ListObjectsV2, in pages of three, to the stand-in for S3.
type lister struct{ *s3Server }

func (l lister) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if r.Method != "GET" || q.Get("list-type") != "2" {
		l.s3Server.ServeHTTP(w, r)
		return
	}
	now := time.Now().Add(l.skew)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	if code := l.authorize(r, now); code != "" {
		l.fail(w, 403, code)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[string]string{}
	for key := range l.objects {
		rest, ok := strings.CutPrefix(key, q.Get("prefix"))
		if !ok {
			continue
		}
		if dir, _, found := strings.Cut(rest, q.Get("delimiter")); found {
			seen[q.Get("prefix")+dir+"/"] = "dir"
		} else {
			seen[key] = "object"
		}
	}
	names := slices.Sorted(maps.Keys(seen))
	names = slices.DeleteFunc(names, func(s string) bool { return s <= q.Get("continuation-token") })
	page := 3
	if q.Get("max-keys") != "" {
		_, _ = fmt.Sscan(q.Get("max-keys"), &page)
	}
	fmt.Fprintf(w, "<ListBucketResult><IsTruncated>%v</IsTruncated>", len(names) > page)
	if len(names) > page {
		names = names[:page]
		fmt.Fprint(w, "<NextContinuationToken>", xmlText(names[page-1]), "</NextContinuationToken>")
	}
	for _, n := range names {
		if seen[n] == "dir" {
			fmt.Fprintf(w, "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>", xmlText(n))
		} else {
			fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>%d</Size><LastModified>2026-11-20T10:00:00.000Z</LastModified></Contents>", xmlText(n), len(l.objects[n]))
		}
	}
	fmt.Fprint(w, "</ListBucketResult>")
}

func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

func TestBucketIsAFileSystem(t *testing.T) {
	for _, prefix := range []string{"", "pre fix/é"} {
		srv := newS3Server()
		h := httptest.NewServer(lister{srv})
		defer h.Close()
		at := ""
		if prefix != "" {
			at = prefix + "/"
		}
		srv.objects["elsewhere"] = []byte("x")
		var want []string
		for i := range 8 {
			name := fmt.Sprintf("u %d&/h/2026/11/%02d/id.json", i%2, i)
			srv.objects[at+name] = []byte(name)
			want = append(want, name)
		}
		srv.objects[at+"u 0&//odd"] = []byte("x") // no file can be called so
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
			srv, b := bucketBench(t, newBench(t))
			srv.objects["pre fix/u/x"] = []byte("x")
			srv.skew = skew
			if err := ask(b); err != nil {
				t.Errorf("%s, %v: %v", name, skew, err)
			}
		}
	}
}

func putText(b *bucket.Bucket, name, text string) error {
	o := inMemory("", []byte(text))
	_, err := b.Put(name, o.Bytes, sha256.Sum256([]byte(text)), o.Open)
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
			b.Client = pipeClient(func(c net.Conn) {
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
