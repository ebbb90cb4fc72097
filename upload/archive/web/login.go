// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// loginData is what the sign-in page shows.
type loginData struct {
	page
	Token, GitHub bool
	Next          string
	Wrong         string
}

func (s *Server) loginPage(w http.ResponseWriter, r *http.Request) {
	s.showLogin(w, r, http.StatusOK, "")
}

func (s *Server) showLogin(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	s.render(w, r, status, "login", loginData{
		page: page{Title: "Sign in"}, Token: s.auth.Tokens != nil, GitHub: s.auth.GitHub != nil,
		Next: localPath(r.FormValue("next")), Wrong: wrong,
	})
}

// sendToLogin asks a person to sign in and tells a program that it must.
func (s *Server) sendToLogin(w http.ResponseWriter, r *http.Request) {
	if s.auth.Header != nil {
		s.message(w, r, http.StatusForbidden, "Not signed in", "Open this page through the proxy that signs you in.")
		return
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Error(w, "sign in first", http.StatusUnauthorized)
		return
	}
	http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
}

// localPath is p where it is a path of this server: a link to the sign-in page
// must not send people elsewhere afterwards. "//host" and "/\host" are not.
func localPath(p string) string {
	u, err := url.Parse(p)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.Contains(p, `\`) {
		return "/"
	}
	return p
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	if s.auth.Tokens == nil {
		s.notFound(w, r)
		return
	}
	a, ok := s.auth.Tokens.check(strings.TrimSpace(r.PostFormValue("token")))
	if !ok {
		if s.note(w, r, Event{Who: "?", What: "sign-in refused", Detail: "token"}) {
			s.showLogin(w, r, http.StatusForbidden, "That token is not known here.")
		}
		return
	}
	s.enter(w, r, a, localPath(r.PostFormValue("next")))
}

// enter starts a session under a new name and goes on to where they wanted.
func (s *Server) enter(w http.ResponseWriter, r *http.Request, a Auditor, next string) {
	if !s.note(w, r, Event{What: "sign-in"}.by(a)) {
		return
	}
	setCookie(w, secure(r), cookieName(secure(r)), s.sessions.begin(a), sessionMax)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	name := cookieName(secure(r))
	if c, err := r.Cookie(name); err == nil {
		if a, ok := s.sessions.get(c.Value); ok && !s.note(w, r, Event{What: "sign-out"}.by(a)) {
			return
		}
		s.sessions.end(c.Value)
	}
	setCookie(w, secure(r), name, "", -time.Second)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// stateLife is how long somebody may take at GitHub's sign-in page.
const stateLife = 10 * time.Minute

// githubStart sends the browser to GitHub. The state, kept in a cookie, ties
// the answer to this browser: nobody can be signed in as somebody else by a link.
func (s *Server) githubStart(w http.ResponseWriter, r *http.Request) {
	if s.auth.GitHub == nil {
		s.notFound(w, r)
		return
	}
	state := rand.Text()
	setCookie(w, secure(r), stateCookie(r), state+"."+url.QueryEscape(localPath(r.FormValue("next"))), stateLife)
	http.Redirect(w, r, s.auth.GitHub.loginURL(state, redirectURI(r)), http.StatusSeeOther)
}

func stateCookie(r *http.Request) string { return cookieName(secure(r)) + "-state" }

// redirectURI is our callback. GitHub accepts only what the OAuth app has
// registered, so a forged Host header leads nowhere.
func redirectURI(r *http.Request) string {
	scheme := "http"
	if secure(r) {
		scheme = "https"
	}
	return scheme + "://" + r.Host + "/login/github/callback"
}

func (s *Server) githubCallback(w http.ResponseWriter, r *http.Request) {
	if s.auth.GitHub == nil {
		s.notFound(w, r)
		return
	}
	next, err := s.checkState(w, r)
	if err == nil && r.FormValue("code") == "" {
		err = errors.New("GitHub sent no code")
	}
	var a Auditor
	if err == nil {
		a, err = s.auth.GitHub.signIn(r.Context(), r.FormValue("code"), redirectURI(r))
	}
	if err != nil {
		s.refuseGitHub(w, r, a, err)
		return
	}
	s.enter(w, r, a, next)
}

// checkState compares what GitHub brings back with the cookie, and uses it up.
func (s *Server) checkState(w http.ResponseWriter, r *http.Request) (next string, err error) {
	c, err := r.Cookie(stateCookie(r))
	setCookie(w, secure(r), stateCookie(r), "", -time.Second)
	if err != nil {
		return "", errors.New("the sign-in was not begun here, or took too long")
	}
	state, rest, _ := strings.Cut(c.Value, ".")
	if state == "" || subtle.ConstantTimeCompare([]byte(state), []byte(r.FormValue("state"))) != 1 {
		return "", errors.New("the sign-in was not begun in this browser")
	}
	next, _ = url.QueryUnescape(rest)
	return localPath(next), nil
}

func (s *Server) refuseGitHub(w http.ResponseWriter, r *http.Request, a Auditor, err error) {
	name := a.Name
	if name == "" {
		name = "?"
	}
	if !s.note(w, r, Event{Who: name, What: "sign-in refused", Detail: err.Error()}) {
		return
	}
	s.log.Warn("sign-in refused", "who", name, "why", err.Error())
	text := "Signing in with GitHub did not work. Try again; the server's log says why."
	var answer *unanswered
	switch {
	case errors.As(err, &answer) && answer.advice != "":
		text = "Whether you may look at recordings could not be asked. " + answer.advice
	case errors.Is(err, errNotMember):
		text = "You are signed in to GitHub as " + a.Name + ", who is in none of the teams that may look at recordings."
	}
	s.showLogin(w, r, http.StatusForbidden, text)
}
