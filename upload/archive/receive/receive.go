// SPDX-License-Identifier: AGPL-3.0-or-later

// Package receive takes recordings from other hosts over mutual TLS.
//
//	PUT /v1/recordings/<user>/<YYYY>/<MM>/<DD>/<id>.cast.zst | .json | .json.sig
//	PUT /v1/live/<id>/<offset>     whole lines of a recording that is still written
//	POST /v1/tickets               leave to put an object into a bucket (ticket.go)
//	POST /transcript               ttyspy clients
//
// A recording's PUT carries Content-Digest (RFC 9530, sha-256) and is answered
// with a receipt, {"sha256","bytes","path"}. The statuses are the contract:
//
//	201 stored               200 the same bytes were there already
//	400 your data is wrong   409 other bytes are there   413 too large
//	403 not in your name     429, 503 later (Retry-After)
//	507 disk full            500 my fault
//
// The host under which all is filed is the name in the client's certificate,
// never something the client says. Nothing is ever overwritten: a file is
// written aside, checked while it streams (size, hash, and that it is what its
// name says, with bounded memory), synced, and linked to its name. A manifest
// comes last: what it says is held to the recording first (claims.go).
package receive

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"castgate/upload/archive/ca"
)

// Limits of a server. A zero field takes its default.
type Limits struct {
	Size     int64   // bytes of one stored object
	Unpacked int64   // bytes of one recording after decompression
	Parallel int     // requests at once, of all hosts
	PerHost  int     // requests at once, of one host
	Rate     float64 // requests a second of one host, on average
	Burst    int     // requests of one host before the rate counts
	Free     int64   // free bytes below which the store counts as full
}

// Defaults. castgate-wrap ends a recording at 1 GiB (limits.session), so 4 GiB
// has room; PerHost is four uploaders' worth (upload.yaml: parallel 4); Burst
// lets a host deliver the 500 sessions of an outage, three objects each.
const (
	defaultSize     = 4 << 30
	defaultUnpacked = 8 << 30
	defaultParallel = 64
	defaultPerHost  = 16
	defaultRate     = 50
	defaultBurst    = 2000
	defaultFree     = 256 << 20
)

func (l Limits) withDefaults() Limits {
	set(&l.Size, defaultSize)
	set(&l.Unpacked, defaultUnpacked)
	set(&l.Parallel, defaultParallel)
	set(&l.PerHost, defaultPerHost)
	set(&l.Rate, defaultRate)
	set(&l.Burst, defaultBurst)
	set(&l.Free, defaultFree)
	return l
}

func set[T int | int64 | float64](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// Server is the receiver's http.Handler.
type Server struct {
	dir    *Dir
	limits Limits
	gate   *gate
	log    *slog.Logger
	mux    *http.ServeMux
	now    func() time.Time

	measured measured

	Tickets      Tickets             // nil: none are given
	Certificates map[string][]string // whose certificate may send transcripts of which hosts besides its own: patterns
}

// New returns a receiver that stores into dir.
func New(dir *Dir, limits Limits, log *slog.Logger) *Server {
	limits = limits.withDefaults()
	dir.free = limits.Free
	s := &Server{dir: dir, limits: limits, gate: newGate(limits), log: log, mux: http.NewServeMux(), now: time.Now}
	s.mux.HandleFunc("PUT /v1/recordings/{user}/{year}/{month}/{day}/{file}", s.recording)
	s.mux.HandleFunc("PUT /v1/live/{id}/{offset}", s.live)
	s.mux.HandleFunc("POST /v1/tickets", s.ticket)
	s.mux.HandleFunc("POST /transcript", s.transcript)
	return s
}

// ServeHTTP finds out who is asking, and counts, before anything else is read.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		s.refuse(w, r, "", &refusal{http.StatusForbidden, errors.New("no client certificate")})
		return
	}
	host, err := ca.HostOf(r.TLS.VerifiedChains[0][0])
	if err != nil {
		s.refuse(w, r, "", &refusal{http.StatusForbidden, fmt.Errorf("the client certificate: %w", err)})
		return
	}
	leave, err := s.gate.enter(host, s.now())
	if err != nil {
		w.Header().Set("Retry-After", "5")
		s.refuse(w, r, host, err)
		return
	}
	defer leave()
	s.mux.ServeHTTP(w, r.WithContext(withHost(r.Context(), host)))
}

// Receipt is the answer to a PUT.
type Receipt struct {
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Path   string `json:"path"`
}

func (s *Server) receipt(w http.ResponseWriter, r *http.Request, created bool, rec Receipt) {
	status, what := http.StatusOK, "there already"
	if created {
		status, what = http.StatusCreated, "stored"
	}
	s.log.Info("receive", "what", what, "host", hostOf(r.Context()), "path", rec.Path,
		"bytes", rec.Bytes, "sha256", rec.SHA256, "client", r.RemoteAddr, "status", status, "why", "")
	writeJSON(w, status, rec)
}

// refuse answers with the status that err stands for. The client is told why
// only when the fault is its own; my own faults stay in the log.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, host string, err error) {
	status := statusOf(err)
	level := slog.LevelWarn
	text := err.Error()
	if status == http.StatusInternalServerError {
		level, text = slog.LevelError, "internal error"
	}
	s.log.Log(r.Context(), level, "receive", "what", "refused", "host", host, "path", r.URL.Path,
		"bytes", max(r.ContentLength, 0), "sha256", "", "client", r.RemoteAddr, "status", status, "why", err.Error())
	writeJSON(w, status, map[string]string{"error": text})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone; what counts is on disk
}
