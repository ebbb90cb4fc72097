// SPDX-License-Identifier: AGPL-3.0-or-later

package uploadtest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"castgate/upload/manifest"
)

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
