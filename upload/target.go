// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"castgate/upload/manifest"
)

// Target is a place that recordings are delivered to.
//
// Deliver may be called again for a recording that is there already: the
// uploader may have been killed before it could note the receipt. It must then
// find that out and return the receipt, or refuse when what is there has other
// bytes. Nothing may ever be overwritten. An error is a *Refused (this
// recording will never be accepted), a *Later (not before a time that the
// target gave), or anything else (try again).
type Target interface {
	// Name identifies the target in the journal, the log and the status.
	Name() string
	Deliver(ctx context.Context, d *Delivery) (Receipt, error)
}

// Receipt is a target's word that it has a recording, on its disk.
type Receipt struct {
	SHA256 string `json:"sha256"` // of what the target holds
	Bytes  int64  `json:"bytes"`
	Where  string `json:"where"` // a path or URL
}

// Delivery is one recording with its papers.
type Delivery struct {
	Manifest *manifest.Manifest
	JSON     []byte // the manifest as it is signed
	Sig      []byte // its signature; nil when the host has no signing key

	// Stored opens the compressed, perhaps sealed, recording.
	Stored func() (io.ReadSeekCloser, error)
	// Cast opens the recording as a player reads it. It fails when the spool's
	// own file is gone.
	Cast func() (io.ReadCloser, error)
}

// object is one of a delivery's files.
type object struct {
	suffix string
	manifest.Object
	open func() (io.ReadSeekCloser, error)
}

// objects returns the files of d in the order in which they are to be stored:
// the manifest last, so that whoever sees it sees the whole.
func (d *Delivery) objects() []object {
	all := []object{{d.Manifest.StoredSuffix(), d.Manifest.Stored.Object, d.Stored}}
	if d.Sig != nil {
		all = append(all, inMemory(manifest.SigSuffix, d.Sig))
	}
	return append(all, inMemory(manifest.JSONSuffix, d.JSON))
}

func inMemory(suffix string, p []byte) object {
	return object{suffix, manifest.Object{Bytes: int64(len(p)), SHA256: manifest.Hash(p)}, func() (io.ReadSeekCloser, error) {
		return nopCloser{bytes.NewReader(p)}, nil
	}}
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// Refused is an error that no retry will change.
type Refused struct{ Err error }

func (r *Refused) Error() string { return r.Err.Error() }
func (r *Refused) Unwrap() error { return r.Err }

// Refused is for those who don't know the type.
func (r *Refused) Refused() bool { return true }

func refuse(format string, args ...any) error { return &Refused{fmt.Errorf(format, args...)} }

func isRefused(err error) bool {
	var r *Refused
	return errors.As(err, &r)
}

// Later is an error of a target that said when to come back.
type Later struct {
	Err error
	At  time.Time
}

func (l *Later) Error() string { return l.Err.Error() }
func (l *Later) Unwrap() error { return l.Err }
