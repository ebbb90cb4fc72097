// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Time limits of a request. There is none for the whole: a gigabyte over a
// slow line takes its time, and a limit of 30 s lost recordings elsewhere.
const (
	answerTime = 5 * time.Minute  // from the last byte sent to the answer: the server checks and syncs
	stallTime  = 60 * time.Second // without a byte, of the request's body or of the answer's
)

// ErrStalled is why a request ended in which nothing moved.
var ErrStalled = fmt.Errorf("nothing has moved for %v", stallTime)

// Bounded ends requests that stand still: in the body that is sent, before the
// answer, or in the answer's body. Only the time in which somebody waits for a
// byte counts there: an answer may be read for as long as it is played.
type Bounded struct{ Next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b *Bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	w := &watch{timer: time.AfterFunc(answerTime, func() { cancel(ErrStalled) })}
	r = r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		w.sends(stallTime)
		r.Body = &sending{r.Body, w}
		if again := r.GetBody; again != nil { // for a connection that was closed while it was idle
			r.GetBody = func() (io.ReadCloser, error) {
				body, err := again()
				return &sending{body, w}, err
			}
		}
	}
	resp, err := b.Next.RoundTrip(r)
	w.answered()
	if err != nil {
		defer cancel(nil)
		return nil, why(ctx, err)
	}
	resp.Body = &answer{resp.Body, ctx, cancel, w.timer}
	return resp, nil
}

// CloseIdleConnections is what http.Client looks for.
func (b *Bounded) CloseIdleConnections() {
	if t, ok := b.Next.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// why names the stall where that is why a request ended.
func why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrStalled) {
		return cause
	}
	return err
}

// watch is the end of a request. It is the body's to put off until there is an
// answer: the transport may still read the body then.
type watch struct {
	timer *time.Timer
	mu    sync.Mutex
	done  bool
}

func (w *watch) sends(atMost time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.done {
		w.timer.Reset(atMost)
	}
}

func (w *watch) answered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = true
	w.timer.Stop()
}

// sending is a request's body: it puts the end off whenever something is read.
type sending struct {
	io.ReadCloser
	watch *watch
}

func (s *sending) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil { // it is sent
		s.watch.sends(answerTime)
	} else {
		s.watch.sends(stallTime)
	}
	return n, err
}

// answer is the body of an answer: each wait for a byte of it is bounded.
type answer struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (a *answer) Read(p []byte) (int, error) {
	a.timer.Reset(stallTime)
	n, err := a.ReadCloser.Read(p)
	a.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = why(a.ctx, err)
	}
	return n, err
}

func (a *answer) Close() error {
	err := a.ReadCloser.Close()
	a.timer.Stop()
	a.cancel(nil)
	return err
}

// Do sends a request. Its error does not repeat method and URL.
func Do(ctx context.Context, c *http.Client, r *http.Request) (*http.Response, error) {
	resp, err := c.Do(r.WithContext(ctx))
	return resp, Bare(err)
}

// Bare takes method and URL from the error of an http.Client.
func Bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
