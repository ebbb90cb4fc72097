// SPDX-License-Identifier: AGPL-3.0-or-later

package uploadtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// AsciinemaServer is a strict stand-in for an asciinema server: the endpoints,
// the authentication, and above all what its parser takes and refuses
// (recordings.ex, v2.ex, v3.ex of asciinema-server).
type AsciinemaServer struct {
	ID     string
	Legacy bool // a server of before 2025: one path, v2 at most

	mu       sync.Mutex
	Uploads  []AsciinemaUpload
	Refusals []string
}

// AsciinemaUpload is what it got.
type AsciinemaUpload struct{ File, Title, Visibility, User string }

// InstallID is the one that the server knows.
const InstallID = "7a1b2c3d-1111-4222-8333-944445555666"

func (s *AsciinemaServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(status int, v map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	field := "file"
	switch {
	case r.Method != http.MethodPost || r.ContentLength < 0:
		answer(400, map[string]any{"type": "bad_request", "message": "POST with a length"})
		return
	case r.URL.Path == "/api/asciicasts":
		field = "asciicast"
	case r.URL.Path != "/api/v1/recordings" || s.Legacy:
		answer(404, map[string]any{"type": "not_found", "message": "Not found"})
		return
	}
	user, id, ok := r.BasicAuth()
	if !ok || id != s.ID {
		answer(401, map[string]any{"type": "unauthenticated", "message": "Invalid or revoked install ID"})
		return
	}
	file, _, err := r.FormFile(field)
	if err != nil {
		answer(400, map[string]any{"type": "bad_request", "message": err.Error()})
		return
	}
	text, err := io.ReadAll(file)
	if err != nil {
		answer(400, map[string]any{"type": "bad_request", "message": err.Error()})
		return
	}
	title := r.FormValue("title")
	if err := s.validate(text); err != nil || len(title) > 128 {
		s.mu.Lock()
		s.Refusals = append(s.Refusals, fmt.Sprint(err))
		s.mu.Unlock()
		answer(422, map[string]any{"type": "validation_failed", "message": fmt.Sprint(err)})
		return
	}
	s.mu.Lock()
	s.Uploads = append(s.Uploads, AsciinemaUpload{string(text), title, r.FormValue("visibility"), user})
	url := fmt.Sprintf("http://%s/a/%d", r.Host, len(s.Uploads))
	s.mu.Unlock()
	w.Header().Set("Location", url)
	answer(201, map[string]any{"id": 1, "url": url, "message": "View the recording at " + url})
}

var (
	themeColour = regexp.MustCompile(`^#[0-9a-f]{6}$`)
	serverEnv   = regexp.MustCompile(`^[A-Z0-9_]+$`)
)

// serverError is a refusal in the server's own words.
type serverError string

func (e serverError) Error() string { return string(e) }

func (s *AsciinemaServer) validate(text []byte) error {
	if !utf8.Valid(text) || len(text) == 0 {
		return serverError("This doesn't look like a valid asciicast file")
	}
	head, events, _ := bytes.Cut(text, []byte("\n"))
	var h struct {
		Version       int
		Width, Height int
		Timestamp     *int64
		Command       *string
		Title         *string
		Env           map[string]any
		Term          *struct {
			Cols, Rows int
			Theme      *struct{ Fg, Bg, Palette string }
		}
	}
	if err := json.Unmarshal(head, &h); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	cols, rows := h.Width, h.Height
	switch {
	case h.Version == 3 && !s.Legacy && h.Term != nil:
		cols, rows = h.Term.Cols, h.Term.Rows
		if th := h.Term.Theme; th != nil {
			for _, c := range append(strings.Split(th.Palette, ":"), th.Fg, th.Bg) {
				if !themeColour.MatchString(c) {
					return fmt.Errorf("theme colour %q", c)
				}
			}
		}
	case h.Version == 2:
	default:
		return fmt.Errorf("asciicast v%d is not supported", h.Version)
	}
	if cols < 1 || cols > 720 || rows < 1 || rows > 200 {
		return fmt.Errorf("size %dx%d", cols, rows)
	}
	for k, v := range h.Env {
		if _, ok := v.(string); !ok || !serverEnv.MatchString(k) {
			return fmt.Errorf("env %q", k)
		}
	}
	return s.validateEvents(h.Version, events)
}

func (s *AsciinemaServer) validateEvents(version int, text []byte) error {
	n := 0
	codes := "oimrx"
	if version == 2 {
		codes = "oimr" // what its v2 writer takes
	}
	for line := range strings.Lines(string(text)) {
		whole := strings.HasSuffix(line, "\n")
		line = strings.TrimSuffix(line, "\n")
		if line == "" || version == 3 && line[0] == '#' {
			continue
		}
		var ev []any
		if err := json.Unmarshal([]byte(line), &ev); err != nil || len(ev) != 3 || !whole {
			return fmt.Errorf("line %q", line)
		}
		at, ok1 := ev[0].(float64)
		code, ok2 := ev[1].(string)
		_, ok3 := ev[2].(string)
		if !ok1 || !ok2 || !ok3 || at < 0 || math.IsNaN(at) || !strings.Contains(codes, code) {
			return fmt.Errorf("event %q", line)
		}
		n++
	}
	if n == 0 {
		return serverError("This recording has no events")
	}
	return nil
}
