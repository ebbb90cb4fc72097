// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"castgate/upload/archive/ca"
	"castgate/upload/manifest"
	"castgate/upload/store"
	"castgate/wrap/asciicast"
)

// ttyspy (https://github.com/IBM/ttyspy) sends a session's raw output as one
// chunked POST that is open for the session's life. Its server believed the
// X-Hostname header and took it, and the user's name, into the path; here the
// host is the certificate's and both must agree, or the archive's configuration
// says that the certificate is that of a fleet and the host one of it.

const transcriptType = "application/typescript"

// transcriptSize is what a client that says nothing of its terminal is taken to have.
var transcriptTerm = asciicast.Term{Cols: 80, Rows: 24}

func (s *Server) transcript(w http.ResponseWriter, r *http.Request) {
	host, err := s.transcriptHost(r)
	if err != nil {
		s.refuse(w, r, hostOf(r.Context()), err)
		return
	}
	h, err := s.transcriptHeader(r, host)
	if err != nil {
		s.refuse(w, r, host, err)
		return
	}
	start := time.Unix(h.Timestamp, 0).UTC() // as the header says
	user, _ := manifest.Element(h.Session.User)
	n := name{user: user, host: host, day: start.Format("2006/01/02"), id: h.Session.ID, ext: manifest.CastSuffix}
	rec, err := s.keepTranscript(r, n, h, start)
	if err != nil {
		s.refuse(w, r, host, err)
		return
	}
	s.log.Info("receive", "what", "stored", "host", host, "path", rec.Path, "bytes", rec.Bytes,
		"sha256", rec.SHA256, "client", r.RemoteAddr, "status", http.StatusOK, "why", "")
	s.finish(n)
	w.WriteHeader(http.StatusOK) // ttyspy reads no body
}

func (s *Server) transcriptHeader(r *http.Request, host string) (asciicast.Header, error) {
	var h asciicast.Header
	if r.Header.Get("Content-Type") != transcriptType {
		return h, wrong("the Content-Type is not %s", transcriptType)
	}
	user := r.Header.Get("X-Username")
	if _, err := manifest.Element(user); err != nil {
		return h, wrong("X-Username: %w", err)
	}
	h.Term, h.Timestamp = transcriptTerm, s.now().Unix()
	h.Session = &asciicast.Session{
		ID: asciicast.NewID(s.now()), Mode: "ttyspy", Host: host, User: user, Gecos: gecos(r), Client: sshClient(r),
		TTY: true, Kind: asciicast.KindShell, Version: "ttyspy",
	}
	return h, nil
}

// transcriptHost is the host that a transcript is filed under.
func (s *Server) transcriptHost(r *http.Request) (string, error) {
	cert, claimed := hostOf(r.Context()), r.Header.Get("X-Hostname")
	if manifest.SameHost(cert, claimed) {
		return cert, nil
	}
	host := strings.ToLower(claimed)
	for _, pattern := range s.Certificates[cert] {
		if ok, _ := path.Match(strings.ToLower(pattern), host); ok && ca.CheckHost(host) == nil {
			return host, nil
		}
	}
	return "", &refusal{http.StatusForbidden, fmt.Errorf("the certificate is %q's, not %q's", cert, claimed)}
}

// maxGecos is more than any full name needs.
const maxGecos = 256

// gecos is the full name that the client tells of the account.
func gecos(r *http.Request) string {
	text := strings.ToValidUTF8(r.Header.Get("X-Gecos"), "\ufffd")
	if len(text) > maxGecos {
		text = strings.ToValidUTF8(text[:maxGecos], "")
	}
	return text
}

// sshClient takes "address port" from "address port port".
func sshClient(r *http.Request) string {
	f := strings.Fields(r.Header.Get("X-Ssh-Client"))
	return strings.Join(f[:min(len(f), 2)], " ")
}

// keepTranscript writes what arrives as a live recording, record before
// anything else, and files it when the client has ended or gone.
func (s *Server) keepTranscript(r *http.Request, n name, h asciicast.Header, start time.Time) (Receipt, error) {
	if err := s.dir.roomForLive(n.host, n.id, 0); err != nil {
		return Receipt{}, err
	}
	f, err := s.dir.root.OpenFile(livePath(n.host, n.id), os.O_RDWR|os.O_CREATE|os.O_EXCL, store.FileMode)
	if err != nil {
		return Receipt{}, err
	}
	defer f.Close()
	m := &manifest.Manifest{
		Version: manifest.Version, Session: manifest.Session(*h.Session),
		Term: manifest.Term{Cols: h.Term.Cols, Rows: h.Term.Rows}, Start: start,
		Ended: manifest.EndedInterrupted,
	}
	cast := newSum(f)
	whole, err := s.record(r.Body, cast, h)
	if err != nil {
		return Receipt{}, err // what was written stays, as a live recording that ended
	}
	if whole { // ttyspy doesn't send the exit status
		m.Complete, m.Ended = true, manifest.EndedClosed
	}
	m.Cast = manifest.Object{Bytes: cast.N, SHA256: cast.Hex()}
	return s.dir.file(f, n, m)
}

// record writes the recording. A client that has gone without the end of its
// body leaves another marker than one that has ended: that is all there is to
// tell the two apart.
func (s *Server) record(body io.Reader, w io.Writer, h asciicast.Header) (whole bool, err error) {
	out := asciicast.AppendHeader(nil, h)
	var enc asciicast.Encoder
	buf, total, end := make([]byte, 32<<10), int64(0), error(nil)
	for start := s.now(); ; {
		if _, err := w.Write(out); err != nil || end != nil {
			return errors.Is(end, io.EOF), err
		}
		if total += int64(len(out)); total > s.limits.Unpacked {
			return false, errLarge
		}
		var n int
		n, end = body.Read(buf)
		at := s.now().Sub(start)
		out = enc.AppendOutput(out[:0], at, buf[:n])
		if end != nil {
			label := manifest.ClosedMarker
			if !errors.Is(end, io.EOF) {
				label = "recording interrupted"
			}
			out = enc.AppendMarker(enc.Flush(out, at), at, label)
		}
	}
}
