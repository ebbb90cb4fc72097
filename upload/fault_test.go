// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bufio"
	"io"
	"net/http"
	"sync"
)

// faulty stands before a server and breaks what the test asks for, as often as
// it asks; then it lets requests through.
type faulty struct {
	http.Handler
	mu    sync.Mutex
	modes []string
	seen  int
}

func (f *faulty) then(modes ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.modes = append(f.modes, modes...)
}

func (f *faulty) pop() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen++
	if len(f.modes) == 0 {
		return ""
	}
	mode := f.modes[0]
	f.modes = f.modes[1:]
	return mode
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch mode := f.pop(); mode {
	case "":
		f.Handler.ServeHTTP(w, r)
	case "500":
		http.Error(w, "out of order", http.StatusInternalServerError)
	case "403":
		http.Error(w, "not you", http.StatusForbidden)
	case "507":
		http.Error(w, "full", http.StatusInsufficientStorage)
	case "503 later":
		w.Header().Set("Retry-After", "120")
		http.Error(w, "later", http.StatusServiceUnavailable)
	case "429 reset":
		w.Header().Set("X-Ratelimit-Remaining", "0")
		w.Header().Set("X-Ratelimit-Reset", "99999999999")
		http.Error(w, "later", http.StatusTooManyRequests)
	case "redirect":
		http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusTemporaryRedirect)
	case "reset": // in the middle of the body
		_, _ = io.CopyN(io.Discard, r.Body, 10)
		hangUp(w)
	case "lost answer": // stored, but the client never hears of it
		f.Handler.ServeHTTP(&deaf{header: http.Header{}}, r)
		hangUp(w)
	case "garbage":
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "<html>hotel wifi</html>")
	default:
		panic("no fault " + mode)
	}
}

// hangUp cuts the connection with a reset.
func hangUp(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// deaf swallows an answer.
type deaf struct {
	header http.Header
	bufio.Writer
}

func (d *deaf) Header() http.Header         { return d.header }
func (d *deaf) Write(p []byte) (int, error) { return len(p), nil }
func (d *deaf) WriteHeader(int)             {}
