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

	"github.com/klauspost/compress/zstd"

	"castgate/upload/manifest"
	"castgate/upload/store"
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
	facts, err := manifest.Measure(f, nil)
	m.Events, m.Duration, m.End = facts.Events, manifest.Seconds(facts.Duration), m.Start.Add(facts.Duration)
	return err
}

func (d *Dir) compress(f *os.File, n name, rec *Receipt) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	tmp, err := d.temp(0)
	if err != nil {
		return err
	}
	defer tmp.Discard()
	sum := newSum(tmp)
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
	if err := d.room(int64(len(next))); err != nil {
		return err
	}
	if err := store.Replace(d.root.Root, p, store.FileMode, next, store.Lasting); err != nil {
		return err
	}
	return d.keepBytes(data, name{user: n.user, host: n.host, day: n.day, id: n.id, ext: manifest.JSONSuffix})
}

func (d *Dir) keepBytes(data []byte, n name) error {
	tmp, err := d.temp(int64(len(data)))
	if err != nil {
		return err
	}
	defer tmp.Discard()
	sum := newSum(tmp)
	if _, err := sum.Write(data); err != nil {
		return err
	}
	_, err = d.keep(tmp, n, sum.Sum())
	return err
}
