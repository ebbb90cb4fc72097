// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"castgate/upload/manifest"
)

// recording receives one object and stores it under its name.
func (s *Server) recording(w http.ResponseWriter, r *http.Request) {
	host := hostOf(r.Context())
	n, err := parseName(host, r.PathValue("user"), r.PathValue("year"), r.PathValue("month"), r.PathValue("day"), r.PathValue("file"))
	if err != nil {
		s.refuse(w, r, host, &refusal{http.StatusBadRequest, err})
		return
	}
	created, rec, err := s.take(w, r, n)
	if err != nil {
		s.refuse(w, r, host, err)
		return
	}
	s.receipt(w, r, created, rec)
	if created {
		s.tellClaims(n)
		s.finish(n)
	}
}

func (s *Server) take(w http.ResponseWriter, r *http.Request, n name) (created bool, rec Receipt, err error) {
	want, err := parseDigest(r.Header.Get("Content-Digest"))
	if err != nil {
		return false, rec, err
	}
	if r.ContentLength > s.limits.Size {
		return false, rec, errLarge
	}
	tmp, err := s.dir.temp(max(r.ContentLength, 0))
	if err != nil {
		return false, rec, err
	}
	defer tmp.Discard()

	body := &paced{r: http.MaxBytesReader(w, r.Body, s.limits.Size), ctl: http.NewResponseController(w)}
	sum := newSum(tmp)
	cast, err := s.stream(n, io.TeeReader(body, sum))
	if err != nil {
		return false, rec, err
	}
	if sum.Sum() != want {
		return false, rec, wrong("the bytes are not those of the Content-Digest header")
	}
	rec = Receipt{SHA256: sum.Hex(), Bytes: sum.N, Path: n.path()}
	if n.ext == manifest.JSONSuffix {
		_ = body.ctl.SetReadDeadline(time.Time{}) // the body has come; what follows takes its time
		if err := s.holdClaims(n, tmp.File); err != nil {
			return false, rec, err
		}
	}
	created, err = s.dir.keep(tmp, n, want)
	if err == nil {
		s.measured.put(n, manifest.Object{Bytes: rec.Bytes, SHA256: rec.SHA256}, cast)
	}
	return created, rec, err
}

// stream reads the body through the check and to its end.
func (s *Server) stream(n name, body io.Reader) (cast manifest.Facts, err error) {
	if cast, err = n.check(body, s.limits.Unpacked); err != nil {
		return cast, bodyError(err)
	}
	// What the check took for the end need not be the body's.
	extra, err := io.Copy(io.Discard, body)
	if err != nil {
		return cast, bodyError(err)
	}
	if extra > 0 {
		return cast, wrong("%d bytes follow the end", extra)
	}
	return cast, nil
}

// bodyError sorts what reading can fail of: errors of the store and limits say
// so themselves; all else is a connection that was cut or bytes that no
// decoder takes.
func bodyError(err error) error {
	var own *storeError
	if errors.As(err, &own) {
		return own.err
	}
	if status := statusOf(err); status != http.StatusInternalServerError {
		return err
	}
	return wrong("the body: %w", err)
}

// storeError marks an error of writing, so that it isn't taken for the client's.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// newSum counts and hashes what is stored. Its errors are the store's, not the
// sender's.
func newSum(w io.Writer) *manifest.Hasher { return manifest.NewHasher(storeWriter{w}) }

type storeWriter struct{ io.Writer }

func (s storeWriter) Write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	if err != nil {
		err = &storeError{err}
	}
	return n, err
}

// A body must keep coming: something within readPause, and after grace
// minRate bytes a second on average. A slow body holds a place that others
// could use.
const (
	readPause = 15 * time.Second
	grace     = 30 * time.Second
	minRate   = 8 << 10
)

// paced is a body with those deadlines.
type paced struct {
	r     io.Reader
	ctl   *http.ResponseController
	start time.Time
	n     int64
}

func (p *paced) Read(b []byte) (int, error) {
	now := time.Now()
	if p.start.IsZero() {
		p.start = now
	}
	if spent := now.Sub(p.start); spent > grace && float64(p.n) < minRate*(spent-grace).Seconds() {
		return 0, os.ErrDeadlineExceeded
	}
	if err := p.ctl.SetReadDeadline(now.Add(readPause)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := p.r.Read(b)
	p.n += int64(n)
	return n, err
}
