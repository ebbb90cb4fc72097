// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"castgate/upload/manifest"
)

func TestLiveParts(t *testing.T) {
	f := newFleet(t, Limits{})
	c := f.host("web1")
	cast := plainCast("web1", "alice")
	lines := strings.SplitAfter(cast, "\n")
	offset := 0
	part := func(at int, p string) (int, string) {
		return f.do(c, http.MethodPut, "/v1/live/"+testID+"/"+strconv.Itoa(at), []byte(p))
	}
	for i, line := range lines[:3] {
		status, answer := part(offset, line)
		offset += len(line)
		if want := `{"size":` + strconv.Itoa(offset) + `}`; status != 200 || answer != want {
			t.Fatalf("part %d: %d %s, want %s", i, status, answer, want)
		}
	}
	if status, answer := part(len(lines[0]), lines[1]); status != 200 {
		t.Errorf("a part again: %d %s", status, answer)
	}
	if status, answer := part(offset+1, lines[3]); status != 409 || !strings.Contains(answer, strconv.Itoa(offset)) {
		t.Errorf("a gap: %d %s", status, answer)
	}
	if status, answer := part(len(lines[0]), strings.Replace(lines[1], "hello", "jello", 1)); status != 409 {
		t.Errorf("other bytes: %d %s", status, answer)
	}
	if status, answer := part(offset, "[0.1, \"o\""); status != 400 {
		t.Errorf("half a line: %d %s", status, answer)
	}
	live := filepath.Join(f.store, livePath("web1", testID))
	if got, _ := os.ReadFile(live); string(got) != cast[:offset] {
		t.Errorf("kept %q", got)
	}
	if status, _ := f.put(c, castPath, compress([]byte(cast))); status != 201 {
		t.Fatalf("the finished recording: %d", status)
	}
	if _, err := os.Stat(live); !os.IsNotExist(err) {
		t.Errorf("the parts are still there: %v", err)
	}
}

func TestPartsThatDifferAreKept(t *testing.T) {
	f := newFleet(t, Limits{})
	c := f.host("web1")
	cast := plainCast("web1", "alice")
	if status, answer := f.do(c, http.MethodPut, "/v1/live/"+testID+"/0", []byte(cast)); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	if status, _ := f.put(c, castPath, compress([]byte(strings.Replace(cast, "hello", "jello", 1)))); status != 201 {
		t.Fatal(status)
	}
	if _, err := os.Stat(filepath.Join(f.store, livePath("web1", testID))); err != nil {
		t.Error("evidence was removed")
	}
	if !strings.Contains(f.log.String(), "does not begin with them") {
		t.Errorf("log: %s", f.log)
	}
}

func TestTtyspyClient(t *testing.T) {
	f := newFleet(t, Limits{})
	c := f.host("web1.example.org")
	body := "$ ls\r\n\x1b[1mé\x1b[0m \xff\r\n"
	for i := 1; i <= 2; i++ {
		r, err := http.NewRequest(http.MethodPost, f.http.URL+"/transcript", io.MultiReader(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range map[string]string{"Content-Type": "application/typescript", "X-Username": "alice", "X-Hostname": "web1", "X-Gecos": "Alice", "X-Ssh-Client": "192.0.2.7 50514 22"} {
			r.Header.Set(k, v)
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || len(answer) != 0 {
			t.Fatalf("%s %q", resp.Status, answer)
		}
	}
	manifests, _ := filepath.Glob(f.store + "/alice/web1.example.org/*/*/*/*.json")
	if len(manifests) != 2 {
		t.Fatalf("files %q", f.files())
	}
	var last []byte
	for i, p := range manifests {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		m, err := manifest.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if m.Sequence != int64(i+1) || (i > 0 && m.Previous != manifest.Hash(last)) {
			t.Errorf("manifest %d: sequence %d, previous %q", i, m.Sequence, m.Previous)
		}
		last = data
		if m.Session.Client != "192.0.2.7 50514" || m.Session.Gecos != "Alice" {
			t.Errorf("client %q, gecos %q", m.Session.Client, m.Session.Gecos)
		}
		if !m.Complete || m.Ended != manifest.EndedClosed || m.Exit != nil {
			t.Errorf("complete %v, ended %q, exit %v", m.Complete, m.Ended, m.Exit)
		}
		stored, err := os.ReadFile(strings.Replace(p, ".json", ".cast.zst", 1))
		if err != nil || manifest.Hash(stored) != m.Stored.SHA256 {
			t.Errorf("stored: %v", err)
		}
		dec, _ := zstd.NewReader(bytes.NewReader(stored))
		cast, err := io.ReadAll(dec)
		if err != nil || manifest.Hash(cast) != m.Cast.SHA256 || !bytes.Contains(cast, []byte("end of transcript")) {
			t.Errorf("cast: %v %s", err, cast)
		}
	}
	if live, _ := filepath.Glob(f.store + "/.castgate/live/*/*"); len(live) != 0 {
		t.Errorf("left: %q", live)
	}
}

// TestTtyspyClientGoesAway: without the end of its body a transcript is cut.
func TestTtyspyClientGoesAway(t *testing.T) {
	f := newFleet(t, Limits{})
	c := f.host("web1")
	r, err := http.NewRequest(http.MethodPost, f.http.URL+"/transcript", io.MultiReader(strings.NewReader("$ "), goneReader{}))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{"Content-Type": transcriptType, "X-Username": "alice", "X-Hostname": "web1"} {
		r.Header.Set(k, v)
	}
	if resp, err := c.Do(r); err == nil {
		resp.Body.Close()
		t.Fatalf("answered %s", resp.Status)
	}
	var manifests []string
	for end := time.Now().Add(10 * time.Second); len(manifests) == 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		manifests, _ = filepath.Glob(f.store + "/alice/web1/*/*/*/*.json")
	}
	if len(manifests) != 1 {
		t.Fatalf("files %q", f.files())
	}
	data, err := os.ReadFile(manifests[0])
	if err != nil {
		t.Fatal(err)
	}
	if m, err := manifest.Parse(data); err != nil || m.Complete || m.Ended != manifest.EndedInterrupted {
		t.Errorf("%v, %+v", err, m)
	}
}

type goneReader struct{}

func (goneReader) Read([]byte) (int, error) {
	time.Sleep(200 * time.Millisecond) // the server has what was sent before
	return 0, errors.New("gone")
}

// TestTtyspyFleet: hosts that share one certificate are each filed under their
// own name, where the archive says so, and under no other.
func TestTtyspyFleet(t *testing.T) {
	f := newFleet(t, Limits{})
	f.srv.Certificates = map[string][]string{"fleet": {"web*.example.org", "DB1"}}
	for _, tt := range []struct {
		cert, host string
		status     int
	}{
		{"fleet", "web7.example.org", 200},
		{"fleet", "DB1", 200},
		{"fleet", "fleet", 200},
		{"fleet", "db2", 403},
		{"fleet", "web1.example.org/..", 403},
		{"fleet", "web1.example.com", 403},
		{"fleet", "", 403},
		{"web1", "web7.example.org", 403},
	} {
		status, answer := f.do(f.host(tt.cert), "POST", "/transcript", []byte("hello"), "Content-Type", transcriptType,
			"X-Username", "alice", "X-Hostname", tt.host)
		if status != tt.status {
			t.Errorf("%s by %s: %d %s", tt.host, tt.cert, status, answer)
		}
	}
	for _, host := range []string{"web7.example.org", "db1", "fleet"} {
		if found, _ := filepath.Glob(f.store + "/alice/" + host + "/*/*/*/*.json"); len(found) != 1 {
			t.Errorf("%s: files %q", host, f.files())
		}
	}
}
