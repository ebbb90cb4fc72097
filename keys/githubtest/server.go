// SPDX-License-Identifier: AGPL-3.0-or-later

package githubtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is the stand-in. Its fields are set before it serves; State is asked
// for at every request, so that it may change.
type Server struct {
	State   func() (State, error)
	Token   func() string // who may ask; "" lets nobody
	Prefix  string        // "/api/v3" for Enterprise Server
	NoGraph bool          // no GraphQL
	App     *App          // accepts installations of this App
	Limit   int           // calls in an hour, 0 for GitHub's 5000

	mu    sync.Mutex
	broke func(http.ResponseWriter, *http.Request) bool
	calls []string
	used  int
}

// Calls lists the requests so far as "GET /path?query STATUS".
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Reset forgets the calls and what they used of the limit.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.used = nil, 0
}

// Used is how much of the limit was used: a 304 costs nothing.
func (s *Server) Used() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// recorder notes the status for the list of calls.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{w, http.StatusOK}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, fmt.Sprintf("%s %s %d", r.Method, r.URL.RequestURI(), rec.status))
	}()
	if s.broken(rec, r) {
		return
	}
	if msg := strict(r); msg != "" {
		refuse(rec, http.StatusBadRequest, msg)
		return
	}
	s.route(rec, r)
}

// Break makes it fail as fault says, which reports whether it has answered; nil
// mends it.
func (s *Server) Break(fault func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broke = fault
}

func (s *Server) broken(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	fault := s.broke
	s.mu.Unlock()
	return fault != nil && fault(w, r)
}

// strict checks what every client must send.
func strict(r *http.Request) string {
	switch {
	case r.UserAgent() == "" || strings.HasPrefix(r.UserAgent(), "Go-http-client"):
		return "Request forbidden by administrative rules. Please make sure your request has a User-Agent header"
	case !strings.HasPrefix(r.Header.Get("Accept"), "application/vnd.github"):
		return "Must accept application/vnd.github+json"
	case r.Header.Get("X-GitHub-Api-Version") != "2022-11-28":
		return "Unsupported API version"
	case r.ContentLength > 1<<16:
		return "Body too large"
	}
	return ""
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	if s.App != nil && strings.HasPrefix(r.URL.Path, s.Prefix+"/app/") {
		s.App.serve(w, r, s.Prefix)
		return
	}
	if !s.allowed(r) {
		refuse(w, http.StatusUnauthorized, "Bad credentials")
		return
	}
	state, err := s.State()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	if r.URL.Path == strings.Replace(s.Prefix, "/v3", "", 1)+"/graphql" && !s.NoGraph {
		s.graphql(w, r, state)
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, s.Prefix+"/")
	if !ok || r.Method != http.MethodGet {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	s.rest(w, r, state, strings.Split(path, "/"))
}

// allowed checks the token.
func (s *Server) allowed(r *http.Request) bool {
	given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if s.App != nil && s.App.knows(given) {
		return true
	}
	return s.Token != nil && s.Token() != "" && given == s.Token()
}

func refuse(w http.ResponseWriter, status int, msg string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": msg, "documentation_url": "https://docs.github.com/rest"})
}

// reply sends v with an ETag, or 304 when the client has it. Like GitHub's, the
// ETag depends on the token, on Accept and on this page alone: a page that came
// after it changes neither, and a 304 doesn't tell of it.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	sum := sha256.Sum256(slices.Concat([]byte(r.Header.Get("Accept")+":"+r.Header.Get("Authorization")+":"), body))
	etag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	h := w.Header()
	h.Set("ETag", etag)
	h.Set("Vary", "Accept, Authorization")
	same := r.Header.Get("If-None-Match") == etag
	if !s.charge(h, same) {
		refuse(w, http.StatusForbidden, "API rate limit exceeded")
		return
	}
	if same {
		h.Del("Link")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	_, _ = bytes.NewReader(body).WriteTo(w)
}

// charge counts a call against the limit and says how much is left.
func (s *Server) charge(h http.Header, free bool) bool {
	limit := s.Limit
	if limit == 0 {
		limit = 5000
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ok := free || s.used < limit
	if !free && ok {
		s.used++
	}
	h.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(limit-s.used))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
	return ok
}

// page cuts a list as ?page= and ?per_page= ask, and links to the next page.
func page[T any](w http.ResponseWriter, r *http.Request, list []T) []T {
	q := r.URL.Query()
	size, number := atoi(q.Get("per_page"), 30), atoi(q.Get("page"), 1)
	size = min(size, 100)
	from := min((number-1)*size, len(list))
	to := min(from+size, len(list))
	if to < len(list) {
		next := url.Values{"page": {strconv.Itoa(number + 1)}, "per_page": {strconv.Itoa(size)}}
		w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?%s>; rel="next"`, r.Host, r.URL.Path, next.Encode()))
	}
	return slices.Concat([]T{}, list[from:to])
}

func atoi(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// Start serves on loopback until the test ends.
func (s *Server) Start(t interface{ Cleanup(func()) }) *httptest.Server {
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return srv
}
