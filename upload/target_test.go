// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"castgate/upload/bucket"
	"castgate/upload/client"
	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// A place is a target with what stands behind it.
type place struct {
	Target
	faults *faulty
	// copies is how many copies of the recording the place has, and whether
	// they are right.
	copies func(d *Delivery) (int, error)
	// spoil puts other bytes where the recording is to go; nil where there is
	// no such place.
	spoil func(d *Delivery)
	// never is a fault that no retry will change, "" where the protocol has none.
	never string
	// wrong makes the host's credential wrong; nil where there is none.
	wrong func()
	twice bool // a lost answer makes a second copy
	// signer is who signs, where the host can't.
	signer *bucket.Bucket
	s3     S3Config // of the bucket, where it is one
}

// places are all targets. Each must pass TestConformance.
var places = map[string]func(t *testing.T, b *bench) place{
	"dir":     dirPlace,
	"archive": archivePlace,

	"s3 by ticket, the bucket fails":  func(t *testing.T, b *bench) place { return ticketPlace(t, b, true) },
	"s3 by ticket, the archive fails": func(t *testing.T, b *bench) place { return ticketPlace(t, b, false) },
	"s3":                              s3Place,
	"asciinema":                       asciinemaPlace,
	"ttyspy":                          ttyspyPlace,
}

// packed returns recording n as a delivery.
func (b *bench) packed(n int, text string) *Delivery {
	b.t.Helper()
	b.incoming(n, text)
	u := b.open()
	if err := u.pack(testID(n)); err != nil {
		b.t.Fatal(err)
	}
	return u.delivery(testID(n), u.journal.parcel(testID(n)))
}

func dirPlace(t *testing.T, b *bench) place {
	at := func(d *Delivery, suffix string) string { return b.path("archive/" + d.Manifest.Path(suffix)) }
	return place{
		Target: &dirTarget{b.path("archive")},
		copies: func(d *Delivery) (int, error) {
			return count(d, func(suffix string) ([]byte, bool) {
				p, err := os.ReadFile(at(d, suffix))
				return p, err == nil
			})
		},
		spoil: func(d *Delivery) {
			if err := os.MkdirAll(path.Dir(at(d, "")), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at(d, manifest.CastSuffix), []byte("other"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// count compares a place's objects with the delivery's.
func count(d *Delivery, get func(suffix string) ([]byte, bool)) (int, error) {
	n := 0
	for _, o := range d.objects() {
		p, there := get(o.suffix)
		if !there {
			continue
		}
		n++
		if manifest.Hash(p) != o.SHA256 {
			return n, fmt.Errorf("%s has other bytes", o.suffix)
		}
	}
	switch n {
	case 0:
		return 0, nil
	case len(d.objects()):
		return 1, nil
	}
	return 0, fmt.Errorf("%d of %d objects", n, len(d.objects()))
}

// place is a target that delivers to this bucket under "pre fix/é".
func (s *s3Server) place(target Target, f *faulty) place {
	key := func(d *Delivery, suffix string) string { return "pre fix/é/" + d.Manifest.Path(suffix) }
	return place{
		Target: target, faults: f, never: "too large",
		copies: func(d *Delivery) (int, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return count(d, func(suffix string) ([]byte, bool) {
				p, ok := s.objects[key(d, suffix)]
				return p, ok && s.locks[key(d, suffix)] != ""
			})
		},
		spoil: func(d *Delivery) {
			s.objects[key(d, manifest.CastSuffix)] = []byte("other")
			delete(s.sums, key(d, manifest.CastSuffix))
		},
	}
}

func s3Place(t *testing.T, b *bench) place {
	srv := newS3Server()
	srv.lock = true
	f := &faulty{Handler: srv}
	h := httptest.NewServer(f)
	t.Cleanup(h.Close)
	b.put("s3-credentials", "[default]\naws_access_key_id = testkey\naws_secret_access_key = testsecret\n")
	c := S3Config{Endpoint: h.URL, Bucket: "recordings", Prefix: "pre fix/é", CredentialsFile: b.path("s3-credentials"), Retain: time.Hour, PathStyle: true}
	target, err := newS3Target(c)
	if err != nil {
		t.Fatal(err)
	}
	p := srv.place(target, f)
	p.s3, p.wrong = c, b.wrongSecret
	return p
}

// wrongSecret spoils the bucket's credential.
func (b *bench) wrongSecret() {
	b.put("s3-credentials", "aws_access_key_id=testkey\naws_secret_access_key=wrong\n")
}

func asciinemaPlace(t *testing.T, b *bench) place {
	srv := &asciinemaServer{id: testInstallID}
	f := &faulty{Handler: srv}
	h := httptest.NewServer(f)
	t.Cleanup(h.Close)
	b.put("install-id", testInstallID+"\n")
	target, err := newAsciinemaTarget(AsciinemaConfig{URL: h.URL, InstallIDFile: b.path("install-id"), Visibility: "private"})
	if err != nil {
		t.Fatal(err)
	}
	return place{
		Target: target, faults: f, never: "422", twice: true,
		wrong: func() { b.put("install-id", strings.Replace(testInstallID, "7", "8", 1)) },
		copies: func(d *Delivery) (n int, err error) {
			for _, u := range srv.uploads {
				if strings.HasSuffix(u.title, d.Manifest.Session.ID) {
					n++
				}
				if u.visibility != "private" || u.user != d.Manifest.Session.User {
					err = fmt.Errorf("upload %+v", u)
				}
			}
			return n, err
		},
	}
}

// authority is a certificate authority for a test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true})
	return a
}

func (a *authority) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if c.NotBefore.IsZero() {
		c.NotBefore = time.Now().Add(-time.Hour)
	}
	c.SerialNumber, c.NotAfter = big.NewInt(1), c.NotBefore.Add(2*time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func pemCert(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func (a *authority) pemKey(key *ecdsa.PrivateKey) string {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// host signs a client certificate in the name of web1.
func (a *authority) host() (*x509.Certificate, *ecdsa.PrivateKey) {
	return a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "web1"}, DNSNames: []string{"web1"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// strangers replaces a client certificate with one of the same name that
// another authority has signed.
func (b *bench) strangers(certFile, keyFile string) {
	a := newAuthority(b.t)
	cert, key := a.host()
	for name, text := range map[string]string{certFile: pemCert(cert), keyFile: a.pemKey(key)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

// mutual starts a server that wants client certificates of a new authority,
// and writes the client's files: ca.pem, cert.pem, key.pem.
func mutual(t *testing.T, b *bench, h http.Handler) *httptest.Server {
	t.Helper()
	return mutualFrom(t, b, h, time.Now().Add(-time.Hour))
}

// mutualFrom is mutual with a server whose certificate begins to be valid then.
func mutualFrom(t *testing.T, b *bench, h http.Handler, from time.Time) *httptest.Server {
	t.Helper()
	a := newAuthority(t)
	cert, key := a.sign(&x509.Certificate{NotBefore: from, Subject: pkix.Name{CommonName: "srv"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	srv := httptest.NewUnstartedServer(h)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	own, ownKey := a.host()
	b.put("ca.pem", pemCert(a.cert))
	b.put("cert.pem", pemCert(own))
	b.put("key.pem", a.pemKey(ownKey))
	return srv
}

// archiveServer answers as `castgate serve` does. The real one is tested in
// archive_real_test.go.
type archiveServer struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func (s *archiveServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	sum := "sha-256=:" + sumOf(body) + ":"
	s.mu.Lock()
	defer s.mu.Unlock()
	old, there := s.objects[r.URL.Path]
	status := http.StatusCreated
	switch {
	case err != nil || r.ContentLength != int64(len(body)) || r.Header.Get("Content-Digest") != sum || r.Method != http.MethodPut:
		status = http.StatusBadRequest
	case len(r.TLS.PeerCertificates) != 1 || r.TLS.PeerCertificates[0].Subject.CommonName != "web1":
		status = http.StatusForbidden
	case there && !bytes.Equal(old, body):
		status = http.StatusConflict
	case there:
		status = http.StatusOK
	default:
		s.objects[r.URL.Path] = body
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"sha256": manifest.Hash(body), "bytes": len(body), "path": r.URL.Path})
}

func archivePlace(t *testing.T, b *bench) place {
	srv := &archiveServer{objects: map[string][]byte{}}
	f := &faulty{Handler: srv}
	h := mutual(t, b, f)
	target, err := newArchiveTarget(ArchiveConfig{h.URL, b.path("ca.pem"), b.path("cert.pem"), b.path("key.pem")})
	if err != nil {
		t.Fatal(err)
	}
	at := func(d *Delivery, suffix string) string {
		return "/v1/recordings/nobody-of-this-host/2026/11/18/" + d.Manifest.Session.ID + suffix
	}
	return place{
		Target: target, faults: f, never: "400",
		wrong: func() { b.strangers(b.path("cert.pem"), b.path("key.pem")) },
		copies: func(d *Delivery) (int, error) {
			return count(d, func(suffix string) ([]byte, bool) { p, ok := srv.objects[at(d, suffix)]; return p, ok })
		},
		spoil: func(d *Delivery) { srv.objects[at(d, manifest.CastSuffix)] = []byte("other") },
	}
}

// ttyspyServer answers as session_receiver does, and is stricter: it panics at
// what that would store and complain about.
type ttyspyServer struct {
	mu     sync.Mutex
	stored []string
}

func (s *ttyspyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/transcript" {
		_, _ = io.WriteString(w, "This is an example server.\n")
		return
	}
	body, err := io.ReadAll(r.Body)
	h := r.Header
	switch {
	case err != nil:
		panic(http.ErrAbortHandler)
	case r.Method != http.MethodPost:
		http.Error(w, "404", http.StatusNotFound)
	case h.Get("Content-Type") != "application/typescript" || h.Get("X-Username") == "" || h.Get("X-Hostname") == "" || h.Get("X-Gecos") == "" || r.ContentLength != -1:
		http.Error(w, "499", 499)
	default:
		s.mu.Lock()
		s.stored = append(s.stored, string(body))
		s.mu.Unlock()
	}
}

func ttyspyPlace(t *testing.T, b *bench) place {
	srv := &ttyspyServer{}
	f := &faulty{Handler: srv}
	h := mutual(t, b, f)
	target, err := newTTYSpyTarget(TTYSpyConfig{h.URL + "/transcript", b.path("ca.pem"), b.path("cert.pem"), b.path("key.pem")})
	if err != nil {
		t.Fatal(err)
	}
	return place{
		Target: target, faults: f, twice: true,
		wrong: func() { b.strangers(b.path("cert.pem"), b.path("key.pem")) },
		copies: func(d *Delivery) (int, error) {
			for _, s := range srv.stored {
				if s != "hello\r\n" {
					return 0, fmt.Errorf("stored %q", s)
				}
			}
			return len(srv.stored), nil
		},
	}
}

// TestS3ReadsNoObjectOfAnotherSize refuses by the size alone: what is there may
// be hundreds of gigabytes, and somebody may ask for it over and over.
func TestS3ReadsNoObjectOfAnotherSize(t *testing.T) {
	b := newBench(t)
	d := b.packed(1, whole(1))
	p := s3Place(t, b)
	p.spoil(d)
	if _, err := p.Deliver(t.Context(), d); !client.IsRefused(err) || p.faults.seen != 2 { // PUT, HEAD
		t.Errorf("%v, %d requests", err, p.faults.seen)
	}
}

func TestS3ClockSkewIsCorrected(t *testing.T) {
	b := newBench(t)
	d := b.packed(1, whole(1))
	p := s3Place(t, b)
	p.faults.Handler.(*s3Server).skew = 3 * time.Hour
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if n, err := p.copies(d); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// smallParts make many of little.
var smallParts = bucket.Parts{From: 1000, Each: 10000}

// noise is a delivery that goes in six such parts at least.
func (b *bench) noise() *Delivery {
	b.t.Helper()
	var noise bytes.Buffer
	for range 3000 {
		fmt.Fprintf(&noise, "[0.1, \"o\", %q]\n", rand.Text())
	}
	d := b.packed(1, recording(header(1), noise.String()))
	if n := smallParts.Count(d.Manifest.Stored.Bytes); n < 6 {
		b.t.Fatalf("only %d parts", n)
	}
	return d
}

func TestS3MultipartGoesOnWhereItStopped(t *testing.T) {
	b := newBench(t)
	d := b.noise()
	p := s3Place(t, b)
	srv := p.faults.Handler.(*s3Server)
	p.Target.(*s3Target).bucket.Parts = smallParts
	want := smallParts.Count(d.Manifest.Stored.Bytes)
	p.faults.then("", "", "", "", "", "", "reset") // HEAD, list, begin, three parts
	if _, err := p.Deliver(t.Context(), d); err == nil {
		t.Fatal("the cut try says that all is well")
	}
	if srv.parts != 3 {
		t.Fatalf("%d parts", srv.parts)
	}
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if srv.parts != want {
		t.Errorf("%d parts were sent for %d", srv.parts, want)
	}
	if got := srv.objects["pre fix/é/"+d.Manifest.Path(manifest.CastSuffix)]; manifest.Hash(got) != d.Manifest.Stored.SHA256 {
		t.Error("the object has other bytes")
	}
	if _, err := p.Deliver(t.Context(), d); err != nil || srv.parts != want {
		t.Errorf("again: %v, %d parts", err, srv.parts)
	}
}

// TestS3MultipartDoesNotGoOnWithAnOldUpload: its lock is as old as itself.
func TestS3MultipartDoesNotGoOnWithAnOldUpload(t *testing.T) {
	b := newBench(t)
	d := b.noise()
	p := s3Place(t, b)
	srv := p.faults.Handler.(*s3Server)
	p.Target.(*s3Target).bucket.Parts = smallParts
	p.faults.then("", "", "", "", "", "", "reset") // HEAD, list, begin, three parts
	if _, err := p.Deliver(t.Context(), d); err == nil {
		t.Fatal("the cut try says that all is well")
	}
	old := srv.uploads["upload-0"]
	old.begun = time.Now().Add(-8 * 24 * time.Hour)
	p.faults.then("", "", "", "", "reset") // HEAD, list, begin, a part
	if _, err := p.Deliver(t.Context(), d); err == nil {
		t.Fatal("the cut try says that all is well")
	}
	if _, err := p.Deliver(t.Context(), d); err != nil { // with the young one
		t.Fatal(err)
	}
	want := smallParts.Count(d.Manifest.Stored.Bytes)
	if srv.parts != 3+want || len(old.parts) != 3 || len(srv.uploads) != 1 {
		t.Errorf("%d parts were sent for %d, %d of them to the old upload; %d uploads are left", srv.parts, want, len(old.parts), len(srv.uploads))
	}
}

// TestS3LengthCountsWhateverTheServerSaysOfSums cuts an object behind the
// server's back: the checksum that it kept is that of the whole.
func TestS3LengthCountsWhateverTheServerSaysOfSums(t *testing.T) {
	b := newBench(t)
	d := b.packed(1, whole(1))
	p := s3Place(t, b)
	srv := p.faults.Handler.(*s3Server)
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	key := "pre fix/é/" + d.Manifest.Path(manifest.CastSuffix)
	srv.objects[key] = srv.objects[key][:10]
	if _, err := p.Deliver(t.Context(), d); !client.IsRefused(err) {
		t.Errorf("got %v", err)
	}
}

func TestS3VirtualHost(t *testing.T) {
	target, err := newS3Target(S3Config{Endpoint: "https://s3.example.org", Bucket: "rec"})
	if err != nil || target.Name() != "s3:rec.s3.example.org/" {
		t.Errorf("%v, %v", target.Name(), err)
	}
}

func TestAsciinemaRepairsItsCopy(t *testing.T) {
	h := header(1)
	h.Term.Cols, h.Term.Rows = 1000, 1000
	h.Term.Theme = &asciicast.Theme{Fg: "#FFFFFF", Bg: "#000000", Palette: "x"}
	h.Env = map[string]string{"SHELL": "/bin/bash", "http_proxy": "x"}
	h.Command = strings.Repeat("é", 300)
	h.Session.User = strings.Repeat("u", 150)
	text := recording(h, body+"#raw //79\n"+`[0.1, "o", "\ufffd"]`+"\n"+`[0.1, "r", "900x900"]`+"\n"+`[0.1, "z", "?"]`+"\n"+`[0.1, "x", "0"]`+"\n")
	for _, legacy := range []bool{false, true} {
		b := newBench(t)
		p := asciinemaPlace(t, b)
		srv := p.faults.Handler.(*asciinemaServer)
		srv.legacy = legacy
		d := b.packed(1, text)
		receipt, err := p.Deliver(t.Context(), d)
		if err != nil {
			t.Fatalf("legacy %v: %v %v", legacy, err, srv.refusals)
		}
		got := srv.uploads[0].file
		if receipt.SHA256 != manifest.Hash([]byte(got)) || !strings.Contains(receipt.Where, "/a/1") {
			t.Errorf("receipt %+v", receipt)
		}
		if strings.Contains(got, "#raw") || strings.Contains(got, "http_proxy") || !strings.Contains(got, "720x200") {
			t.Errorf("uploaded %s", got)
		}
		if !strings.Contains(got, d.Manifest.Session.ID) {
			t.Error("the title has no id")
		}
		if s, _ := os.ReadFile(b.path("spool/incoming/" + testID(1) + ".cast")); string(s) != text {
			t.Error("our own recording was changed")
		}
	}
}

// TestAsciinemaGetsWhatHasNoEndOrNoEvents uploads what was cut and what showed
// nothing, to both kinds of server; the recording's URL is told and kept.
func TestAsciinemaGetsWhatHasNoEndOrNoEvents(t *testing.T) {
	for name, text := range map[string]string{"cut": recording(header(1), body+`[0.1, "o", "half`), "nothing": recording(header(1), "")} {
		for _, legacy := range []bool{false, true} {
			b := newBench(t)
			p := asciinemaPlace(t, b)
			srv := p.faults.Handler.(*asciinemaServer)
			srv.legacy = legacy
			b.put("spool/live/"+testID(1)+".cast", text) // its recorder died
			u := b.open().with(p.Target)
			if left, err := u.Once(t.Context()); left != 0 || err != nil || len(srv.uploads) != 1 {
				t.Fatalf("%s, legacy %v: %d left, %v %v\n%s", name, legacy, left, err, srv.refusals, b.log)
			}
			if !strings.Contains(b.log.String(), "/a/1 ") {
				t.Errorf("the URL is not told: %s", b.log)
			}
			s, err := ReadStatus(b.config, time.Now())
			if err != nil || len(s.Recordings) != 1 || len(s.Recordings[0].Targets) != 1 || !strings.HasSuffix(s.Recordings[0].Targets[0].Where, "/a/1") {
				t.Errorf("status %+v, %v", s, err)
			}
		}
	}
}

// TestAsciinemaIsAskedTenTimesAMinute holds the pace in any minute of many.
func TestAsciinemaIsAskedTenTimesAMinute(t *testing.T) {
	target := &asciinemaTarget{url: &url.URL{Host: "asciinema.example.org"}}
	var asked []time.Time
	for now := time.Unix(0, 0); len(asked) < 50; now = now.Add(100 * time.Millisecond) {
		if target.turn(now) != nil {
			continue
		}
		asked = append(asked, now)
		if n := len(asked); n > 10 && now.Sub(asked[n-11]) <= time.Minute {
			t.Fatalf("11 within %v", now.Sub(asked[n-11]))
		}
	}
	if took := asked[49].Sub(asked[0]); took > 6*time.Minute {
		t.Errorf("50 take %v", took)
	}
}

// TestTTYSpyDeliversToOurArchive lets the one end of the protocol talk to the
// other.
func TestTTYSpyDeliversToOurArchive(t *testing.T) {
	b := newBench(t)
	d := b.packed(1, whole(1))
	c, store := realArchive(t, b, "web1")
	target, err := newTTYSpyTarget(TTYSpyConfig{c.URL + "/transcript", c.CAFile, c.CertFile, c.KeyFile})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	found := 0
	v := &manifest.Verifier{}
	faults, err := v.All(os.DirFS(store), func(_ string, m *manifest.Manifest, f []manifest.Fault) {
		found++
		if len(f) > 0 || m.Session.User != d.Manifest.Session.User || m.Session.Host != "web1" {
			t.Errorf("%v %+v", f, m)
		}
	})
	if found != 1 || len(faults) > 0 || err != nil {
		t.Errorf("%d recordings, %v, %v", found, faults, err)
	}
}

func TestAsciinemaWaitsForItsTurn(t *testing.T) {
	b := newBench(t)
	p := asciinemaPlace(t, b)
	target := p.Target.(*asciinemaTarget)
	u := *target.url
	u.Host = strings.Replace(u.Host, "127.0.0.1", "localhost", 1)
	target.url = &u
	d := b.packed(1, whole(1))
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Deliver(t.Context(), d); !errors.Is(err, errPaced) {
		t.Errorf("got %v", err)
	}
}

func TestTTYSpyHeaders(t *testing.T) {
	target := &ttyspyTarget{gecos: func(string) string { return "Bob\r\nX-Evil: 1" }}
	h := http.Header{}
	target.headers(h, &manifest.Session{User: "../../x", Host: "web1", Client: "192.0.2.7 50514", Server: "192.0.2.1 22"})
	want := http.Header{
		"Content-Type": {"application/typescript"}, "X-Username": {"%2E.%2F..%2Fx"}, "X-Hostname": {"web1"},
		"X-Gecos": {"BobX-Evil: 1"}, "X-Ssh-Client": {"192.0.2.7 50514 22"},
	}
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", h, want)
	}
}

func TestTargetConfigRefuses(t *testing.T) {
	m := func(c TargetConfig) TargetConfig { return c }
	for name, c := range map[string]TargetConfig{
		"none":            {},
		"two":             m(TargetConfig{Dir: &DirConfig{"/a"}, S3: &S3Config{Endpoint: "https://h", Bucket: "b"}}),
		"relative":        {Dir: &DirConfig{"a"}},
		"http":            {S3: &S3Config{Endpoint: "http://s3.example.org", Bucket: "b"}},
		"no bucket":       {S3: &S3Config{Endpoint: "https://h"}},
		"prefix":          {S3: &S3Config{Endpoint: "https://h", Bucket: "b", Prefix: "../x"}},
		"password in URL": {Archive: &ArchiveConfig{URL: "https://a:b@h", CAFile: "c", CertFile: "c", KeyFile: "k"}},
		"no certificate":  {Archive: &ArchiveConfig{URL: "https://h"}},
		"no path":         {TTYSpy: &TTYSpyConfig{URL: "https://h", CAFile: "c", CertFile: "c", KeyFile: "k"}},
		"visibility":      {Asciinema: &AsciinemaConfig{URL: "https://h", InstallIDFile: "f", Visibility: "secret"}},
		"no install id":   {Asciinema: &AsciinemaConfig{URL: "https://h"}},
	} {
		if target, err := c.target(); err == nil {
			t.Errorf("%s: %s", name, target.Name())
		}
	}
	if !slices.Contains([]string{"dir:/a"}, (&dirTarget{"/a"}).Name()) {
		t.Error("dir's name")
	}
}

// TestAnotherHostsCertificateIsRefused connects to a server of the right
// authority with the wrong name: by address, for which TLS sends no name, and
// by name.
func TestAnotherHostsCertificateIsRefused(t *testing.T) {
	b := newBench(t)
	d := b.packed(1, whole(1))
	served := false
	srv := mutual(t, b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true }))
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// The certificate is for 127.0.0.1.
	for _, host := range []string{"localhost", "127.0.0.2"} {
		target, err := newArchiveTarget(ArchiveConfig{"https://" + host + ":" + port, b.path("ca.pem"), b.path("cert.pem"), b.path("key.pem")})
		if err != nil {
			t.Fatal(err)
		}
		transport := target.(*archiveTarget).client.Transport.(*client.Bounded).Next.(*http.Transport)
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", srv.Listener.Addr().String())
		}
		if _, err := target.Deliver(t.Context(), d); err == nil || !strings.Contains(err.Error(), "certificate") || served {
			t.Errorf("%s: %v, served %v", host, err, served)
		}
	}
}
