// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipeClient is a client whose server is at the other end of a pipe.
func pipeClient(serve func(c net.Conn)) *http.Client {
	c := newClient(tlsFiles{})
	t := c.Transport.(*http.Transport)
	t.Proxy = nil
	t.DialContext = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go serve(theirs)
		return ours, nil
	}
	return c
}

func TestAStalledServerIsLeft(t *testing.T) {
	for name, serve := range map[string]func(c net.Conn){
		"reads nothing": func(net.Conn) {},
		"stops in the body": func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1000))
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := pipeClient(serve)
			defer c.CloseIdleConnections()
			r, err := http.NewRequest(http.MethodPut, "http://127.0.0.1/", strings.NewReader(strings.Repeat("x", 1<<20)))
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err = do(t.Context(), c, r)
			if took := time.Since(began); !errors.Is(err, errStalled) || took > 2*stallTime {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		})
	}
}

// TestASlowServerIsNotLeft sends for many minutes: there is no limit for the whole.
func TestASlowServerIsNotLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(func(c net.Conn) {
			defer c.Close()
			for n := 0; n < 1<<20; {
				got, err := c.Read(make([]byte, 16<<10))
				if err != nil {
					return
				}
				n += got
				time.Sleep(20 * time.Second) // 800 bytes a second
			}
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		})
		defer c.CloseIdleConnections()
		r, err := http.NewRequest(http.MethodPut, "http://127.0.0.1/", strings.NewReader(strings.Repeat("x", 1<<20)))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		resp, err := do(t.Context(), c, r)
		if err != nil {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		resp.Body.Close()
		if time.Since(began) < 15*time.Minute {
			t.Errorf("it took only %v", time.Since(began))
		}
	})
}

func TestRetryAt(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, tt := range []struct {
		key, value string
		want       time.Duration
	}{
		{"Retry-After", "120", 2 * time.Minute},
		{"Retry-After", now.Add(time.Hour).UTC().Format(http.TimeFormat), time.Hour},
		{"Retry-After", "99999999999", maxLater},
		{"Retry-After", "1000000", maxLater},
		{"Retry-After", "-5", 0},
		{"Retry-After", "soon", 0},
		{"X-Ratelimit-Reset", "1800000060", time.Minute},
		{"X-Ratelimit-Reset", "1", 0},
	} {
		h := http.Header{"X-Ratelimit-Remaining": {"0"}}
		h.Set(tt.key, tt.value)
		at := retryAt(h, now)
		if got := max(0, at.Sub(now)); at.IsZero() && tt.want != 0 || !at.IsZero() && got != tt.want {
			t.Errorf("%s: %s: %v, want %v", tt.key, tt.value, got, tt.want)
		}
	}
}
