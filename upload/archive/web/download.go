// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"castgate/upload/archive"
	"castgate/upload/archive/screen"
	"castgate/upload/manifest"
)

// downloads are what can be taken away of a recording, by the name's end.
var downloads = map[string]struct {
	suffix, mime string
	write        func(s *Server, w io.Writer, r *http.Request, rec Recording) error
}{
	"cast":   {".cast", "application/x-asciicast", (*Server).writeCast},
	"txt":    {".txt", "text/plain; charset=utf-8", (*Server).writeText},
	"html":   {".html", "text/html; charset=utf-8", (*Server).writeHTML},
	"stored": {manifest.CastSuffix, "application/zstd", stored("")},
	"json":   {manifest.JSONSuffix, "application/json", stored(manifest.JSONSuffix)},
	"sig":    {manifest.SigSuffix, "text/plain; charset=utf-8", stored(manifest.SigSuffix)},
}

// download answers with a file, as an attachment: nothing of it is ever shown
// by the browser as a page of this server.
func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	kind := r.PathValue("kind")
	d, known := downloads[kind]
	if !known {
		s.notFound(w, r)
		return
	}
	rec, ok := s.recording(w, r)
	if !ok || !s.noteLook(w, r, "download", rec, kind) {
		return
	}
	suffix := d.suffix
	if kind == "stored" && rec.State == manifest.StateSealed {
		suffix = manifest.SealedSuffix
	}
	lazy := &lazyWriter{w: w, start: func() {
		w.Header().Set("Content-Type", d.mime)
		w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s%s"`, rec.ID(), suffix))
	}}
	err := d.write(s, lazy, r, rec)
	switch {
	case err == nil:
	case !lazy.started:
		s.fail(w, r, err)
	default: // half a file must not look like a whole one
		s.log.Error("page", "path", r.URL.Path, "who", who(r).Name, "why", err.Error())
		panic(http.ErrAbortHandler)
	}
}

// lazyWriter sets the headers with the first byte: until then the answer may
// still become an error's.
type lazyWriter struct {
	w       io.Writer
	start   func()
	started bool
}

func (l *lazyWriter) Write(p []byte) (int, error) {
	if !l.started {
		l.started = true
		l.start()
	}
	return l.w.Write(p)
}

func (s *Server) writeCast(w io.Writer, r *http.Request, rec Recording) error {
	in, err := s.archive.Cast(r.Context(), rec)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(w, in)
	return err
}

// stored writes an object as it is kept: with the manifest and its signature
// the proof, for somebody who has nothing of ours.
func stored(suffix string) func(*Server, io.Writer, *http.Request, Recording) error {
	return func(s *Server, w io.Writer, r *http.Request, rec Recording) error {
		name := suffix
		if name == "" {
			name = rec.Manifest.StoredSuffix()
		}
		in, err := s.archive.Object(r.Context(), rec, name)
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = io.Copy(w, in)
		return err
	}
}

func (s *Server) writeText(w io.Writer, r *http.Request, rec Recording) error {
	lines, err := transcript(r.Context(), s.archive, rec)
	if err != nil {
		return err
	}
	m := rec.Manifest
	_, err = fmt.Fprintf(w, "%s on %s, %s UTC, %s\nrecording %s, sha256 %s\n\n", visible(m.Session.User), rec.Host,
		m.Start.Format("2006-01-02 15:04:05"), clock(time.Duration(m.Duration)), rec.ID(), m.Cast.SHA256)
	for _, l := range lines {
		if err == nil {
			_, err = io.WriteString(w, textLine(l))
		}
	}
	return err
}

// textLine is a line of a plain transcript. How it was hidden stands before the
// two blanks behind which the recording's text begins.
func textLine(l screen.Line) string {
	how := ""
	if l.Hidden != screen.Visible {
		how = " (" + l.Hidden.String() + ")"
	}
	return fmt.Sprintf("%8s%s  %s\n", clock(l.At), how, visible(l.Text))
}

// maxTranscript bounds a text download, in bytes: they are sorted in memory.
const maxTranscript = 64 << 20

var errTooLong = errors.New("the transcript is too long for one file")

// transcript reads a recording through the emulator.
func transcript(ctx context.Context, a Archive, rec Recording) ([]screen.Line, error) {
	in, err := a.Cast(ctx, rec)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return linesOf(ctx, in)
}

func linesOf(ctx context.Context, in io.Reader) ([]screen.Line, error) {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	var lines []screen.Line
	size := 0
	_, err := archive.Transcribe(ctx, in, func(l screen.Line) {
		if size += len(l.Text); size > maxTranscript {
			enough()
		} else if l.Text != "" {
			lines = append(lines, l)
		}
	})
	if size > maxTranscript {
		return nil, errTooLong
	}
	slices.SortStableFunc(lines, func(a, b screen.Line) int { return cmp.Compare(a.At, b.At) })
	return lines, err
}

// maxSingle bounds a recording in a single file, which a browser parses whole.
const maxSingle = 64 << 20

// writeHTML writes a page that needs nothing else: the player, the recording
// and its transcript in one file, for somebody who has no access here.
func (s *Server) writeHTML(w io.Writer, r *http.Request, rec Recording) error {
	if rec.Manifest.Cast.Bytes > maxSingle { // no more than that is read, whatever there is
		return fmt.Errorf("the recording is larger than %s", humanBytes(maxSingle))
	}
	in, err := s.archive.Cast(r.Context(), rec)
	if err != nil {
		return err
	}
	defer in.Close()
	raw, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	return writeSingle(r.Context(), w, rec, raw)
}
