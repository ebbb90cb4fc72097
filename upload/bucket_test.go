// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// lister adds ListObjectsV2, in pages of three, to the stand-in for S3.
type lister struct{ *s3Server }

func (l lister) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if r.Method != "GET" || q.Get("list-type") != "2" {
		l.s3Server.ServeHTTP(w, r)
		return
	}
	if code := l.authorize(r, time.Now()); code != "" {
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
		fsys, err := Bucket(S3Config{Endpoint: h.URL, Bucket: "recordings", Prefix: prefix, CredentialsFile: creds, PathStyle: true})
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
