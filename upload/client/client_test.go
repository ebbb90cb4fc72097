// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipeClient is a client whose server is at the other end of a pipe.
func pipeClient(serve func(c net.Conn)) *http.Client {
	return &http.Client{Transport: &Bounded{&http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go serve(theirs)
		return ours, nil
	}}}}
}

func TestAStalledServerIsLeft(t *testing.T) {
	for name, serve := range map[string]func(c net.Conn){
		"reads nothing": func(net.Conn) {},
		"stops in the body": func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1000))
		},
		"stops in the answer": func(c net.Conn) {
			if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nfirst")
			}
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
			resp, err := Do(t.Context(), c, r)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			if took := time.Since(began); !errors.Is(err, ErrStalled) || took > 2*stallTime {
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
		resp, err := Do(t.Context(), c, r)
		if err != nil {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		resp.Body.Close()
		if time.Since(began) < 15*time.Minute {
			t.Errorf("it took only %v", time.Since(began))
		}
	})
}

// TestAnAnswerIsReadAsItIsPlayed reads one for hours: only who waits for a byte
// waits for the server.
func TestAnAnswerIsReadAsItIsPlayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(func(c net.Conn) {
			defer c.Close()
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
				for range 8 {
					_, _ = c.Write([]byte("x"))
				}
			}
		})
		defer c.CloseIdleConnections()
		r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := Do(t.Context(), c, r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for i := range 8 {
			time.Sleep(time.Hour)
			if _, err := resp.Body.Read(make([]byte, 1)); err != nil && (i < 7 || !errors.Is(err, io.EOF)) {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	})
}

// again sends a request's body as the transport does over a connection that
// was closed while it was idle: from the start, and here for ten minutes.
type again struct{}

func (again) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Body.Close()
	body, err := r.GetBody()
	for err == nil {
		time.Sleep(stallTime / 2)
		_, err = body.Read(make([]byte, 50))
	}
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	return &http.Response{Body: http.NoBody}, nil
}

func TestABodyThatIsSentAgainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := http.NewRequest(http.MethodPut, "http://127.0.0.1/", strings.NewReader(strings.Repeat("x", 1000)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&Bounded{again{}}).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
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
