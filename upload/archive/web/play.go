// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"castgate/upload/archive"
	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// watching remembers who has been written down as playing what, so that one
// playing is one event however many segments it takes.
type watching struct {
	mu  sync.Mutex
	who map[string]time.Time
}

// maxWatching bounds it. To forget somebody means to write them down again.
const maxWatching = 10_000

// known reports whether this has been written down within a session's time.
func (w *watching) known(key string, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.who[key]
	return ok && now.Sub(last) < sessionMax
}

func (w *watching) written(key string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.who == nil || len(w.who) >= maxWatching {
		w.who = map[string]time.Time{}
	}
	w.who[key] = now
}

// play answers with a prepared file of a recording: its index, which the audit
// log calls playing, its outline with the transcript, which it calls reading,
// or a segment. Who asks for a segment without having asked for the index plays
// it all the same.
func (s *Server) play(w http.ResponseWriter, r *http.Request) { s.prepared(w, r, false) }

// reveal is play, with what was written into control strings as text.
func (s *Server) reveal(w http.ResponseWriter, r *http.Request) { s.prepared(w, r, true) }

func (s *Server) prepared(w http.ResponseWriter, r *http.Request, reveal bool) {
	rec, ok := s.recording(w, r)
	if !ok {
		return
	}
	name := r.PathValue("file")
	if rec.Arriving() || rec.State == manifest.StateSealed {
		s.notFound(w, r)
		return
	}
	what, key := "play", who(r).Name+" "+rec.Name()
	if name == "outline.json" {
		what, key = "read", "" // each time
	}
	if key == "" || name == "index.json" || !s.watching.known(key, s.now()) {
		if !s.noteLook(w, r, what, rec, "") {
			return
		}
		s.watching.written(key, s.now())
	}
	kept := rec.key()
	if reveal && kept != "" {
		kept = manifest.Hash([]byte("reveal " + kept))
	}
	err := s.cache.serve(w, r, kept, name, preparation{reveal: reveal, open: func() (io.ReadCloser, error) {
		// Not the request's context: others may be waiting for the same.
		return s.archive.Cast(s.background, rec)
	}})
	if err != nil {
		s.fail(w, r, err)
	}
}

// look notes who looks at a recording, and then opens it. False means that the
// request has been answered.
func (s *Server) look(w http.ResponseWriter, r *http.Request, what string) (rec Recording, in io.ReadCloser, ok bool) {
	rec, ok = s.recording(w, r)
	if !ok || !s.noteLook(w, r, what, rec, "") {
		return rec, nil, false
	}
	in, err := s.archive.Cast(r.Context(), rec)
	if err != nil {
		s.fail(w, r, err)
		return rec, nil, false
	}
	return rec, in, true
}

// cast answers with the recording so far, for the player's own parser: what is
// in the header beyond the terminal's size, and what no player knows, is left
// out. It is how a live recording is watched from its start.
func (s *Server) cast(w http.ResponseWriter, r *http.Request) {
	rec, in, ok := s.look(w, r, "play")
	if !ok {
		return
	}
	defer in.Close()
	w.Header().Set("Content-Type", "application/x-asciicast")
	if err := cleanCast(w, in); err != nil {
		s.log.Info("page", "path", r.URL.Path, "who", who(r).Name, "why", err.Error())
		if !rec.Arriving() { // what is not the recording must not look like it
			panic(http.ErrAbortHandler)
		}
	}
}

// cleanCast writes a recording, as a player gets it, up to its end or damage.
func cleanCast(w io.Writer, in io.Reader) error {
	rec, err := archive.NewEvents(in)
	if err != nil {
		return err
	}
	f := newFeed(rec.Header.Term, false)
	out := asciicast.AppendHeader(nil, asciicast.Header{Term: asciicast.Term{Cols: f.cols, Rows: f.rows}, Timestamp: rec.Header.Timestamp})
	var enc asciicast.Encoder
	var last asciicast.Event
	add := func(ev asciicast.Event) { out = appendClean(out, &enc, ev) }
	for err == nil {
		if _, err = w.Write(out); err != nil {
			return err
		}
		out = out[:0]
		var ev asciicast.Event
		if ev, err = rec.Next(); err == nil {
			last = ev
			f.run(ev)
			f.sync(ev.Time, false, add)
			if ev.Code == asciicast.Marker {
				add(ev)
			}
		}
	}
	if f.sync(last.Time, true, add); len(out) > 0 {
		if _, err := w.Write(out); err != nil {
			return err
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, asciicast.ErrTorn) {
		return nil
	}
	return err
}

func appendClean(dst []byte, enc *asciicast.Encoder, ev asciicast.Event) []byte {
	switch ev.Code {
	case asciicast.Output:
		return enc.AppendOutput(dst, ev.Time, ev.Text)
	case asciicast.Resize:
		cols, rows, _ := asciicast.ParseSize(ev.Text)
		return enc.AppendResize(dst, ev.Time, cols, rows)
	case asciicast.Marker:
		return enc.AppendMarker(dst, ev.Time, string(ev.Text))
	}
	return dst
}

// pollEvery is how soon a live page sees what has arrived, and beatEvery how
// often a silent one is told that the connection is alive (proxies close
// silent ones).
const (
	pollEvery = 300 * time.Millisecond
	beatEvery = 20 * time.Second
)

// follow sends a live recording as server-sent events: the screen as it is
// now, then every event as it arrives. The two join without a gap or an
// overlap, since one reader goes from the first event to the last.
func (s *Server) follow(w http.ResponseWriter, r *http.Request) {
	rec, in, ok := s.look(w, r, "follow")
	if !ok {
		return
	}
	defer in.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	f := &follower{w: w, ctl: http.NewResponseController(w)}
	tail := &tail{in: in, caughtUp: f.snapshot, wait: f.wait(r), over: func() bool {
		now, err := s.archive.Get(r.Context(), rec.Name())
		return err != nil || now.State != manifest.StateLive
	}}
	if err := f.run(tail); err != nil && r.Context().Err() == nil {
		s.log.Info("page", "path", r.URL.Path, "who", who(r).Name, "why", err.Error())
	}
}

// follower writes the events of one live page.
type follower struct {
	w    io.Writer
	ctl  *http.ResponseController
	feed *feed
	now  time.Duration
	live bool // the snapshot has been sent
	beat time.Time
}

func (f *follower) run(in io.Reader) error {
	rec, err := archive.NewEvents(in)
	if err != nil {
		return err
	}
	f.feed = newFeed(rec.Header.Term, false)
	for {
		ev, err := rec.Next()
		if errors.Is(err, io.EOF) {
			return errors.Join(f.snapshot(), f.sync(true), f.send("event: done\ndata: {}\n\n"))
		}
		if err != nil {
			return err
		}
		f.now = ev.Time
		f.feed.run(ev)
		if err := f.sync(false); err != nil {
			return err
		}
	}
}

// sync sends what has changed since the snapshot.
func (f *follower) sync(now bool) (err error) {
	if !f.live {
		return nil
	}
	f.feed.sync(f.now, now, func(ev asciicast.Event) {
		var data any = string(ev.Text)
		if ev.Code == asciicast.Resize {
			data = segmentTerm{f.feed.cols, f.feed.rows}
		}
		err = errors.Join(err, f.message([]any{seconds(ev.Time), ev.Code, data}))
	})
	return err
}

// snapshot sends the screen as it is, and what has waited; from here on changes
// are sent as they come.
func (f *follower) snapshot() error {
	if f.feed == nil {
		return nil
	}
	if f.live {
		return f.sync(true)
	}
	f.live = true
	cols, rows, init := f.feed.snapshot()
	return f.message(map[string]any{"cols": cols, "rows": rows, "time": seconds(f.now), "init": init})
}

func (f *follower) message(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.send(fmt.Sprintf("data: %s\n\n", data))
}

func (f *follower) send(text string) error {
	f.beat = time.Now()
	if _, err := io.WriteString(f.w, text); err != nil {
		return err
	}
	return f.ctl.Flush()
}

// wait waits for more to arrive.
func (f *follower) wait(r *http.Request) func() error {
	return func() error {
		if time.Since(f.beat) > beatEvery {
			if err := f.send(": still here\n\n"); err != nil {
				return err
			}
		}
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-time.After(pollEvery):
			return nil
		}
	}
}

// tail reads what grows until it is over.
type tail struct {
	in       io.Reader
	caughtUp func() error
	wait     func() error
	over     func() bool
	last     bool
}

func (t *tail) Read(p []byte) (int, error) {
	for {
		n, err := t.in.Read(p)
		if n > 0 || (err != nil && !errors.Is(err, io.EOF)) || t.last {
			return n, err
		}
		if err := t.caughtUp(); err != nil {
			return 0, err
		}
		if t.last = t.over(); t.last {
			continue // what came between the two looks
		}
		if err := t.wait(); err != nil {
			return 0, err
		}
	}
}
