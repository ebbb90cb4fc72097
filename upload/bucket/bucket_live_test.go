// SPDX-License-Identifier: AGPL-3.0-or-later

package bucket_test

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"

	"castgate/upload/bucket"

	. "castgate/upload/uploadtest"
)

// finished has the recordings that came whole.
type finished map[string]string

func (f finished) open(_, id string) (io.ReadCloser, error) {
	text, ok := f[id]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// TestPartsGoWhenTheRecordingHasThem tidies a bucket in which somebody has also
// put what no uploader would.
func TestPartsGoWhenTheRecordingHasThem(t *testing.T) {
	text := Recording(Header(1), strings.Repeat(Body, 20))
	for _, tt := range []struct {
		name  string
		parts map[int]string // by offset
		whole string
		left  int // parts
		says  string
	}{
		{"all of it", map[int]string{0: text[:100], 100: text[100:200], 200: text[200:]}, text, 0, ""},
		{"the recording goes on", map[int]string{0: text[:100]}, text, 0, ""},
		{"one that was sent late", map[int]string{100: text[100:200]}, text, 0, ""},
		{"no recording", map[int]string{0: text}, "", 1, ""},
		{"other bytes", map[int]string{0: text[:100], 100: "x" + text[101:200]}, text, 2, "part 100 is not in the recording"},
		{"more than the recording", map[int]string{0: text, len(text): Body}, text, 2, "is not in the recording"},
		{"beyond its end", map[int]string{0: text, len(text) + 7: Body}, text, 2, "is not in the recording"},
		{"overlapping", map[int]string{0: text[:100], 50: text[50:100]}, text, 2, "not the next part"},
		{"a part too large for one", map[int]string{0: text + strings.Repeat(" ", bucket.LivePart)}, text + strings.Repeat(" ", bucket.LivePart), 1, "the bytes differ"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := New(t)
			srv, bucket := Bucket(t, b)
			srv.Objects["pre fix/u/h/2026/11/18/x.json"] = []byte("{}")
			for offset, part := range tt.parts {
				srv.Objects[fmt.Sprintf("pre fix/.castgate/live/web1/%s/%020d", ID(1), offset)] = []byte(part)
			}
			done := finished{}
			if tt.whole != "" {
				done[ID(1)] = tt.whole
			}
			tidied, err := bucket.TidyLive(t.Context(), done.open)
			if (tt.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
			if want := map[bool]int{true: 1}[tt.left == 0]; tidied != want || len(srv.Objects) != tt.left+1 {
				t.Errorf("%d tidied, %d objects are left, want %d", tidied, len(srv.Objects), tt.left+1)
			}
		})
	}
	t.Run("something else", func(t *testing.T) {
		b := New(t)
		srv, bucket := Bucket(t, b)
		for _, key := range []string{"x", ID(1) + "/x", ID(1) + "/00/deeper"} {
			srv.Objects["pre fix/.castgate/live/web1/"+key] = []byte(text)
		}
		if tidied, err := bucket.TidyLive(t.Context(), finished{ID(1): text}.open); tidied != 0 || err == nil || len(srv.Objects) != 3 {
			t.Errorf("%d, %v, %d are left", tidied, err, len(srv.Objects))
		}
	})
	t.Run("an id is a host's", func(t *testing.T) {
		b := New(t)
		srv, bucket := Bucket(t, b)
		first := fmt.Sprintf("/%s/%020d", ID(1), 0)
		for _, key := range []string{"web1" + first, "web2" + first, fmt.Sprintf("%s/%020d", ID(2), 0)} { // the last as it was before
			srv.Objects["pre fix/.castgate/live/"+key] = []byte(text)
		}
		var asked []string
		tidied, err := bucket.TidyLive(t.Context(), func(host, id string) (io.ReadCloser, error) {
			asked = append(asked, host+" "+id)
			return finished{"web1 " + ID(1): text, " " + ID(2): text}.open("", host+" "+id)
		})
		if want := []string{" " + ID(2), "web1 " + ID(1), "web2 " + ID(1)}; tidied != 2 || err != nil || !slices.Equal(asked, want) {
			t.Errorf("%d, %v, asked for %q", tidied, err, asked)
		}
		if _, there := srv.Objects["pre fix/.castgate/live/web2"+first]; !there || len(srv.Objects) != 1 {
			t.Errorf("%d are left", len(srv.Objects))
		}
	})
	t.Run("it may not delete", func(t *testing.T) {
		b := New(t)
		p := S3Place(t, b)
		srv := p.Faults.Handler.(*S3Server)
		p.Faults.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete {
				srv.Fail(w, 403, "AccessDenied")
			} else {
				Lister{S3Server: srv}.ServeHTTP(w, r)
			}
		})
		done := finished{ID(1): text, ID(2): text}
		for id := range done {
			srv.Objects["pre fix/é/.castgate/live/web1/"+id+"/"+strings.Repeat("0", 20)] = []byte(text)
		}
		store, opened := OpenBucket(t, p.S3), 0
		tidied, err := store.TidyLive(t.Context(), func(host, id string) (io.ReadCloser, error) { opened++; return done.open(host, id) })
		if tidied != 0 || err == nil || !strings.Contains(err.Error(), "AccessDenied") || len(srv.Objects) != 2 {
			t.Errorf("%d, %v", tidied, err)
		}
		if opened != 1 {
			t.Errorf("%d recordings were read to delete nothing", opened)
		}
	})
}
