// SPDX-License-Identifier: AGPL-3.0-or-later

package uploadtest

import (
	"bytes"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"castgate/upload/manifest"
	"castgate/upload/target"
	"castgate/wrap/asciicast"
)

// Packed returns a recording as a delivery, as the uploader makes it.
func (b *Bench) Packed(text string) *target.Delivery {
	b.T.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		b.T.Fatal(err)
	}
	stored := enc.EncodeAll([]byte(text), nil)
	f, err := manifest.Measure(strings.NewReader(text), nil)
	if err != nil {
		b.T.Fatal(err)
	}
	start, h := time.Unix(f.Header.Timestamp, 0).UTC(), f.Header
	cols, rows := asciicast.Clamp(h.Term.Cols, h.Term.Rows)
	m := &manifest.Manifest{
		Version: manifest.Version, Session: manifest.Session(*h.Session), Command: h.Command,
		Term:  manifest.Term{Cols: cols, Rows: rows, Type: h.Term.Type},
		Start: start, End: start.Add(f.Duration), Duration: manifest.Seconds(f.Duration), Exit: f.Exit,
		Complete: f.Exit != nil, Ended: manifest.EndedInterrupted, Events: f.Events, Cast: f.Cast, Sequence: 1,
		Stored: manifest.Stored{Object: manifest.Object{Bytes: int64(len(stored)), SHA256: manifest.Hash(stored)}, Encoding: "zstd"},
	}
	if m.Complete {
		m.Ended = manifest.EndedExit
	}
	m.Stored.Name = h.Session.ID + m.StoredSuffix()
	d := &target.Delivery{
		Manifest: m,
		Stored:   func() (io.ReadSeekCloser, error) { return MemoryFile{bytes.NewReader(stored)}, nil },
		Cast:     func() (io.ReadCloser, error) { return MemoryFile{bytes.NewReader([]byte(text))}, nil },
	}
	if d.JSON, err = m.Encode(); err == nil && b.Signer != nil {
		d.Sig, err = b.Signer.Sign(d.JSON)
	}
	if err != nil {
		b.T.Fatal(err)
	}
	return d
}
