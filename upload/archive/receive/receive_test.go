// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"castgate/upload/archive/ca"
	"castgate/upload/manifest"
)

const (
	testID  = "01935b7e-0000-7000-8000-000000000001"
	testDay = "2026/11/21"
)

// fleet is a server with its authority, on loopback.
type fleet struct {
	t     *testing.T
	ca    *ca.Authority
	store string
	srv   *Server
	http  *httptest.Server
	log   *bytes.Buffer
}

func newFleet(t *testing.T, limits Limits) *fleet {
	t.Helper()
	f := &fleet{t: t, store: filepath.Join(t.TempDir(), "store"), log: new(bytes.Buffer)}
	if err := os.Mkdir(f.store, 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	if f.ca, err = ca.Init(t.TempDir(), "test"); err != nil {
		t.Fatal(err)
	}
	if limits.Free == 0 {
		limits.Free = 1 // the machine's own free space is not what is tested
	}
	dir, err := OpenDir(f.store)
	if err != nil {
		t.Fatal(err)
	}
	f.srv = New(dir, limits, slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	f.http = httptest.NewUnstartedServer(f.srv)
	pool := x509.NewCertPool()
	pool.AddCert(f.ca.Cert)
	f.http.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	f.http.StartTLS()
	t.Cleanup(f.http.Close)
	return f
}

// host returns a client with a host's certificate.
func (f *fleet) host(name string) *http.Client {
	f.t.Helper()
	dir := f.t.TempDir()
	if _, err := f.ca.Host(name, dir, nil); err != nil {
		f.t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
	if err != nil {
		f.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(f.http.Certificate())
	tr := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool}}
	f.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func digest(p []byte) string { return digestOf(sha256.Sum256(p)) }

func digestOf(sum [sha256.Size]byte) string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// do sends one request and returns its status and body.
func (f *fleet) do(c *http.Client, method, path string, body []byte, header ...string) (int, string) {
	f.t.Helper()
	r, err := http.NewRequest(method, f.http.URL+path, bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(answer))
}

func (f *fleet) put(c *http.Client, path string, body []byte) (int, string) {
	f.t.Helper()
	return f.do(c, http.MethodPut, path, body, "Content-Digest", digest(body))
}

// files lists what is in the store, with the side directory left out.
func (f *fleet) files() (all []string) {
	f.t.Helper()
	err := fs.WalkDir(os.DirFS(f.store), ".", func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all = append(all, p)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

func compress(p []byte) []byte {
	enc, _ := zstd.NewWriter(nil)
	return enc.EncodeAll(p, nil)
}

func plainCast(host, user string) string {
	return fmt.Sprintf(`{"version":3,"term":{"cols":80,"rows":24},"timestamp":1795219200,"castgate":{"id":%q,"mode":"setgid","host":%q,"user":%q,"uid":1,"tty":true,"kind":"shell","version":"x"}}
[0.1, "o", "hello\r\n"]
[0.2, "r", "100x30"]
[0.3, "x", "0"]
`, testID, host, user)
}

const castPath = "/v1/recordings/alice/" + testDay + "/" + testID + ".cast.zst"

func TestStore(t *testing.T) {
	f := newFleet(t, Limits{})
	c := f.host("web1.example.org")
	body := compress([]byte(plainCast("web1", "alice")))
	status, answer := f.put(c, castPath, body)
	var rec Receipt
	if err := json.Unmarshal([]byte(answer), &rec); status != 201 || err != nil {
		t.Fatalf("%d %s", status, answer)
	}
	want := Receipt{manifest.Hash(body), int64(len(body)), "alice/web1.example.org/" + testDay + "/" + testID + ".cast.zst"}
	if rec != want {
		t.Errorf("receipt %+v, want %+v", rec, want)
	}
	got, err := os.ReadFile(filepath.Join(f.store, rec.Path))
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("stored %d bytes, %v", len(got), err)
	}
	if status, again := f.put(c, castPath, body); status != 200 || again != answer {
		t.Errorf("the same again: %d %s", status, again)
	}
	other := compress([]byte(plainCast("web1", "alice") + "[0.1, \"m\", \"more\"]\n"))
	if status, answer := f.put(c, castPath, other); status != 409 {
		t.Errorf("other bytes: %d %s", status, answer)
	}
	man := trueManifest(t, "web1", "alice", nil)
	if status, answer := f.put(c, strings.Replace(castPath, ".cast.zst", ".json", 1), man); status != 201 {
		t.Errorf("manifest: %d %s", status, answer)
	}
	sig := []byte("-----BEGIN SSH SIGNATURE-----\nx\n-----END SSH SIGNATURE-----\n")
	if status, answer := f.put(c, strings.Replace(castPath, ".cast.zst", ".json.sig", 1), sig); status != 201 {
		t.Errorf("signature: %d %s", status, answer)
	}
	if n := len(f.files()); n != 3 {
		t.Errorf("%d files: %q", n, f.files())
	}
}

func TestTwoHostsDoNotMeet(t *testing.T) {
	f := newFleet(t, Limits{})
	for _, host := range []string{"web1", "web2"} {
		body := compress([]byte(plainCast(host, "alice")))
		if status, answer := f.put(f.host(host), castPath, body); status != 201 {
			t.Errorf("%s: %d %s", host, status, answer)
		}
	}
	if got := strings.Join(f.files(), " "); !strings.Contains(got, "alice/web1/") || !strings.Contains(got, "alice/web2/") {
		t.Errorf("files %s", got)
	}
}
