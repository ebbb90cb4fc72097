// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Server is the page's http.Handler.
type Server struct {
	archive  Archive
	auth     Auth
	audit    *Audit
	sessions *sessions
	cache    *Cache
	watching watching
	proven   proven
	pages    *pages
	log      *slog.Logger
	handler  http.Handler
	now      func() time.Time

	background context.Context // for work that outlives the request that began it
}

// New returns the page for an archive.
func New(archive Archive, auth Auth, audit *Audit, cache *Cache, log *slog.Logger) (*Server, error) {
	p, err := parsePages()
	if err != nil {
		return nil, err
	}
	s := &Server{
		archive: archive, auth: auth, audit: audit, log: log, pages: p,
		sessions: newSessions(), cache: cache, background: context.Background(), now: time.Now,
	}
	mux := http.NewServeMux()
	s.routes(mux)
	// A form of another site can't act in an auditor's name: browsers say where
	// a request comes from (Sec-Fetch-Site, Origin), and this refuses those.
	s.handler = secured(http.NewCrossOriginProtection().Handler(mux))
	return s, nil
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func (s *Server) routes(mux *http.ServeMux) {
	mux.Handle("GET /static/", staticFiles())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /login", s.loginPage)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("GET /login/github", s.githubStart)
	mux.HandleFunc("GET /login/github/callback", s.githubCallback)
	mux.HandleFunc("POST /logout", s.logout)

	mux.Handle("GET /{$}", s.signedIn(s.list))
	mux.Handle("GET /search", s.signedIn(s.search))
	mux.Handle("GET /r/{id}", s.signedIn(s.show))
	mux.Handle("GET /r/{id}/cast", s.signedIn(s.cast))
	mux.Handle("GET /r/{id}/play/{file}", s.signedIn(s.play))
	mux.Handle("GET /r/{id}/reveal/{file}", s.signedIn(s.reveal))
	mux.Handle("GET /r/{id}/live", s.signedIn(s.follow))
	mux.Handle("GET /r/{id}/verify", s.signedIn(s.verify))
	mux.Handle("GET /r/{id}/download/{kind}", s.signedIn(s.download))
	mux.HandleFunc("/", s.notFound)
}

// policy is what a page may do: load what this server sends, and compile the
// player's WebAssembly. Nothing inline, nothing from elsewhere, no frame.
const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data:; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		h.Set("Cache-Control", "no-store") // recordings don't stay in caches; static files say otherwise
		if secure(r) {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// secure reports whether the browser speaks TLS, to us or to the proxy before
// us. A client that lies about it only gets a cookie that it can't send back.
func secure(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

type auditorKey struct{}

// who returns the auditor of a request that signedIn has let in.
func who(r *http.Request) Auditor {
	a, _ := r.Context().Value(auditorKey{}).(Auditor)
	return a
}

// signedIn lets auditors in and sends everybody else to the sign-in page.
func (s *Server) signedIn(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := s.identify(r)
		if !ok {
			s.sendToLogin(w, r)
			return
		}
		next(w, r.WithContext(context.WithValue(r.Context(), auditorKey{}, a)))
	})
}

func (s *Server) identify(r *http.Request) (Auditor, bool) {
	if s.auth.Header != nil {
		a, err := s.auth.Header.who(r)
		return a, err == nil
	}
	c, err := r.Cookie(cookieName(secure(r)))
	if err != nil {
		return Auditor{}, false
	}
	return s.sessions.get(c.Value)
}

// note writes an audit event, and answers for the caller when that fails.
func (s *Server) note(w http.ResponseWriter, r *http.Request, ev Event) bool {
	if ev.Who == "" {
		ev = ev.by(who(r))
	}
	ev.Time, ev.Client = s.now().UTC(), clientOf(r)
	if err := s.audit.Write(ev); err != nil {
		s.fail(w, r, err)
		return false
	}
	return true
}

// noteLook notes that somebody looks at a recording.
func (s *Server) noteLook(w http.ResponseWriter, r *http.Request, what string, rec Recording, detail string) bool {
	return s.note(w, r, Event{What: what, ID: rec.ID(), Host: rec.Host, Path: rec.Base(), Detail: detail})
}

func clientOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// recording finds the recording of the path, if this auditor may see it. One
// that they may not see is answered as one that is not there.
func (s *Server) recording(w http.ResponseWriter, r *http.Request) (Recording, bool) {
	rec, err := s.archive.Get(r.Context(), r.PathValue("id"))
	if rec, err = allowed(who(r).Scope, rec, err); err != nil {
		s.fail(w, r, err)
		return rec, false
	}
	return rec, true
}

type severalData struct {
	page
	Rows []Recording
}

// choose shows the recordings that have the id of an address.
func (s *Server) choose(w http.ResponseWriter, r *http.Request, all []Recording) {
	s.render(w, r, http.StatusMultipleChoices, "several", &severalData{page{Title: "Which recording?"}, all})
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	s.message(w, r, http.StatusNotFound, "Not found", "There is no such page, or no such recording that you may see.")
}

// fail tells what went wrong: the log all, the page only what it may.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var several *Several
	switch {
	case errors.As(err, &several):
		s.choose(w, r, several.All)
	case errors.Is(err, fs.ErrNotExist):
		s.notFound(w, r)
	case r.Context().Err() != nil: // the browser has gone
	default:
		s.log.Error("page", "path", r.URL.Path, "who", who(r).Name, "why", err.Error())
		s.message(w, r, http.StatusInternalServerError, "That did not work", "The server could not answer. Its log says why.")
	}
}
