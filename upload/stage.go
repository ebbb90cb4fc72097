// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"

	"castgate/upload/client"
	"castgate/upload/manifest"
	"castgate/upload/store"
	"castgate/upload/target"
	"castgate/wrap/asciicast"
)

// The stage is the directory, below the state directory, of what is on its
// way: <id>.cast.zst, made once, so that every target and every try gets the
// same bytes. Only what is being delivered is here, never the whole spool.
const stageDir = "stage"

// window is zstd's: what a reader must hold in memory, and a browser too.
const window = 1 << 20

// encoders keeps those that are not in use: one has megabytes of tables, and a
// sync.Pool forgets it at every second collection, which making the next brings
// about. Its size is Config.Parallel's limit.
var encoders = make(chan *zstd.Encoder, maxParallel)

func takeEncoder() *zstd.Encoder {
	select {
	case e := <-encoders:
		return e
	default:
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
}

func putEncoder(e *zstd.Encoder) {
	select {
	case encoders <- e:
	default:
	}
}

func stageName(id string) string { return stageDir + "/" + id }

// pack takes a recording from the spool: reads and checks it, compresses it
// into the stage, and puts its manifest, signed, at the head of the chain.
func (u *Uploader) pack(id string) (err error) {
	c, err := u.openCast(id)
	if err != nil {
		return err
	}
	defer c.Close()
	m, err := u.compress(c)
	if err != nil {
		return err
	}
	return u.journal.seal(id, func(sequence int64, previous string) (*manifest.Manifest, []byte, []byte, error) {
		m.Sequence, m.Previous = sequence, previous
		text, err := m.Encode()
		if err != nil {
			return nil, nil, nil, err
		}
		read, err := manifest.Parse(text) // what every reader will see
		if err != nil {
			return nil, nil, nil, client.Refuse("%w", err)
		}
		sig, err := u.sign(text)
		return read, text, sig, err
	})
}

func (u *Uploader) openCast(id string) (*cast, error) {
	f, err := u.spool.Open(spoolIncoming, id)
	if err != nil {
		var sys *fs.PathError
		info, lost := u.spool.Stat(spoolIncoming, id)
		if lost == nil && (!info.Mode().IsRegular() || !errors.As(err, &sys)) {
			return nil, &client.Refused{Err: err} // a link, a device, a second name: no recorder made it
		}
		return nil, fmt.Errorf("open the recording: %w", err)
	}
	c, err := newCast(f, id)
	if err != nil {
		f.Close()
		return nil, err
	}
	return c, nil
}

// compress writes the stage's file and returns the manifest, but for its place
// in the chain.
func (u *Uploader) compress(c *cast) (_ *manifest.Manifest, err error) {
	to, err := u.seal.WithTeams(u.Config.KeysCache)
	if err != nil {
		return nil, err
	}
	out, err := u.state.OpenFile(stageName(c.id), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write to the stage: %w", err)
	}
	defer func() {
		err = errors.Join(err, out.Close())
		if err != nil {
			_ = u.state.Remove(stageName(c.id))
		}
	}()
	stored := manifest.NewHasher(out)
	enc := takeEncoder()
	defer putEncoder(enc)
	sealed, err := to.Writer(stored)
	if err != nil {
		return nil, err
	}
	enc.Reset(sealed)
	f, err := c.scan(enc)
	if err != nil {
		return nil, err
	}
	if err := c.check(f.Header, u.uidOf); err != nil {
		return nil, err
	}
	if err := errors.Join(enc.Close(), sealed.Close(), out.Sync()); err != nil {
		return nil, fmt.Errorf("write to the stage: %w", err)
	}
	m := describe(f)
	m.Stored = manifest.Stored{
		Object:   manifest.Object{Bytes: stored.N, SHA256: stored.Hex()},
		Encoding: "zstd", Recipients: to.Layers(),
	}
	m.Stored.Name = c.id + m.StoredSuffix()
	return m, store.SyncDir(u.state, stageDir)
}

// describe returns what the reading of a recording tells.
func describe(f manifest.Facts) *manifest.Manifest {
	h := f.Header
	cols, rows := asciicast.Clamp(h.Term.Cols, h.Term.Rows)
	start := time.Unix(h.Timestamp, 0).UTC()
	f.Duration = f.Duration.Truncate(time.Microsecond)
	m := &manifest.Manifest{
		Version: manifest.Version,
		Session: manifest.Session(*h.Session),
		Command: h.Command,
		Term:    manifest.Term{Cols: cols, Rows: rows, Type: h.Term.Type},
		Start:   start, End: start.Add(f.Duration), Duration: manifest.Seconds(f.Duration),
		Exit: f.Exit, Complete: f.Exit != nil, Ended: manifest.EndedInterrupted,
		Events: f.Events,
		Cast:   f.Cast,
	}
	if m.Complete {
		m.Ended = manifest.EndedExit
	}
	return m
}

// delivery returns a sealed recording as a target wants it.
func (u *Uploader) delivery(id string, p *parcel) *target.Delivery {
	return &target.Delivery{
		Manifest: p.manifest, JSON: p.json, Sig: p.sig,
		Stored: func() (io.ReadSeekCloser, error) { return u.state.Open(stageName(id)) },
		Cast: func() (io.ReadCloser, error) {
			c, err := u.openCast(id)
			if err != nil {
				return nil, err
			}
			return struct {
				io.Reader
				io.Closer
			}{c.open(!p.manifest.Complete), c}, nil
		},
	}
}

// cleanStage removes what a killed uploader left in the stage and nobody will
// ask for.
func (u *Uploader) cleanStage() error {
	f, err := u.state.Open(stageDir)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		batch, err := f.Readdirnames(512)
		for _, name := range batch {
			if u.journal.parcel(name) == nil {
				if err := u.state.Remove(stageName(name)); err != nil {
					return fmt.Errorf("clean the stage: %w", err)
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sign returns the signature of a manifest, nil without a signing key.
func (u *Uploader) sign(text []byte) ([]byte, error) {
	if u.signer == nil {
		return nil, nil
	}
	return u.signer.Sign(text)
}
