// SPDX-License-Identifier: AGPL-3.0-or-later

package uploadtest

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"castgate/upload/client"
)

// Faulty stands before a server and breaks what the test asks for, as often as
// it asks; then it lets requests through.
type Faulty struct {
	http.Handler
	mu    sync.Mutex
	modes []string
	Seen  int
}

// Then adds faults.
func (f *Faulty) Then(modes ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.modes = append(f.modes, modes...)
}

func (f *Faulty) pop() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Seen++
	if len(f.modes) == 0 {
		return ""
	}
	mode := f.modes[0]
	f.modes = f.modes[1:]
	return mode
}

func (f *Faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch mode := f.pop(); mode {
	case "":
		f.Handler.ServeHTTP(w, r)
	case "500":
		http.Error(w, "out of order", http.StatusInternalServerError)
	case "403":
		http.Error(w, "not you", http.StatusForbidden)
	case "400", "422": // this recording, and for good
		status, _ := strconv.Atoi(mode)
		http.Error(w, "too ugly", status)
	case "too large": // S3's words for the same
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<Error><Code>EntityTooLarge</Code><Message>too ugly</Message></Error>")
	case "slow": // takes and gives by drops
		r.Body = &drops{r.Body}
		f.Handler.ServeHTTP(dripping{w}, r)
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

// drops is a body that comes eight bytes at a time.
type drops struct{ io.ReadCloser }

func (d *drops) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return d.ReadCloser.Read(p[:min(8, len(p))])
}

// dripping sends an answer byte by byte.
type dripping struct{ http.ResponseWriter }

func (d dripping) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.ResponseWriter.Write(p[i : i+1]); err != nil {
			return i, err
		}
		_ = http.NewResponseController(d.ResponseWriter).Flush()
		time.Sleep(time.Millisecond)
	}
	return len(p), nil
}

// deaf swallows an answer.
type deaf struct {
	header http.Header
	bufio.Writer
}

func (d *deaf) Header() http.Header         { return d.header }
func (d *deaf) Write(p []byte) (int, error) { return len(p), nil }
func (d *deaf) WriteHeader(int)             {}

// PipeClient is a client whose server is at the other end of a pipe.
func PipeClient(serve func(c net.Conn)) *http.Client {
	return &http.Client{Transport: &client.Bounded{Next: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go serve(theirs)
		return ours, nil
	}}}}
}
