// SPDX-License-Identifier: AGPL-3.0-or-later

package uploadtest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"castgate/upload/archive/receive"
	"castgate/upload/bucket"
	"castgate/upload/manifest"
	"castgate/upload/target"
)

// Place is a target with what stands behind it.
type Place struct {
	target.Target
	Faults *Faulty
	// Copies is how many copies of the recording the place has, and whether
	// they are right.
	Copies func(d *target.Delivery) (int, error)
	// Spoil puts other bytes where the recording is to go; nil where there is
	// no such place.
	Spoil func(d *target.Delivery)
	// Never is a fault that no retry will change, "" where the protocol has none.
	Never string
	// Wrong makes the host's credential wrong; nil where there is none.
	Wrong func()
	Twice bool // a lost answer makes a second copy
	// Signer is who signs, where the host can't.
	Signer *bucket.Bucket
	S3     target.S3Config // of the bucket, where it is one
}

// Places are all targets. Each must pass the conformance test.
var Places = map[string]func(t *testing.T, b *Bench) Place{
	"dir":     dirPlace,
	"archive": archivePlace,

	"s3 by ticket, the bucket fails":  func(t *testing.T, b *Bench) Place { return TicketPlace(t, b, true) },
	"s3 by ticket, the archive fails": func(t *testing.T, b *Bench) Place { return TicketPlace(t, b, false) },
	"s3":                              S3Place,
	"asciinema":                       AsciinemaPlace,
	"ttyspy":                          ttyspyPlace,
}

// Make makes the target of a configuration.
func Make(t testing.TB, c target.Config) target.Target {
	t.Helper()
	made, err := c.New()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// OpenBucket opens the bucket of a target.
func OpenBucket(t testing.TB, c target.S3Config) *bucket.Bucket {
	t.Helper()
	b, err := bucket.Open(bucket.Config{
		Endpoint: c.Endpoint, Region: c.Region, Bucket: c.Bucket, Prefix: c.Prefix,
		CredentialsFile: c.CredentialsFile, Retain: c.Retain, PathStyle: c.PathStyle,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dirPlace(t *testing.T, b *Bench) Place {
	at := func(d *target.Delivery, suffix string) string { return b.Path("archive/" + d.Manifest.Path(suffix)) }
	return Place{
		Target: Make(t, target.Config{Dir: &target.DirConfig{Path: b.Path("archive")}}),
		Copies: func(d *target.Delivery) (int, error) {
			return count(d, func(suffix string) ([]byte, bool) {
				p, err := os.ReadFile(at(d, suffix))
				return p, err == nil
			})
		},
		Spoil: func(d *target.Delivery) {
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
func count(d *target.Delivery, get func(suffix string) ([]byte, bool)) (int, error) {
	want := map[string]string{d.Manifest.StoredSuffix(): d.Manifest.Stored.SHA256, manifest.JSONSuffix: manifest.Hash(d.JSON)}
	if d.Sig != nil {
		want[manifest.SigSuffix] = manifest.Hash(d.Sig)
	}
	n := 0
	for suffix, sum := range want {
		p, there := get(suffix)
		if !there {
			continue
		}
		n++
		if manifest.Hash(p) != sum {
			return n, fmt.Errorf("%s has other bytes", suffix)
		}
	}
	switch n {
	case 0:
		return 0, nil
	case len(want):
		return 1, nil
	}
	return 0, fmt.Errorf("%d of %d objects", n, len(want))
}

// place is a target that delivers to this bucket under "pre fix/é".
func (s *S3Server) place(to target.Target, f *Faulty) Place {
	key := func(d *target.Delivery, suffix string) string { return "pre fix/é/" + d.Manifest.Path(suffix) }
	return Place{
		Target: to, Faults: f, Never: "too large",
		Copies: func(d *target.Delivery) (int, error) {
			s.Mu.Lock()
			defer s.Mu.Unlock()
			return count(d, func(suffix string) ([]byte, bool) {
				p, ok := s.Objects[key(d, suffix)]
				return p, ok && s.Locks[key(d, suffix)] != ""
			})
		},
		Spoil: func(d *target.Delivery) {
			s.Objects[key(d, manifest.CastSuffix)] = []byte("other")
			delete(s.Sums, key(d, manifest.CastSuffix))
		},
	}
}

// S3Place is a bucket.
func S3Place(t *testing.T, b *Bench) Place {
	srv := NewS3Server()
	srv.Locked = true
	f := &Faulty{Handler: srv}
	h := httptest.NewServer(f)
	t.Cleanup(h.Close)
	b.Put("s3-credentials", "[default]\naws_access_key_id = testkey\naws_secret_access_key = testsecret\n")
	c := target.S3Config{Endpoint: h.URL, Bucket: "recordings", Prefix: "pre fix/é", CredentialsFile: b.Path("s3-credentials"), Retain: time.Hour, PathStyle: true}
	p := srv.place(Make(t, target.Config{S3: &c}), f)
	p.S3, p.Wrong = c, b.wrongSecret
	return p
}

// wrongSecret spoils the bucket's credential.
func (b *Bench) wrongSecret() {
	b.Put("s3-credentials", "aws_access_key_id=testkey\naws_secret_access_key=wrong\n")
}

// TicketPlace is a bucket that the host has no credential of, and the real
// receiver of `castgate serve` that signs. Either of them fails.
func TicketPlace(t *testing.T, b *Bench, bucketFails bool) Place {
	srv := NewS3Server()
	srv.Locked = true
	f := &Faulty{Handler: srv}
	var bucket http.Handler = srv
	if bucketFails { // at what the host sends
		bucket = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				f.ServeHTTP(w, r)
			} else {
				srv.ServeHTTP(w, r)
			}
		})
	}
	h := httptest.NewServer(bucket)
	t.Cleanup(h.Close)
	b.Put("s3-credentials", "[default]\naws_access_key_id = testkey\naws_secret_access_key = testsecret\n")
	c := target.S3Config{Endpoint: h.URL, Bucket: "recordings", Prefix: "pre fix/é", PathStyle: true}
	signs := c
	signs.CredentialsFile, signs.Retain = b.Path("s3-credentials"), time.Hour
	tickets := OpenBucket(t, signs)
	dir, err := receive.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := ServeArchiveWith(t, b, "web1", dir, func(s *receive.Server) http.Handler {
		s.Tickets = tickets
		if bucketFails {
			return s
		}
		f.Handler = s
		return f
	})
	c.Ticket = &a
	p := srv.place(Make(t, target.Config{S3: &c}), f)
	p.Signer, p.S3 = tickets, c
	p.Wrong = b.wrongSecret // the archive's
	if !bucketFails {
		p.Never = "400"
		p.Wrong = func() { b.strangers(a.CertFile, a.KeyFile) }
	}
	return p
}

// AsciinemaPlace is an asciinema server.
func AsciinemaPlace(t *testing.T, b *Bench) Place {
	srv := &AsciinemaServer{ID: InstallID}
	f := &Faulty{Handler: srv}
	h := httptest.NewServer(f)
	t.Cleanup(h.Close)
	b.Put("install-id", InstallID+"\n")
	c := target.AsciinemaConfig{URL: h.URL, InstallIDFile: b.Path("install-id"), Visibility: "private"}
	return Place{
		Target: Make(t, target.Config{Asciinema: &c}), Faults: f, Never: "422", Twice: true,
		Wrong: func() { b.Put("install-id", strings.Replace(InstallID, "7", "8", 1)) },
		Copies: func(d *target.Delivery) (n int, err error) {
			for _, u := range srv.Uploads {
				if strings.HasSuffix(u.Title, d.Manifest.Session.ID) {
					n++
				}
				if u.Visibility != "private" || u.User != d.Manifest.Session.User {
					err = fmt.Errorf("upload %+v", u)
				}
			}
			return n, err
		},
	}
}

func archivePlace(t *testing.T, b *Bench) Place {
	srv := &archiveServer{objects: map[string][]byte{}}
	f := &Faulty{Handler: srv}
	h := Mutual(t, b, f)
	c := target.ArchiveConfig{URL: h.URL, CAFile: b.Path("ca.pem"), CertFile: b.Path("cert.pem"), KeyFile: b.Path("key.pem")}
	at := func(d *target.Delivery, suffix string) string {
		return "/v1/recordings/nobody-of-this-host/2026/11/18/" + d.Manifest.Session.ID + suffix
	}
	return Place{
		Target: Make(t, target.Config{Archive: &c}), Faults: f, Never: "400",
		Wrong: func() { b.strangers(b.Path("cert.pem"), b.Path("key.pem")) },
		Copies: func(d *target.Delivery) (int, error) {
			return count(d, func(suffix string) ([]byte, bool) { p, ok := srv.objects[at(d, suffix)]; return p, ok })
		},
		Spoil: func(d *target.Delivery) { srv.objects[at(d, manifest.CastSuffix)] = []byte("other") },
	}
}

func ttyspyPlace(t *testing.T, b *Bench) Place {
	srv := &ttyspyServer{}
	f := &Faulty{Handler: srv}
	h := Mutual(t, b, f)
	c := target.TTYSpyConfig{URL: h.URL + "/transcript", CAFile: b.Path("ca.pem"), CertFile: b.Path("cert.pem"), KeyFile: b.Path("key.pem")}
	return Place{
		Target: Make(t, target.Config{TTYSpy: &c}), Faults: f, Twice: true,
		Wrong: func() { b.strangers(b.Path("cert.pem"), b.Path("key.pem")) },
		Copies: func(d *target.Delivery) (int, error) {
			for _, s := range srv.stored {
				if s != "hello\r\n" {
					return 0, fmt.Errorf("stored %q", s)
				}
			}
			return len(srv.stored), nil
		},
	}
}

// Bucket is a bucket on the strict stand-in, for servers of the archive.
func Bucket(t *testing.T, b *Bench) (*S3Server, *bucket.Bucket) {
	t.Helper()
	srv := NewS3Server()
	srv.Locked = true
	h := httptest.NewServer(Lister{srv})
	t.Cleanup(h.Close)
	b.Put("s3-credentials", "[default]\naws_access_key_id = testkey\naws_secret_access_key = testsecret\n")
	made, err := bucket.Open(bucket.Config{
		Endpoint: h.URL, Bucket: "recordings", Prefix: "pre fix", CredentialsFile: b.Path("s3-credentials"), Retain: time.Hour, PathStyle: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return srv, made
}
