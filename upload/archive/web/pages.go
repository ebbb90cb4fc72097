// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"castgate/upload/manifest"
)

//go:embed templates static player
var files embed.FS

// The player's files, when "make web" has put them there.
const (
	playerJS  = "player/asciinema-player.min.js"
	playerCSS = "player/asciinema-player.css"
)

// HasPlayer reports whether this program was built with the player.
func HasPlayer() bool {
	_, err := fs.Stat(files, playerJS)
	return err == nil
}

// page is what every page has.
type page struct {
	Title  string
	Who    Auditor
	Signed bool // there is a session that can be ended
	Path   string
	Player bool
}

func (p *page) base() *page { return p }

type pages struct{ byName map[string]*template.Template }

func parsePages() (*pages, error) {
	p := &pages{map[string]*template.Template{}}
	for _, name := range []string{"list", "show", "several", "search", "login", "message"} {
		t, err := template.New(name).Funcs(funcs).ParseFS(files, "templates/base.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("templates: %w", err)
		}
		p.byName[name] = t
	}
	return p, nil
}

var funcs = template.FuncMap{
	"asset": asset, "bytes": humanBytes, "dur": humanDuration, "clock": clock,
	"stamp":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"short":   func(s string) string { return s[:min(len(s), 16)] },
	"first":   func(s string) string { f, _, _ := strings.Cut(s, " "); return f },
	"seconds": func(d time.Duration) string { return trimZeros(fmt.Sprintf("%.3f", d.Seconds())) },
	"span":    func(s manifest.Seconds) time.Duration { return time.Duration(s) },
	"bad":     func(exit *int) bool { return exit != nil && *exit != 0 },
	"label":   label,
	"marks":   marks,
	"visible": visible,
}

// render answers with a page. It is made in memory first, so that an error in
// the middle doesn't leave half of one.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	if b, ok := data.(interface{ base() *page }); ok {
		p := b.base()
		p.Who, p.Path, p.Player = who(r), r.URL.Path, HasPlayer()
		p.Signed = p.Who.Name != "" && s.auth.Header == nil
	}
	var out bytes.Buffer
	if err := s.pages.byName[name].ExecuteTemplate(&out, "base", data); err != nil {
		s.log.Error("page", "path", r.URL.Path, "why", err.Error())
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

type messageData struct {
	page
	Text string
}

func (s *Server) message(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Error(w, text, status)
		return
	}
	s.render(w, r, status, "message", &messageData{page{Title: title}, text})
}

// assets maps each file to its address. The address has a hash of them all in
// it: a browser may keep a file for ever, never keeps an old one, and modules
// find each other by relative names.
var assets = func() map[string]string {
	m, sum := map[string]string{}, sha256.New()
	for _, dir := range []string{"static", "player"} {
		entries, _ := fs.ReadDir(files, dir)
		for _, e := range entries {
			p := dir + "/" + e.Name()
			data, _ := fs.ReadFile(files, p)
			fmt.Fprintf(sum, "%s %d\n%s", p, len(data), data)
			m[p] = ""
		}
	}
	version := hex.EncodeToString(sum.Sum(nil)[:8])
	for p := range m {
		m[p] = "/static/" + version + "/" + p
	}
	return m
}()

func asset(p string) string { return assets[p] }

func staticFiles() http.Handler {
	byPath := map[string]string{}
	for p, address := range assets {
		byPath[address] = p
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := byPath[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		http.ServeFileFS(w, r, files, p)
	})
}
