// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"castgate/upload/manifest"
	"castgate/upload/uploadtest"
	"castgate/wrap/asciicast"
	"castgate/wrap/spool"
)

// bench is a spool, an archive and an uploader between them.
type bench struct {
	*uploadtest.Bench
	t      testing.TB
	config Config
	log    *bytes.Buffer
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{Bench: uploadtest.New(t), t: t, log: new(bytes.Buffer)}
	for _, d := range []string{"spool/live", "spool/incoming", "spool/bad", "spool/kept"} {
		if err := os.MkdirAll(b.path(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.config = Defaults()
	b.config.Spool, b.config.State = b.path("spool"), b.path("state")
	b.config.SigningKey = ""
	b.config.Targets = []TargetConfig{{Dir: &DirConfig{Path: b.path("archive")}}}
	return b
}

func (b *bench) path(name string) string { return b.Path(name) }
func (b *bench) put(name, text string)   { b.Put(name, text) }

func (b *bench) incoming(n int, text string) { b.put("spool/incoming/"+testID(n)+".cast", text) }

func (b *bench) open() *Uploader {
	b.t.Helper()
	u, err := New(context.Background(), b.config, slog.New(slog.NewTextHandler(b.log, nil)))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { u.Close() })
	return u
}

// once drains what can be drained now.
func (b *bench) once() int {
	b.t.Helper()
	u := b.open()
	defer u.Close()
	left, err := u.Once(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	return left
}

// list returns the files below a directory, by their paths.
func (b *bench) list(dir string) map[string]string {
	b.t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(b.path(dir), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(b.path(dir), path)
		files[rel] = string(text)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return files
}

// archived returns the manifest and the cast of recording n in the archive.
func (b *bench) archived(n int) (*manifest.Manifest, string) {
	b.t.Helper()
	base := "nobody-of-this-host/web1/2026/11/18/" + testID(n)
	text, err := os.ReadFile(b.path("archive/" + base + ".json"))
	if err != nil {
		b.t.Fatal(err)
	}
	m, err := manifest.Parse(text)
	if err != nil {
		b.t.Fatal(err)
	}
	stored, err := os.ReadFile(b.path("archive/" + base + ".cast.zst"))
	if err != nil {
		b.t.Fatal(err)
	}
	if manifest.Hash(stored) != m.Stored.SHA256 || int64(len(stored)) != m.Stored.Bytes {
		b.t.Errorf("stored object and manifest differ")
	}
	dec, err := zstd.NewReader(bytes.NewReader(stored))
	if err != nil {
		b.t.Fatal(err)
	}
	defer dec.Close()
	cast, err := io.ReadAll(dec)
	if err != nil {
		b.t.Fatal(err)
	}
	if manifest.Hash(cast) != m.Cast.SHA256 || int64(len(cast)) != m.Cast.Bytes {
		b.t.Errorf("cast and manifest differ")
	}
	return m, string(cast)
}

func TestAFinishedRecordingIsDelivered(t *testing.T) {
	b := newBench(t)
	b.incoming(1, whole(1))
	if left := b.once(); left != 0 {
		t.Fatalf("%d left\n%s", left, b.log)
	}
	m, cast := b.archived(1)
	if cast != whole(1) {
		t.Errorf("delivered %q", cast)
	}
	if !m.Complete || m.Ended != manifest.EndedExit || m.Exit == nil || *m.Exit != 3 || m.Events != 2 || time.Duration(m.Duration) != 750*time.Millisecond {
		t.Errorf("manifest %+v", m)
	}
	if files := b.list("spool"); len(files) != 0 {
		t.Errorf("the spool still has %v", files)
	}
	if files := b.list("state/stage"); len(files) != 0 {
		t.Errorf("the stage still has %v", files)
	}
}

func TestAnOrphanIsDeliveredUpToItsLastWholeLine(t *testing.T) {
	raw := "#raw //79\n"
	for n, tt := range []struct{ name, events, want string }{
		{"killed between events", body, body + marker},
		{"killed at once", "", marker},
		{"cut line", body + `[0.1, "o", "to`, body + marker},
		{"cut between raw bytes and their event", body + raw + `[0.1, "o`, body + marker},
		{"raw bytes whose event is gone", body + raw, body + marker},
		{"power cut: zeros", body + strings.Repeat("\x00", 70000), body + marker},
		{"a tail that was shown", body + "#tail 4oI=\n", body + "#tail 4oI=\n" + marker},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.put("spool/live/"+testID(n)+".cast", recording(header(n), tt.events))
			if left := b.once(); left != 0 {
				t.Fatalf("%d left\n%s", left, b.log)
			}
			m, cast := b.archived(n)
			if want := recording(header(n), tt.want); cast != want {
				t.Errorf("delivered %q, want %q", cast, want)
			}
			if m.Complete || m.Ended != manifest.EndedInterrupted || m.Exit != nil {
				t.Errorf("manifest %+v", m)
			}
			if got := countEvents(t, cast); got != m.Events {
				t.Errorf("the manifest says %d events, a reader finds %d", m.Events, got)
			}
		})
	}
}

func countEvents(t *testing.T, cast string) (n int64) {
	t.Helper()
	r, err := asciicast.NewReader(strings.NewReader(cast))
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
		n++
	}
}

func TestALivingRecorderIsLeftAlone(t *testing.T) {
	b := newBench(t)
	d, err := spool.Open(b.config.Spool)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	f, err := d.Create(testID(1))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprint(f, recording(header(1), body))
	if left := b.once(); left != 0 {
		t.Errorf("%d left", left)
	}
	if _, ok := b.list("spool")["live/"+testID(1)+".cast"]; !ok {
		t.Errorf("the spool has %v", b.list("spool"))
	}
}

func TestWhatNoRecorderWroteIsPutAside(t *testing.T) {
	forged := func(change func(*asciicast.Header)) string {
		h := header(1)
		change(&h)
		return recording(h, body)
	}
	for _, tt := range []struct{ name, text, why string }{
		{"empty", "", "no header"},
		{"cut header", `{"version":3`, "no header"},
		{"not JSON", "junk\n", "no recording"},
		{"a bad line in the middle", recording(header(1), "junk\n"+body), "line 2"},
		{"binary", recording(header(1), "[0.1, \"o\", \"\xff\"]\n"), "UTF-8"},
		{"no castgate object", forged(func(h *asciicast.Header) { h.Session = nil }), "castgate-wrap did not write it"},
		{"another id", forged(func(h *asciicast.Header) { h.Session.ID = testID(2) }), "says id"},
		{"another uid", forged(func(h *asciicast.Header) { h.Session.UID++ }), "wrote it"},
		{"another's name", forged(func(h *asciicast.Header) { h.Session.User = "daemon" }), "that account has uid"},
		{"no user", forged(func(h *asciicast.Header) { h.Session.User = "" }), "user"},
		{"endless host", forged(func(h *asciicast.Header) { h.Session.Host = strings.Repeat("x", 300) }), "host"},
		{"no time", forged(func(h *asciicast.Header) { h.Timestamp = 0 }), "began at"},
		{"far future", forged(func(h *asciicast.Header) { h.Timestamp = 1 << 60 }), "began at"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.incoming(1, tt.text)
			b.incoming(2, whole(2))
			if left := b.once(); left != 0 {
				t.Fatalf("%d left\n%s", left, b.log)
			}
			b.archived(2) // was not held up
			got := b.list("spool")
			if got["bad/"+testID(1)+".cast"] != tt.text || !strings.Contains(got["bad/"+testID(1)+".cast.txt"], tt.why) {
				t.Errorf("the spool has %q", got)
			}
			if n := strings.Count(b.log.String(), "put aside"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, b.log)
			}
		})
	}
}

func TestHostileNamesStayInside(t *testing.T) {
	b := newBench(t)
	h := header(1)
	h.Session.User, h.Session.Host = "../../x", ".."
	b.incoming(1, recording(h, body))
	if left := b.once(); left != 0 {
		t.Fatalf("%d left\n%s", left, b.log)
	}
	if _, ok := b.list("archive")["%2E.%2F..%2Fx/%2E./2026/11/18/"+testID(1)+".json"]; !ok {
		t.Errorf("the archive has %v", b.list("archive"))
	}
}

func TestStrangersInTheSpool(t *testing.T) {
	b := newBench(t)
	b.put("spool/incoming/notes.txt", "hi")
	b.put("spool/bad/notes.txt", "older")
	for name, plant := range map[string]error{
		"symlink":   os.Symlink("/etc/passwd", b.path("spool/incoming/"+testID(3)+".cast")),
		"directory": os.Mkdir(b.path("spool/incoming/"+testID(4)+".cast"), 0o755),
	} {
		if plant != nil {
			t.Fatal(name, plant)
		}
	}
	if left := b.once(); left != 0 {
		t.Fatalf("%d left\n%s", left, b.log)
	}
	in, err := os.ReadDir(b.path("spool/incoming"))
	if err != nil || len(in) != 0 {
		t.Errorf("incoming has %v, %v", in, err)
	}
	if got := b.list("spool/bad"); got["notes.txt"] != "older" || got["notes.txt.1"] != "hi" {
		t.Errorf("bad has %v", got)
	}
	if files := b.list("archive"); len(files) != 0 {
		t.Errorf("the archive has %v", files)
	}
}

func TestTheChainGoesOnOverRuns(t *testing.T) {
	b := newBench(t)
	previous := ""
	for n := 1; n <= 3; n++ {
		b.incoming(n, whole(n))
		if left := b.once(); left != 0 {
			t.Fatalf("%d left\n%s", left, b.log)
		}
		m, _ := b.archived(n)
		if m.Sequence != int64(n) || m.Previous != previous {
			t.Errorf("recording %d: sequence %d, previous %q; want previous %q", n, m.Sequence, m.Previous, previous)
		}
		text, _ := m.Encode()
		previous = manifest.Hash(text)
	}
}

func TestManifestsAreSigned(t *testing.T) {
	b := newBench(t)
	b.config.SigningKey = b.path("key")
	key := newKey(t, b.config.SigningKey)
	b.incoming(1, whole(1))
	if left := b.once(); left != 0 {
		t.Fatalf("%d left\n%s", left, b.log)
	}
	files := b.list("archive")
	base := "nobody-of-this-host/web1/2026/11/18/" + testID(1)
	got, err := manifest.VerifySignature([]byte(files[base+".json"]), []byte(files[base+".json.sig"]))
	if err != nil || !bytes.Equal(got.Marshal(), key.Marshal()) {
		t.Errorf("signed by %v, %v", got, err)
	}
}

func TestAMissingSigningKeyStopsTheUploader(t *testing.T) {
	b := newBench(t)
	b.config.SigningKey = b.path("none")
	_, err := New(context.Background(), b.config, slog.New(slog.DiscardHandler))
	var h interface{ Hint() string }
	if !errors.As(err, &h) || !strings.Contains(h.Hint(), "ssh-keygen") {
		t.Errorf("got %v", err)
	}
}
