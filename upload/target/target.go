// SPDX-License-Identifier: AGPL-3.0-or-later

// Package target is where recordings are delivered to: a directory, a bucket, an
// archive, an asciinema server, a ttyspy receiver. One conformance test holds them
// all to the same.
package target

import (
	"bytes"
	"context"
	"io"
	"time"

	"castgate/upload/bucket"
	"castgate/upload/client"
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
	bucket.Object
}

// objects returns the files of d in the order in which they are to be stored:
// the manifest last, so that whoever sees it sees the whole.
func (d *Delivery) objects() []object {
	all := []object{{d.Manifest.StoredSuffix(), bucket.Object{Object: d.Manifest.Stored.Object, Open: d.Stored}}}
	if d.Sig != nil {
		all = append(all, inMemory(manifest.SigSuffix, d.Sig))
	}
	return append(all, inMemory(manifest.JSONSuffix, d.JSON))
}

func inMemory(suffix string, p []byte) object {
	return object{suffix, bucket.Object{
		Object: manifest.Object{Bytes: int64(len(p)), SHA256: manifest.Hash(p)},
		Open:   func() (io.ReadSeekCloser, error) { return nopCloser{bytes.NewReader(p)}, nil },
	}}
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// Live is a target that takes parts of living recordings.
type Live interface {
	Target
	// PutLive sends whole lines that begin at offset of a recording and returns how
	// much the target has then. The host is as in a path.
	PutLive(ctx context.Context, host, id string, offset int64, part []byte) (size int64, err error)
}

const (
	// LivePart is the most that a part has.
	LivePart = bucket.LivePart
	// liveTime bounds the sending of one.
	liveTime = 30 * time.Second
)

// How a target says no.
type (
	// Refused is an error that no retry will change.
	Refused = client.Refused
	// Later is an error of a target that said when to come back.
	Later = client.Later
)
