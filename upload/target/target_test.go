// SPDX-License-Identifier: AGPL-3.0-or-later

package target_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"castgate/upload/bucket"
	"castgate/upload/client"
	"castgate/upload/manifest"

	. "castgate/upload/target"
	. "castgate/upload/uploadtest"
)

// TestS3ReadsNoObjectOfAnotherSize refuses by the size alone: what is there may
// be hundreds of gigabytes, and somebody may ask for it over and over.
func TestS3ReadsNoObjectOfAnotherSize(t *testing.T) {
	b := New(t)
	d := b.Packed(Whole(1))
	p := S3Place(t, b)
	p.Spoil(d)
	if _, err := p.Deliver(t.Context(), d); !client.IsRefused(err) || p.Faults.Seen != 2 { // PUT, HEAD
		t.Errorf("%v, %d requests", err, p.Faults.Seen)
	}
}

func TestS3ClockSkewIsCorrected(t *testing.T) {
	b := New(t)
	d := b.Packed(Whole(1))
	p := S3Place(t, b)
	p.Faults.Handler.(*S3Server).Skew = 3 * time.Hour
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Copies(d); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// smallParts make many of little.
var smallParts = bucket.Parts{From: 1000, Each: 10000}

// noise is a delivery that goes in six such parts at least.
func noise(b *Bench) *Delivery {
	b.T.Helper()
	var noise bytes.Buffer
	for range 3000 {
		fmt.Fprintf(&noise, "[0.1, \"o\", %q]\n", rand.Text())
	}
	d := b.Packed(Recording(Header(1), noise.String()))
	if n := smallParts.Count(d.Manifest.Stored.Bytes); n < 6 {
		b.T.Fatalf("only %d parts", n)
	}
	return d
}

func TestS3MultipartGoesOnWhereItStopped(t *testing.T) {
	b := New(t)
	d := noise(b)
	p := S3Place(t, b)
	srv := p.Faults.Handler.(*S3Server)
	BucketOf(p.Target).Parts = smallParts
	want := smallParts.Count(d.Manifest.Stored.Bytes)
	p.Faults.Then("", "", "", "", "", "", "reset") // HEAD, list, begin, three parts
	if _, err := p.Deliver(t.Context(), d); err == nil {
		t.Fatal("the cut try says that all is well")
	}
	if srv.Parts != 3 {
		t.Fatalf("%d parts", srv.Parts)
	}
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if srv.Parts != want {
		t.Errorf("%d parts were sent for %d", srv.Parts, want)
	}
	if got := srv.Objects["pre fix/é/"+d.Manifest.Path(manifest.CastSuffix)]; manifest.Hash(got) != d.Manifest.Stored.SHA256 {
		t.Error("the object has other bytes")
	}
	if _, err := p.Deliver(t.Context(), d); err != nil || srv.Parts != want {
		t.Errorf("again: %v, %d parts", err, srv.Parts)
	}
}

// TestS3MultipartDoesNotGoOnWithAnOldUpload: its lock is as old as itself.
func TestS3MultipartDoesNotGoOnWithAnOldUpload(t *testing.T) {
	b := New(t)
	d := noise(b)
	p := S3Place(t, b)
	srv := p.Faults.Handler.(*S3Server)
	BucketOf(p.Target).Parts = smallParts
	p.Faults.Then("", "", "", "", "", "", "reset") // HEAD, list, begin, three parts
	if _, err := p.Deliver(t.Context(), d); err == nil {
		t.Fatal("the cut try says that all is well")
	}
	old := srv.Uploads["upload-0"]
	old.Begun = time.Now().Add(-8 * 24 * time.Hour)
	p.Faults.Then("", "", "", "", "reset") // HEAD, list, begin, a part
	if _, err := p.Deliver(t.Context(), d); err == nil {
		t.Fatal("the cut try says that all is well")
	}
	if _, err := p.Deliver(t.Context(), d); err != nil { // with the young one
		t.Fatal(err)
	}
	want := smallParts.Count(d.Manifest.Stored.Bytes)
	if srv.Parts != 3+want || len(old.Parts) != 3 || len(srv.Uploads) != 1 {
		t.Errorf("%d parts were sent for %d, %d of them to the old upload; %d uploads are left", srv.Parts, want, len(old.Parts), len(srv.Uploads))
	}
}

// TestS3LengthCountsWhateverTheServerSaysOfSums cuts an object behind the
// server's back: the checksum that it kept is that of the whole.
func TestS3LengthCountsWhateverTheServerSaysOfSums(t *testing.T) {
	b := New(t)
	d := b.Packed(Whole(1))
	p := S3Place(t, b)
	srv := p.Faults.Handler.(*S3Server)
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	key := "pre fix/é/" + d.Manifest.Path(manifest.CastSuffix)
	srv.Objects[key] = srv.Objects[key][:10]
	if _, err := p.Deliver(t.Context(), d); !client.IsRefused(err) {
		t.Errorf("got %v", err)
	}
}

func TestS3VirtualHost(t *testing.T) {
	target, err := (Config{S3: &S3Config{Endpoint: "https://s3.example.org", Bucket: "rec"}}).New()
	if err != nil || target.Name() != "s3:rec.s3.example.org/" {
		t.Errorf("%v, %v", target.Name(), err)
	}
}

// TestAsciinemaIsAskedTenTimesAMinute holds the pace in any minute of many.
func TestAsciinemaIsAskedTenTimesAMinute(t *testing.T) {
	turn := PaceOf("asciinema.example.org")
	var asked []time.Time
	for now := time.Unix(0, 0); len(asked) < 50; now = now.Add(100 * time.Millisecond) {
		if turn(now) != nil {
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
	b := New(t)
	d := b.Packed(Whole(1))
	c, store := RealArchive(t, b, "web1")
	target, err := (Config{TTYSpy: &TTYSpyConfig{URL: c.URL + "/transcript", CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile}}).New()
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
	b := New(t)
	p := AsciinemaPlace(t, b)
	Move(p.Target, func(host string) string { return strings.Replace(host, "127.0.0.1", "localhost", 1) })
	d := b.Packed(Whole(1))
	if _, err := p.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Deliver(t.Context(), d); !errors.Is(err, client.ErrPaced) {
		t.Errorf("got %v", err)
	}
}

func TestTTYSpyHeaders(t *testing.T) {
	h := TTYSpyHeaders(&manifest.Session{User: "../../x", Host: "web1", Client: "192.0.2.7 50514", Server: "192.0.2.1 22"}, "Bob\r\nX-Evil: 1")
	want := http.Header{
		"Content-Type": {"application/typescript"}, "X-Username": {"%2E.%2F..%2Fx"}, "X-Hostname": {"web1"},
		"X-Gecos": {"BobX-Evil: 1"}, "X-Ssh-Client": {"192.0.2.7 50514 22"},
	}
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", h, want)
	}
}

func TestTargetConfigRefuses(t *testing.T) {
	m := func(c Config) Config { return c }
	for name, c := range map[string]Config{
		"none":            {},
		"two":             m(Config{Dir: &DirConfig{Path: "/a"}, S3: &S3Config{Endpoint: "https://h", Bucket: "b"}}),
		"relative":        {Dir: &DirConfig{Path: "a"}},
		"http":            {S3: &S3Config{Endpoint: "http://s3.example.org", Bucket: "b"}},
		"no bucket":       {S3: &S3Config{Endpoint: "https://h"}},
		"prefix":          {S3: &S3Config{Endpoint: "https://h", Bucket: "b", Prefix: "../x"}},
		"password in URL": {Archive: &ArchiveConfig{URL: "https://a:b@h", CAFile: "c", CertFile: "c", KeyFile: "k"}},
		"no certificate":  {Archive: &ArchiveConfig{URL: "https://h"}},
		"no path":         {TTYSpy: &TTYSpyConfig{URL: "https://h", CAFile: "c", CertFile: "c", KeyFile: "k"}},
		"visibility":      {Asciinema: &AsciinemaConfig{URL: "https://h", InstallIDFile: "f", Visibility: "secret"}},
		"no install id":   {Asciinema: &AsciinemaConfig{URL: "https://h"}},
	} {
		if target, err := c.New(); err == nil {
			t.Errorf("%s: %s", name, target.Name())
		}
	}
	if !slices.Contains([]string{"dir:/a"}, DirName("/a")) {
		t.Error("dir's name")
	}
}

// TestAnotherHostsCertificateIsRefused connects to a server of the right
// authority with the wrong name: by address, for which TLS sends no name, and
// by name.
func TestAnotherHostsCertificateIsRefused(t *testing.T) {
	b := New(t)
	d := b.Packed(Whole(1))
	served := false
	srv := Mutual(t, b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true }))
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// The certificate is for 127.0.0.1.
	for _, host := range []string{"localhost", "127.0.0.2"} {
		target, err := (Config{Archive: &ArchiveConfig{URL: "https://" + host + ":" + port, CAFile: b.Path("ca.pem"), CertFile: b.Path("cert.pem"), KeyFile: b.Path("key.pem")}}).New()
		if err != nil {
			t.Fatal(err)
		}
		transport := ClientOf(target).Transport.(*client.Bounded).Next.(*http.Transport)
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", srv.Listener.Addr().String())
		}
		if _, err := target.Deliver(t.Context(), d); err == nil || !strings.Contains(err.Error(), "certificate") || served {
			t.Errorf("%s: %v, served %v", host, err, served)
		}
	}
}
