// SPDX-License-Identifier: AGPL-3.0-or-later

package target_test

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

	. "castgate/upload/target"
	. "castgate/upload/uploadtest"
)

// TestConformance holds every target to the same. What else each must bear:
// full disks TestDiskFullAtEveryWrite, 2 GiB TestABigRecordingIsSentInConstantMemory,
// TLS TestTLSFailuresAreRetried, clocks that are wrong TestS3ClockSkewIsCorrected
// and TestTicketsFollowTheBucketsClock, stalls TestAStalledServerIsLeft.
func TestConformance(t *testing.T) {
	for name, build := range Places {
		t.Run(name, func(t *testing.T) { conform(t, build) })
	}
}

// conforming is a place and a delivery for it.
func conforming(t *testing.T, build func(*testing.T, *Bench) Place) (*Bench, Place, *Delivery) {
	b := New(t).Signing()
	d := b.Packed(Whole(1))
	return b, build(t, b), d
}

// refusals are what ends in a refusal at a place.
func refusals(p Place) map[string]func(Place, *Delivery) {
	all := map[string]func(Place, *Delivery){}
	if p.Never != "" {
		all["refused for good"] = func(p Place, _ *Delivery) { p.Faults.Then(p.Never) }
	}
	if p.Spoil != nil {
		all["another recording is there"] = func(p Place, d *Delivery) { p.Spoil(d) }
	}
	return all
}

// has checks how many copies a Place has.
func has(t *testing.T, p Place, d *Delivery, want int) {
	t.Helper()
	if n, err := p.Copies(d); n != want || err != nil {
		t.Errorf("%d copies, %v; want %d", n, err, want)
	}
}

func conform(t *testing.T, build func(*testing.T, *Bench) Place) {
	t.Run("success, and again", func(t *testing.T) {
		_, p, d := conforming(t, build)
		first, err := p.Deliver(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		has(t, p, d, 1)
		if len(first.SHA256) != 64 || first.Bytes <= 0 || first.Where == "" {
			t.Errorf("receipt %+v", first)
		}
		if p.Twice {
			return
		}
		if first.SHA256 != d.Manifest.Stored.SHA256 {
			t.Errorf("the receipt names %s", first.SHA256)
		}
		second, err := p.Deliver(t.Context(), d)
		if err != nil || second != first {
			t.Errorf("again: %+v, %v; want %+v", second, err, first)
		}
		has(t, p, d, 1)
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
	if !p.Twice { // else it is sent from the spool
		t.Run("the stage has gone bad", func(t *testing.T) {
			_, p, d := conforming(t, build)
			d.Stored = func() (io.ReadSeekCloser, error) {
				return MemoryFile{Reader: bytes.NewReader(make([]byte, d.Manifest.Stored.Bytes))}, nil
			}
			if r, err := p.Deliver(t.Context(), d); err == nil {
				t.Errorf("receipt %+v", r)
			}
		})
	}
	for name, ruin := range refusals(p) {
		t.Run(name, func(t *testing.T) {
			_, p, d := conforming(t, build)
			ruin(p, d)
			if r, err := p.Deliver(t.Context(), d); !client.IsRefused(err) {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
	if p.Wrong != nil {
		t.Run("wrong credentials", func(t *testing.T) {
			_, p, d := conforming(t, build)
			p.Wrong()
			if r, err := p.Deliver(t.Context(), d); err == nil || client.IsRefused(err) {
				t.Errorf("got %+v, %v", r, err)
			}
			has(t, p, d, 0)
		})
	}
	if p.Faults != nil { // else it has no server
		conformServer(t, build)
	}
}

// conformServer lets a place's server fail once, in every way that passes.
func conformServer(t *testing.T, build func(*testing.T, *Bench) Place) {
	t.Run("slow", func(t *testing.T) {
		_, p, d := conforming(t, build)
		p.Faults.Then("slow", "slow", "slow")
		if _, err := p.Deliver(t.Context(), d); err != nil {
			t.Error(err)
		}
		has(t, p, d, 1)
	})
	for _, mode := range []string{"500", "403", "507", "reset", "redirect", "garbage", "503 later", "429 reset", "lost answer"} {
		t.Run(mode, func(t *testing.T) {
			_, p, d := conforming(t, build)
			if mode == "garbage" && IsBucket(p.Target) {
				return // a status of 200 is S3's receipt
			}
			p.Faults.Then(mode)
			r, err := p.Deliver(t.Context(), d)
			if err == nil || client.IsRefused(err) {
				t.Fatalf("got %+v, %v", r, err)
			}
			var later *client.Later
			if asked := mode == "503 later" || mode == "429 reset"; asked != errors.As(err, &later) {
				t.Errorf("got %v, later %v", err, later)
			} else if asked && time.Until(later.At) < time.Minute {
				t.Errorf("later is %v", later.At)
			}
			if _, err := p.Deliver(t.Context(), d); err != nil {
				t.Fatalf("the next try: %v", err)
			}
			want := 1
			if p.Twice && mode == "lost answer" {
				want = 2
			}
			has(t, p, d, want)
		})
	}
}

// TestTLSFailuresAreRetried connects to servers that are not who they should
// be, and to one whose clock, or ours, is wrong.
func TestTLSFailuresAreRetried(t *testing.T) {
	b := New(t)
	d := b.Packed(Whole(1))
	served := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("served") })
	stranger := httptest.NewTLSServer(served)
	defer stranger.Close()
	tomorrow := MutualFrom(t, b, served, time.Now().Add(24*time.Hour))
	b.Put("install-id", InstallID)
	b.Put("s3-credentials", "aws_access_key_id=testkey\naws_secret_access_key=testsecret\n")
	archive := func(url, ca string) ArchiveConfig {
		return ArchiveConfig{URL: url, CAFile: b.Path(ca), CertFile: b.Path("cert.pem"), KeyFile: b.Path("key.pem")}
	}
	unknown, unreadable, early := archive(stranger.URL, "ca.pem"), archive(stranger.URL, "none.pem"), archive(tomorrow.URL, "ca.pem")
	for _, tt := range []struct {
		Config
		says string
	}{
		{Config{Archive: &unknown}, "certificate"},
		{Config{Archive: &unreadable}, "certificate"},
		{Config{Archive: &early}, "not yet valid"},
		{Config{TTYSpy: &TTYSpyConfig{URL: stranger.URL + "/transcript", CAFile: b.Path("ca.pem"), CertFile: b.Path("cert.pem"), KeyFile: b.Path("key.pem")}}, "certificate"},
		{Config{TTYSpy: &TTYSpyConfig{URL: tomorrow.URL + "/transcript", CAFile: b.Path("ca.pem"), CertFile: b.Path("cert.pem"), KeyFile: b.Path("key.pem")}}, "not yet valid"},
		{Config{Asciinema: &AsciinemaConfig{URL: stranger.URL, InstallIDFile: b.Path("install-id")}}, "certificate"},
		{Config{S3: &S3Config{Endpoint: stranger.URL, Bucket: "rec", PathStyle: true, CredentialsFile: b.Path("s3-credentials")}}, "certificate"},
		{Config{S3: &S3Config{Endpoint: stranger.URL, Bucket: "rec", PathStyle: true, Ticket: &unknown}}, "certificate"},
		{Config{S3: &S3Config{Endpoint: stranger.URL, Bucket: "rec", PathStyle: true, Ticket: &early}}, "not yet valid"},
	} {
		target, err := tt.New()
		if err != nil {
			t.Fatal(err)
		}
		_, err = target.Deliver(t.Context(), d)
		if err == nil || client.IsRefused(err) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", target.Name(), err)
		}
	}
}
