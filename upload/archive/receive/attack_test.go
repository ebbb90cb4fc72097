// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The numbers are those of the attacks that a receiver without defences let through.

func TestPathsCannotLeave(t *testing.T) { // 801
	f := newFleet(t, Limits{})
	c := f.host("web1")
	body := compress([]byte(plainCast("web1", "alice")))
	for _, p := range []string{
		"/v1/recordings/..%2f..%2fesc/" + testDay + "/" + testID + ".cast.zst",
		"/v1/recordings/%2e%2e/" + testDay + "/" + testID + ".cast.zst",
		"/v1/recordings/.castgate/" + testDay + "/" + testID + ".cast.zst",
		"/v1/recordings/alice/2026/11/..%2f21/" + testID + ".cast.zst",
		"/v1/recordings/alice/2026/13/45/" + testID + ".cast.zst",
		"/v1/recordings/alice/" + testDay + "/..%2f" + testID + ".cast.zst",
		"/v1/recordings/alice/" + testDay + "/" + testID + ".cast.zst%00.json",
		"/v1/recordings/alice/" + testDay + "/" + testID + ".sh",
		"/v1/recordings/alice/" + testDay + "/" + strings.ToUpper(testID) + ".cast.zst",
		"/v1/recordings/a%0ab/" + testDay + "/" + testID + ".cast.zst",
		"/v1/recordings/" + strings.Repeat("a", 201) + "/" + testDay + "/" + testID + ".cast.zst",
		"/v1/live/..%2f..%2fx/0", "/v1/live/" + testID + "/-1", "/v1/live/" + testID + "/99999999999999999999",
	} {
		if status, answer := f.put(c, p, body); status != 400 {
			t.Errorf("%s: %d %s", p, status, answer)
		}
	}
	if got := f.files(); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
}

func TestHostIsTheCertificates(t *testing.T) { // 802
	f := newFleet(t, Limits{})
	c := f.host("web1")
	forged := compress([]byte(plainCast("db1", "alice")))
	if status, answer := f.do(c, "PUT", castPath, forged, "Content-Digest", digest(forged), "X-Hostname", "db1", "Host", "db1"); status != 400 {
		t.Errorf("another host's recording: %d %s", status, answer)
	}
	if status, answer := f.put(c, strings.Replace(castPath, ".cast.zst", ".json", 1), trueManifest(t, "db1", "alice", nil)); status != 400 {
		t.Errorf("another host's manifest: %d %s", status, answer)
	}
	if status, answer := f.put(c, strings.Replace(castPath, "alice", "bob", 1), compress([]byte(plainCast("web1", "alice")))); status != 400 {
		t.Errorf("another user's directory: %d %s", status, answer)
	}
	own := compress([]byte(plainCast("web1", "alice")))
	if status, _ := f.do(c, "PUT", castPath, own, "Content-Digest", digest(own), "X-Hostname", "db1"); status != 201 {
		t.Errorf("own recording: %d", status)
	}
	if got := strings.Join(f.files(), " "); strings.Contains(got, "db1") {
		t.Errorf("stored %s", got)
	}
	if status, answer := f.do(c, "POST", "/transcript", []byte("x"), "Content-Type", "application/typescript",
		"X-Username", "alice", "X-Hostname", "db1", "X-Gecos", "x"); status != 403 {
		t.Errorf("another host's transcript: %d %s", status, answer)
	}
}

func TestWithoutACertificate(t *testing.T) {
	f := newFleet(t, Limits{})
	c := f.http.Client()
	if resp, err := c.Get(f.http.URL + "/v1/"); err == nil {
		resp.Body.Close()
		t.Errorf("served: %s", resp.Status)
	}
	plain := httptestPlain(f)
	if plain != http.StatusForbidden {
		t.Errorf("plain HTTP: %d", plain)
	}
}

func httptestPlain(f *fleet) int {
	w := newRecorder()
	r, _ := http.NewRequest("PUT", castPath, nil)
	f.srv.ServeHTTP(w, r)
	return w.status
}

type recorder struct {
	header http.Header
	status int
	bytes.Buffer
}

func newRecorder() *recorder               { return &recorder{header: http.Header{}} }
func (r *recorder) Header() http.Header    { return r.header }
func (r *recorder) WriteHeader(status int) { r.status = status }

func TestOversize(t *testing.T) { // 804
	f := newFleet(t, Limits{Size: 10_000, Unpacked: 1 << 20})
	c := f.host("web1")
	big := make([]byte, 20_000)
	if status, answer := f.put(c, castPath, big); status != 413 {
		t.Errorf("announced: %d %s", status, answer)
	}
	// In chunks, the length is not announced. The header is sent before the
	// server has seen enough, so the body itself must go over.
	r, err := http.NewRequest("PUT", f.http.URL+strings.Replace(castPath, ".zst", ".zst.age", 1),
		io.MultiReader(strings.NewReader("age-encryption.org/v1\n"), bytes.NewReader(big)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Digest", digest(big))
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("in chunks: %s", resp.Status)
	}
}

func TestBombs(t *testing.T) { // 804, 805
	f := newFleet(t, Limits{Unpacked: 4 << 20})
	c := f.host("web1")
	line := "[0.1, \"o\", \"" + strings.Repeat("a", 60_000) + "\"]\n"
	bomb := compress([]byte(plainCast("web1", "alice") + strings.Repeat(line, 200)))
	if len(bomb) > 100_000 {
		t.Fatalf("the bomb is %d bytes", len(bomb))
	}
	if status, answer := f.put(c, castPath, bomb); status != 413 {
		t.Errorf("zstd: %d %s", status, answer)
	}
	// A frame header that asks for a window of 2 GiB and nothing behind it.
	window := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00}
	if status, answer := f.put(c, castPath, window); status != 400 {
		t.Errorf("window: %d %s", status, answer)
	}
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	_, _ = io.WriteString(w, strings.Repeat(" ", 1<<20))
	w.Close()
	if status, answer := f.do(c, "PUT", castPath, gz.Bytes(), "Content-Digest", digest(gz.Bytes()), "Content-Encoding", "gzip"); status != 400 {
		t.Errorf("gzip: %d %s", status, answer)
	}
	if got := f.files(); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
}

func TestSlowBodies(t *testing.T) { // 806
	p := &paced{r: strings.NewReader("x"), ctl: http.NewResponseController(newRecorder()), start: time.Now().Add(-grace - time.Minute)}
	if _, err := p.Read(make([]byte, 1)); statusOf(err) != http.StatusRequestTimeout {
		t.Errorf("a trickle goes on: %v", err)
	}
	p = &paced{r: strings.NewReader("x"), ctl: http.NewResponseController(newRecorder()), start: time.Now().Add(-grace - time.Minute), n: 1 << 20}
	if _, err := p.Read(make([]byte, 1)); err != nil {
		t.Errorf("a steady one: %v", err)
	}
}

func TestMalformed(t *testing.T) { // 808
	f := newFleet(t, Limits{})
	c := f.host("web1")
	good := plainCast("web1", "alice")
	for name, cast := range map[string]string{
		"empty":       "",
		"no header":   "hello\n",
		"NaN":         good + "[NaN, \"o\", \"x\"]\n",
		"negative":    good + "[-1, \"o\", \"x\"]\n",
		"nested":      strings.Repeat("[", 100_000) + "\n",
		"nested line": good + strings.Repeat("[", 100_000) + "\n",
		"cut line":    good + "[0.1, \"o\", \"x",
		"not UTF-8":   good + "[0.1, \"o\", \"\xff\"]\n",
		"huge size":   strings.Replace(good, `"cols":80`, `"cols":65534`, 1),
		"huge resize": good + "[0.1, \"r\", \"65534x65533\"]\n",
		"no resize":   good + "[0.1, \"r\", \"x\"]\n",
		"other id":    strings.Replace(good, "000000000001", "000000000002", 1),
		"long line":   good + "[0.1, \"o\", \"" + strings.Repeat("a", 17<<20) + "\"]\n",
	} {
		if status, answer := f.put(c, castPath, compress([]byte(cast))); status != 400 {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	manifestPath := strings.Replace(castPath, ".cast.zst", ".json", 1)
	for _, m := range []string{"", "{}", "[]", "null", strings.Repeat("[", 100_000), `{"id":"../../x"}`} {
		if status, answer := f.put(c, manifestPath, []byte(m)); status != 400 {
			t.Errorf("manifest %.20q: %d %s", m, status, answer)
		}
	}
	if status, answer := f.put(c, strings.Replace(castPath, ".cast.zst", ".json.sig", 1), []byte("x")); status != 400 {
		t.Errorf("signature: %d %s", status, answer)
	}
	body := compress([]byte(good))
	for _, d := range []string{"", "sha-256=::", "sha-256=:AAAA:", digest([]byte("other")), "sha-512=:AAAA:", digest(body) + "," + digest(body)} {
		if status, answer := f.do(c, "PUT", castPath, body, "Content-Digest", d); status != 400 {
			t.Errorf("digest %q: %d %s", d, status, answer)
		}
	}
	trailing := append(compress([]byte(good)), "garbage"...)
	if status, answer := f.put(c, castPath, trailing); status != 400 {
		t.Errorf("trailing bytes: %d %s", status, answer)
	}
	if got := f.files(); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
}

func TestCutUpload(t *testing.T) { // 809
	f := newFleet(t, Limits{})
	c := f.host("web1")
	body := compress([]byte(plainCast("web1", "alice")))
	tr := c.Transport.(*http.Transport)
	conn, err := tls.Dial("tcp", f.http.Listener.Addr().String(), tr.TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Digest: %s\r\nContent-Length: %d\r\n\r\n", castPath, digest(body), len(body))
	_, _ = conn.Write(body[:len(body)/2])
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil && resp.StatusCode != 400 {
		t.Errorf("half a body: %s", resp.Status)
	}
	conn.Close()
	if got := f.files(); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
	if status, _ := f.put(c, castPath, body); status != 201 {
		t.Errorf("the whole body after that: %d", status)
	}
}

func TestSymbolicLinksAreNotFollowedOut(t *testing.T) {
	f := newFleet(t, Limits{})
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(f.store, "alice")); err != nil {
		t.Fatal(err)
	}
	body := compress([]byte(plainCast("web1", "alice")))
	if status, answer := f.put(f.host("web1"), castPath, body); status != 500 || strings.Contains(answer, outside) {
		t.Errorf("%d %s", status, answer)
	}
	if got, _ := os.ReadDir(outside); len(got) != 0 {
		t.Errorf("written outside: %v", got)
	}
}

func TestLogLinesStayLines(t *testing.T) { // 810
	f := newFleet(t, Limits{})
	f.put(f.host("web1"), "/v1/recordings/a%0amsg=forged/"+testDay+"/"+testID+".json", []byte("{}"))
	for line := range strings.Lines(f.log.String()) {
		if strings.HasPrefix(line, "msg=") {
			t.Errorf("forged: %q", line)
		}
	}
	if !strings.Contains(f.log.String(), "what=refused host=web1") {
		t.Errorf("log: %s", f.log)
	}
}

func TestSmuggling(t *testing.T) {
	f := newFleet(t, Limits{})
	tr := f.host("web1").Transport.(*http.Transport)
	body := compress([]byte(plainCast("web1", "alice")))
	for _, headers := range []string{
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
		"Content-Length: 5\r\nContent-Length: 6\r\n",
		"Transfer-Encoding: xchunked\r\n",
		"Content-Length: +5\r\n",
	} {
		conn, err := tls.Dial("tcp", f.http.Listener.Addr().String(), tr.TLSClientConfig)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Digest: %s\r\n%s\r\n0\r\n\r\nPUT /v1/x HTTP/1.1\r\nHost: x\r\n\r\n", castPath, digest(body), headers)
		_ = conn.CloseWrite()
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			if resp.StatusCode < 400 {
				t.Errorf("%q: %s", headers, resp.Status)
			}
			if second, err := http.ReadResponse(in, nil); err == nil && !strings.Contains(headers, "chunked") {
				t.Errorf("%q: a second answer: %s", headers, second.Status)
			}
		}
		conn.Close()
	}
	if got := f.files(); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
}

func TestLimits(t *testing.T) {
	now := time.Unix(0, 0)
	g := newGate(Limits{Parallel: 3, PerHost: 2, Rate: 1, Burst: 4}.withDefaults())
	enter := func(host string) error {
		_, err := g.enter(host, now)
		return err
	}
	leave, err := g.enter("a", now)
	if err != nil || enter("a") != nil {
		t.Fatal("the first two are let in")
	}
	if enter("a") != errBusy {
		t.Error("a third of one host is let in")
	}
	if enter("b") != nil || enter("c") != errBusy {
		t.Error("of all hosts three are let in")
	}
	leave()
	if enter("a") != nil {
		t.Error("a place that was left stays taken")
	}
	g = newGate(Limits{Rate: 1, Burst: 2}.withDefaults())
	for i, want := range []error{nil, nil, errRate} {
		if err := enter("a"); err != want {
			t.Errorf("request %d of a burst of two: %v", i+1, err)
		}
	}
	now = now.Add(time.Second)
	if enter("a") != nil || enter("a") != errRate {
		t.Error("the rate is not one a second")
	}
}

func TestFullStore(t *testing.T) {
	f := newFleet(t, Limits{Free: 1 << 62})
	body := compress([]byte(plainCast("web1", "alice")))
	if status, answer := f.put(f.host("web1"), castPath, body); status != 507 {
		t.Errorf("%d %s", status, answer)
	}
}
