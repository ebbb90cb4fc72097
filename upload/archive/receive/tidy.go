// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"time"

	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// Where several servers have one bucket, the parts of a recording may have
// come to this one and its end to another. The page shows what the bucket has,
// but the parts would stay for ever, and count against maxLive. So with each
// new live recording of a host a few of its parts that nothing has been added
// to for a while are compared with the bucket: that takes away more than comes.
const (
	tidyAfter = time.Hour
	tidyMost  = 8
)

func (s *Server) tidy(host string) {
	if s.dir.objects == nil {
		return
	}
	entries, err := fs.ReadDir(s.dir.root.FS(), path.Join(LiveDir, host))
	if err != nil {
		return // the first of this host
	}
	rand.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] }) // some may never go
	looked := 0
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || s.now().Sub(info.ModTime()) < tidyAfter {
			continue
		}
		if looked++; looked > tidyMost {
			return
		}
		n, err := s.dir.nameOfLive(host, strings.TrimSuffix(e.Name(), ".cast"))
		if err != nil {
			continue
		}
		if f, err := s.dir.open(n.path()); err == nil {
			f.Close()
			s.finish(n)
		}
	}
}

// nameOfLive is where the recording goes whose parts are kept.
func (d *Dir) nameOfLive(host, id string) (name, error) {
	n := name{host: host, id: id, ext: manifest.CastSuffix}
	f, err := d.root.Open(livePath(host, id))
	if err != nil {
		return n, err
	}
	defer f.Close()
	rec, err := asciicast.NewReader(f)
	if err != nil {
		return n, err
	}
	if err := n.ofHeader(rec.Header); err != nil {
		return n, err
	}
	return n, nil
}

func (n *name) ofHeader(h asciicast.Header) (err error) {
	if h.Session == nil {
		return wrong("no castgate header")
	}
	n.day = time.Unix(h.Timestamp, 0).UTC().Format("2006/01/02")
	n.user, err = manifest.Element(h.Session.User)
	return err
}
