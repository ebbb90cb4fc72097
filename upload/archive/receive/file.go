// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/klauspost/compress/zstd"

	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// file compresses a recording that this server has made to its final name and
// writes its manifest. There is no signature: the host has not seen it.
func (d *Dir) file(f *os.File, n name, m *manifest.Manifest) (Receipt, error) {
	rec := Receipt{Path: n.path()}
	if err := count(f, m); err != nil {
		return rec, err
	}
	if err := d.compress(f, n, &rec); err != nil {
		return rec, err
	}
	m.Stored = manifest.Stored{
		Object: manifest.Object{Bytes: rec.Bytes, SHA256: rec.SHA256},
		Name:   n.id + manifest.CastSuffix, Encoding: "zstd",
	}
	return rec, d.chain(n, m)
}

// count reads the recording for the facts that m has of its events.
func count(f *os.File, m *manifest.Manifest) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	rec, err := asciicast.NewReader(f)
	if err != nil {
		return err
	}
	for {
		ev, err := rec.Next()
		if errors.Is(err, io.EOF) {
			m.End = m.Start.Add(time.Duration(m.Duration))
			return nil
		}
		if err != nil {
			return err
		}
		m.Events, m.Duration = m.Events+1, manifest.Seconds(ev.Time)
	}
}

func (d *Dir) compress(f *os.File, n name, rec *Receipt) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	tmp, err := d.temp(0)
	if err != nil {
		return err
	}
	defer tmp.discard()
	sum := newSum(tmp.f)
	enc, err := zstd.NewWriter(sum, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	_, err = io.Copy(enc, f)
	if err := errors.Join(err, enc.Close()); err != nil {
		return err
	}
	rec.SHA256, rec.Bytes = sum.Hex(), sum.N
	_, err = d.keep(tmp, n, sum.Sum())
	return err
}

// link is the end of a host's chain of manifests that this server wrote.
type link struct {
	Sequence int64  `json:"sequence"`
	Hash     string `json:"sha256"`
}

// chain writes m as the next of its host's chain. The link is written first:
// a crash between the two shows as a hole, never as two of one number.
func (d *Dir) chain(n name, m *manifest.Manifest) error {
	d.chainMu.Lock()
	defer d.chainMu.Unlock()
	p := path.Join(chainDir, n.host)
	var last link
	old, err := d.root.ReadFile(p)
	if err == nil {
		err = json.Unmarshal(old, &last)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the chain of %q: %w", n.host, err)
	}
	m.Sequence, m.Previous = last.Sequence+1, last.Hash
	data, err := m.Encode()
	if err != nil {
		return err
	}
	next, err := json.Marshal(link{m.Sequence, manifest.Hash(data)})
	if err != nil {
		return err
	}
	if err := d.replace(p, next); err != nil {
		return err
	}
	return d.keepBytes(data, name{user: n.user, host: n.host, day: n.day, id: n.id, ext: manifest.JSONSuffix})
}

func (d *Dir) keepBytes(data []byte, n name) error {
	tmp, err := d.temp(int64(len(data)))
	if err != nil {
		return err
	}
	defer tmp.discard()
	sum := newSum(tmp.f)
	if _, err := sum.Write(data); err != nil {
		return err
	}
	_, err = d.keep(tmp, n, sum.Sum())
	return err
}

// replace writes the side file p whole.
func (d *Dir) replace(p string, data []byte) error {
	tmp, err := d.temp(int64(len(data)))
	if err != nil {
		return err
	}
	defer tmp.discard()
	_, err = tmp.f.Write(data)
	if err := errors.Join(err, tmp.f.Sync()); err != nil {
		return err
	}
	if err := d.root.Rename(tmp.name, p); err != nil {
		return err
	}
	return d.syncUp(path.Dir(p))
}
