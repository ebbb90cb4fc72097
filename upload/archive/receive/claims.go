// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"sync"

	"castgate/upload/manifest"
)

// holdClaims refuses a manifest that says of its recording what is not so.
// Everybody who lists, finds and shows recordings goes by what manifests say.
func (s *Server) holdClaims(n name, file *os.File) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	m, err := manifest.Parse(text)
	if err != nil {
		return &refusal{http.StatusBadRequest, err}
	}
	n.ext = m.StoredSuffix()
	var kind string
	if seen, ok := s.measured.take(n); ok {
		kind, err = m.Compare(seen.stored, seen.cast)
	} else {
		kind, err = s.dir.checkStored(n, m)
	}
	switch kind {
	case manifest.FaultChanged, manifest.FaultUntrue:
		return wrong("the manifest is not that of %s: %w", n.id+n.ext, err)
	}
	return err
}

// checkStored reads the recording that m speaks of again.
func (d *Dir) checkStored(n name, m *manifest.Manifest) (kind string, err error) {
	f, err := d.open(n.path())
	if errors.Is(err, fs.ErrNotExist) {
		return "", &refusal{http.StatusServiceUnavailable, errors.New("its recording has not come yet")}
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	kind, _, err = m.Check(f)
	return kind, err
}

// measured remembers what was found in recordings whose manifests are to come,
// which is at once: a large one is not read twice. To forget means to read it
// again.
type measured struct {
	mu  sync.Mutex
	all map[string]seen
}

type seen struct {
	stored manifest.Object
	cast   manifest.Facts
}

// maxMeasured and maxHeader bound it to some 16 MiB.
const (
	maxMeasured = 1024
	maxHeader   = 16 << 10
)

func (m *measured) put(n name, stored manifest.Object, cast manifest.Facts) {
	header, err := json.Marshal(cast.Header)
	if n.ext != manifest.CastSuffix && n.ext != manifest.SealedSuffix || err != nil || len(header) > maxHeader {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil || len(m.all) >= maxMeasured {
		m.all = map[string]seen{}
	}
	m.all[n.path()] = seen{stored, cast}
}

func (m *measured) take(n name) (seen, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.all[n.path()]
	delete(m.all, n.path())
	return s, ok
}

// tellClaims writes to the log that another host streams a recording with that
// id. Both are kept: an id is its host's, and which of the two made it up is not
// for the archive to tell.
func (s *Server) tellClaims(n name) {
	if n.ext != manifest.CastSuffix && n.ext != manifest.SealedSuffix {
		return
	}
	others, _ := fs.Glob(s.dir.root.FS(), livePath("*", n.id))
	for _, o := range others {
		if other := path.Base(path.Dir(o)); other != n.host {
			s.log.Error("receive", "what", "id claimed by two hosts", "id", n.id, "host", n.host, "other", other)
		}
	}
}
