// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"castgate/upload/client"
)

// TestConformance holds every target to the same. What else each must bear:
// full disks TestDiskFullAtEveryWrite, 2 GiB TestABigRecordingIsSentInConstantMemory,
// TLS TestTLSFailuresAreRetried, clocks that are wrong TestS3ClockSkewIsCorrected
// and TestTicketsFollowTheBucketsClock, stalls TestAStalledServerIsLeft.
func TestConformance(t *testing.T) {
	for name, build := range places {
		t.Run(name, func(t *testing.T) { conform(t, build) })
	}
}

// conforming is a place and a delivery for it.
func conforming(t *testing.T, build func(*testing.T, *bench) place) (*bench, place, *Delivery) {
	b := newBench(t)
	b.config.SigningKey = b.path("key")
	newKey(t, b.config.SigningKey)
	d := b.packed(1, whole(1))
	return b, build(t, b), d
}

// has checks how many copies a place has.
func (p place) has(t *testing.T, d *Delivery, want int) {
	t.Helper()
	if n, err := p.copies(d); n != want || err != nil {
		t.Errorf("%d copies, %v; want %d", n, err, want)
	}
}

func conform(t *testing.T, build func(*testing.T, *bench) place) {
	t.Run("success, and again", func(t *testing.T) {
		_, p, d := conforming(t, build)
		first, err := p.Deliver(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		p.has(t, d, 1)
		if len(first.SHA256) != 64 || first.Bytes <= 0 || first.Where == "" {
			t.Errorf("receipt %+v", first)
		}
		if p.twice {
			return
		}
		if first.SHA256 != d.Manifest.Stored.SHA256 {
			t.Errorf("the receipt names %s", first.SHA256)
		}
		second, err := p.Deliver(t.Context(), d)
		if err != nil || second != first {
			t.Errorf("again: %+v, %v; want %+v", second, err, first)
		}
		p.has(t, d, 1)
	})
	t.Run("canceled", func(t *testing.T) {
		_, p, d := conforming(t, build)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.Deliver(ctx, d); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	_, p, _ := conforming(t, build)
	if !p.twice { // else it is sent from the spool
		t.Run("the stage has gone bad", func(t *testing.T) {
			_, p, d := conforming(t, build)
			d.Stored = func() (io.ReadSeekCloser, error) {
				return nopCloser{bytes.NewReader(make([]byte, d.Manifest.Stored.Bytes))}, nil
			}
			if r, err := p.Deliver(t.Context(), d); err == nil {
				t.Errorf("receipt %+v", r)
			}
		})
	}
	if p.never != "" {
		t.Run("refused for good", func(t *testing.T) {
			conformRefused(t, build, "too ugly", func(p place, _ *Delivery) { p.faults.then(p.never) })
		})
	}
	if p.spoil != nil {
		t.Run("another recording is there", func(t *testing.T) {
			conformRefused(t, build, "", func(p place, d *Delivery) { p.spoil(d) })
		})
	}
	if p.wrong != nil {
		t.Run("wrong credentials", func(t *testing.T) {
			_, p, d := conforming(t, build)
			p.wrong()
			if r, err := p.Deliver(t.Context(), d); err == nil || client.IsRefused(err) {
				t.Errorf("got %+v, %v", r, err)
			}
			p.has(t, d, 0)
		})
	}
	if p.faults != nil { // else it has no server
		conformServer(t, build)
	}
}

// conformRefused breaks a place for good: the recording goes to bad/, with the
// reason, and is not tried again.
func conformRefused(t *testing.T, build func(*testing.T, *bench) place, says string, ruin func(place, *Delivery)) {
	b := newBench(t)
	b.incoming(1, whole(1))
	p := build(t, b)
	u := b.open().with(p.Target)
	if err := u.pack(testID(1)); err != nil {
		t.Fatal(err)
	}
	ruin(p, u.delivery(testID(1), u.journal.parcel(testID(1))))
	if left, err := u.Once(t.Context()); left != 0 || err != nil {
		t.Errorf("%d left, %v", left, err)
	}
	got := b.list("spool")
	why := got["bad/"+testID(1)+".cast.txt"]
	if len(got) != 2 || got["bad/"+testID(1)+".cast"] != whole(1) || !strings.HasPrefix(why, p.Name()+": ") || !strings.Contains(why, says) {
		t.Errorf("the spool has %q", got)
	}
}

// conformServer lets a place's server fail once, in every way that passes.
func conformServer(t *testing.T, build func(*testing.T, *bench) place) {
	t.Run("slow", func(t *testing.T) {
		_, p, d := conforming(t, build)
		p.faults.then("slow", "slow", "slow")
		if _, err := p.Deliver(t.Context(), d); err != nil {
			t.Error(err)
		}
		p.has(t, d, 1)
	})
	for _, mode := range []string{"500", "403", "507", "reset", "redirect", "garbage", "503 later", "429 reset", "lost answer"} {
		t.Run(mode, func(t *testing.T) {
			_, p, d := conforming(t, build)
			if _, direct := p.Target.(*s3Target); mode == "garbage" && direct {
				return // a status of 200 is S3's receipt
			}
			p.faults.then(mode)
			r, err := p.Deliver(t.Context(), d)
			if err == nil || client.IsRefused(err) {
				t.Fatalf("got %+v, %v", r, err)
			}
			var later *Later
			if asked := mode == "503 later" || mode == "429 reset"; asked != errors.As(err, &later) {
				t.Errorf("got %v, later %v", err, later)
			} else if asked && time.Until(later.At) < time.Minute {
				t.Errorf("later is %v", later.At)
			}
			if _, err := p.Deliver(t.Context(), d); err != nil {
				t.Fatalf("the next try: %v", err)
			}
			want := 1
			if p.twice && mode == "lost answer" {
				want = 2
			}
			p.has(t, d, want)
		})
	}
}

// TestTLSFailuresAreRetried connects to servers that are not who they should
// be, and to one whose clock, or ours, is wrong.
func TestTLSFailuresAreRetried(t *testing.T) {
	b := newBench(t)
	d := b.packed(1, whole(1))
	served := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("served") })
	stranger := httptest.NewTLSServer(served)
	defer stranger.Close()
	tomorrow := mutualFrom(t, b, served, time.Now().Add(24*time.Hour))
	b.put("install-id", testInstallID)
	b.put("s3-credentials", "aws_access_key_id=testkey\naws_secret_access_key=testsecret\n")
	archive := func(url, ca string) ArchiveConfig {
		return ArchiveConfig{url, b.path(ca), b.path("cert.pem"), b.path("key.pem")}
	}
	unknown, unreadable, early := archive(stranger.URL, "ca.pem"), archive(stranger.URL, "none.pem"), archive(tomorrow.URL, "ca.pem")
	for _, tt := range []struct {
		TargetConfig
		says string
	}{
		{TargetConfig{Archive: &unknown}, "certificate"},
		{TargetConfig{Archive: &unreadable}, "certificate"},
		{TargetConfig{Archive: &early}, "not yet valid"},
		{TargetConfig{TTYSpy: &TTYSpyConfig{stranger.URL + "/transcript", b.path("ca.pem"), b.path("cert.pem"), b.path("key.pem")}}, "certificate"},
		{TargetConfig{TTYSpy: &TTYSpyConfig{tomorrow.URL + "/transcript", b.path("ca.pem"), b.path("cert.pem"), b.path("key.pem")}}, "not yet valid"},
		{TargetConfig{Asciinema: &AsciinemaConfig{URL: stranger.URL, InstallIDFile: b.path("install-id")}}, "certificate"},
		{TargetConfig{S3: &S3Config{Endpoint: stranger.URL, Bucket: "rec", PathStyle: true, CredentialsFile: b.path("s3-credentials")}}, "certificate"},
		{TargetConfig{S3: &S3Config{Endpoint: stranger.URL, Bucket: "rec", PathStyle: true, Ticket: &unknown}}, "certificate"},
		{TargetConfig{S3: &S3Config{Endpoint: stranger.URL, Bucket: "rec", PathStyle: true, Ticket: &early}}, "not yet valid"},
	} {
		target, err := tt.target()
		if err != nil {
			t.Fatal(err)
		}
		_, err = target.Deliver(t.Context(), d)
		if err == nil || client.IsRefused(err) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", target.Name(), err)
		}
	}
}
