// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"castgate/upload/manifest"
	"castgate/upload/store"
	"castgate/wrap/asciicast"
)

// A recording that is still written arrives as parts: PUT /v1/live/<id>/<offset>
// with whole lines of the uncompressed recording that begin at that byte. The
// offset makes a part safe to repeat: what is there already must be the same
// bytes, what leaves a gap is answered with 409 and {"size": N}, the offset to
// go on from. The finished recording replaces the parts, once it has been
// seen to begin with exactly them.

// maxPart bounds one part: five seconds of output at most, cut into several
// when a session is louder. maxLive bounds the live recordings of one host.
const (
	maxPart = 4 << 20
	maxLive = 2000
)

// liveLocks serialises the parts of a recording. Striped, so that it needs no
// cleaning up.
type liveLocks [64]sync.Mutex

func (l *liveLocks) of(host, id string) *sync.Mutex {
	h := 0
	for _, b := range []byte(host + "/" + id) {
		h = h*31 + int(b)
	}
	return &l[uint(h)%uint(len(l))]
}

func livePath(host, id string) string { return path.Join(LiveDir, host, id+".cast") }

// LiveSize is the answer to a part: so many bytes are kept.
type LiveSize struct {
	Size int64 `json:"size"`
}

func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	host, id := hostOf(r.Context()), r.PathValue("id")
	offset, err := strconv.ParseInt(r.PathValue("offset"), 10, 64)
	if !manifest.IsID(id) || err != nil || offset < 0 {
		s.refuse(w, r, host, wrong("want /v1/live/<id>/<offset>"))
		return
	}
	part, err := io.ReadAll(&paced{r: http.MaxBytesReader(w, r.Body, maxPart), ctl: http.NewResponseController(w)})
	if err != nil {
		s.refuse(w, r, host, bodyError(err))
		return
	}
	if err := checkPart(host, id, offset, part); err != nil {
		s.refuse(w, r, host, err)
		return
	}
	if offset == 0 {
		s.tidy(host)
		s.tellClaims(name{host: host, id: id, ext: manifest.CastSuffix})
	}
	mu := s.dir.locks.of(host, id)
	mu.Lock()
	size, err := s.dir.appendLive(host, id, offset, part, s.limits.Unpacked)
	mu.Unlock()
	switch {
	case errors.Is(err, errGap):
		writeJSON(w, http.StatusConflict, LiveSize{size})
	case err != nil:
		s.refuse(w, r, host, err)
	default:
		s.log.Debug("receive", "what", "part", "host", host, "path", r.URL.Path, "bytes", len(part), "client", r.RemoteAddr)
		writeJSON(w, http.StatusOK, LiveSize{size})
	}
}

// checkPart holds a part to whole lines of asciicast.
func checkPart(host, id string, offset int64, part []byte) error {
	if len(part) == 0 || part[len(part)-1] != '\n' || !utf8.Valid(part) {
		return wrong("a part is whole lines of UTF-8")
	}
	lines := part
	if offset == 0 {
		var h asciicast.Header
		first, rest, _ := bytes.Cut(part, []byte("\n"))
		if err := json.Unmarshal(first, &h); err != nil || h.Session == nil || !sane(h.Term.Cols, h.Term.Rows) {
			return wrong("the first part begins with a castgate header")
		}
		if h.Session.ID != id || !manifest.SameHost(host, h.Session.Host) {
			return wrong("it is %q of host %q, not %q of host %q", h.Session.ID, h.Session.Host, id, host)
		}
		lines = rest
	}
	for line := range bytes.Lines(lines) {
		if line[0] != '#' && line[0] != '\n' && (line[0] != '[' || !json.Valid(line)) {
			return wrong("a line is neither an event nor a comment")
		}
	}
	return nil
}

var errGap = errors.New("a part is missing")

// appendLive adds part at offset and returns how much is kept.
func (d *Dir) appendLive(host, id string, offset int64, part []byte, limit int64) (int64, error) {
	if err := d.roomForLive(host, id, offset); err != nil {
		return 0, err
	}
	f, err := d.root.OpenFile(livePath(host, id), os.O_RDWR|os.O_CREATE, store.FileMode)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	size := st.Size()
	if offset > size {
		return size, errGap
	}
	have := part[:min(int64(len(part)), size-offset)]
	old := make([]byte, len(have))
	if _, err := f.ReadAt(old, offset); err != nil {
		return size, err
	}
	if !bytes.Equal(old, have) {
		return size, &refusal{http.StatusConflict, errors.New("other bytes are there")}
	}
	rest := part[len(have):]
	if size+int64(len(rest)) > limit {
		return size, errLarge
	}
	if _, err := f.WriteAt(rest, size); err != nil {
		return size, errors.Join(err, f.Truncate(size)) // no half line stays
	}
	return size + int64(len(rest)), f.Sync()
}

func (d *Dir) roomForLive(host, id string, offset int64) error {
	if err := d.room(maxPart); err != nil {
		return err
	}
	if _, err := d.root.Stat(livePath(host, id)); err == nil || offset > 0 {
		return nil
	}
	dir := path.Join(LiveDir, host)
	if err := d.root.MkdirAll(dir, store.DirMode); err != nil {
		return err
	}
	entries, err := fs.ReadDir(d.root.FS(), dir)
	if err == nil && len(entries) >= maxLive {
		err = &refusal{http.StatusServiceUnavailable, fmt.Errorf("%d live recordings of %q are kept already", len(entries), host)}
	}
	return err
}

// finish takes the parts of n away when its recording begins with them. Where
// it does not, somebody changed one of the two: both are kept.
func (s *Server) finish(n name) {
	if n.ext != manifest.CastSuffix {
		return
	}
	mu := s.dir.locks.of(n.host, n.id)
	mu.Lock()
	defer mu.Unlock()
	parts, err := s.dir.root.Open(livePath(n.host, n.id))
	if err != nil {
		return // there were none
	}
	defer parts.Close()
	err = s.dir.beginsWith(n, parts)
	if err == nil {
		err = s.dir.root.Remove(livePath(n.host, n.id))
	}
	level, what := s.log.Info, "parts replaced"
	if err != nil {
		level, what = s.log.Error, "parts kept: the recording does not begin with them"
	}
	level("receive", "what", what, "host", n.host, "path", n.path(), "why", fmt.Sprint(err))
}

func (d *Dir) beginsWith(n name, parts io.Reader) error {
	f, err := d.open(n.path())
	if err != nil {
		return err
	}
	defer f.Close()
	dec, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(MaxWindow))
	if err != nil {
		return err
	}
	defer dec.Close()
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		got, err := io.ReadFull(parts, a)
		if _, err := io.ReadFull(dec, b[:got]); err != nil || !bytes.Equal(a[:got], b[:got]) {
			return errors.New("the bytes differ")
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
