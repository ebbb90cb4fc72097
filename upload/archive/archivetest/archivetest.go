// SPDX-License-Identifier: AGPL-3.0-or-later

// Package archivetest makes archives for tests and measurements: with the
// manifests and recordings that castgate-upload would have written.
package archivetest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// Recording is a session that never was.
type Recording struct {
	User, Host, Login, Command string

	LoginID int64

	Start  time.Time
	Output []string // one event a second
	NoTTY  bool
	Exit   int
	Cut    bool // it was interrupted
	Seq    int64
	Prev   string // hash of the manifest before
	As     string // the id it says it has; "" for its own
}

// ID is the recording's id: a UUIDv7 of its start and its place.
func (r *Recording) ID() string {
	if r.As != "" {
		return r.As
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", r.User, r.Host, r.Start.UnixNano()))
	var id [16]byte
	copy(id[6:], sum[:])
	binary.BigEndian.PutUint64(id[:8], uint64(r.Start.UnixMilli())<<16|0x7000|uint64(sum[0])<<4|uint64(sum[1]&15))
	id[8] = id[8]&0x3f | 0x80
	h := hex.EncodeToString(id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Session is the recording's castgate object.
func (r *Recording) Session() asciicast.Session {
	kind := asciicast.KindShell
	if r.Command != "" {
		kind = asciicast.KindCommand
	}
	return asciicast.Session{
		ID: r.ID(), Mode: "setgid", Host: r.Host, User: r.User, UID: 1001, Login: r.Login, LoginID: r.LoginID,
		Client: "192.0.2.7 50514", Server: "192.0.2.1 22", TTY: !r.NoTTY, Kind: kind, Version: "castgate 1.0.0",
	}
}

// Cast is the recording's bytes.
func (r *Recording) Cast() []byte {
	s := r.Session()
	out := asciicast.AppendHeader(nil, asciicast.Header{
		Term: asciicast.Term{Cols: 80, Rows: 24, Type: "xterm"}, Timestamp: r.Start.Unix(), Command: r.Command, Session: &s,
	})
	var enc asciicast.Encoder
	for i, o := range r.Output {
		out = enc.AppendOutput(out, time.Duration(i)*time.Second, []byte(o))
	}
	if r.Cut {
		return enc.AppendMarker(out, r.duration(), "recording interrupted")
	}
	return enc.AppendExit(out, r.duration(), r.Exit)
}

func (r *Recording) duration() time.Duration { return time.Duration(len(r.Output)) * time.Second }

var packer, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))

// Objects returns the manifest, its text, and the recording as it is stored.
func (r *Recording) Objects() (m *manifest.Manifest, text, stored []byte) {
	cast := r.Cast()
	stored = packer.EncodeAll(cast, nil)
	m = &manifest.Manifest{
		Version: manifest.Version, Session: manifest.Session(r.Session()), Command: r.Command,
		Term:  manifest.Term{Cols: 80, Rows: 24, Type: "xterm"},
		Start: r.Start.UTC().Truncate(time.Second), Duration: manifest.Seconds(r.duration()),
		Complete: !r.Cut, Ended: manifest.EndedExit, Events: int64(len(r.Output) + 1),
		Cast:     manifest.Object{Bytes: int64(len(cast)), SHA256: manifest.Hash(cast)},
		Stored:   manifest.Stored{Object: manifest.Object{Bytes: int64(len(stored)), SHA256: manifest.Hash(stored)}, Name: r.ID() + manifest.CastSuffix, Encoding: "zstd"},
		Sequence: max(r.Seq, 1), Previous: r.Prev,
	}
	m.End = m.Start.Add(time.Duration(m.Duration))
	if r.Cut {
		m.Ended = manifest.EndedInterrupted
	} else {
		m.Exit = &r.Exit
	}
	text, _ = m.Encode()
	return m, text, stored
}

// Write stores the recording below dir and returns the manifest and its hash.
func (r *Recording) Write(dir string) (*manifest.Manifest, string, error) {
	m, text, stored := r.Objects()
	at := filepath.Join(dir, filepath.FromSlash(m.Dir()))
	if err := os.MkdirAll(at, 0o755); err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(filepath.Join(at, m.Stored.Name), stored, 0o600); err != nil {
		return nil, "", err
	}
	return m, manifest.Hash(text), os.WriteFile(filepath.Join(at, r.ID()+manifest.JSONSuffix), text, 0o600)
}
