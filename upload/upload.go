// SPDX-License-Identifier: AGPL-3.0-or-later

// Package upload takes recordings from the spool and delivers each, once and
// provably whole, to every target.
//
// A recording's way: taken from live/ when its recorder is dead; packed, which
// makes the compressed object, the manifest and the signature, once; handed to
// every target, at the same time; and only when each has given a receipt, and
// the receipts are on disk, removed from the spool. Whatever is killed at
// whatever moment, the next run goes on from there.
package upload

import (
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"castgate/upload/manifest"
	"castgate/upload/seal"
	"castgate/upload/target"
	"castgate/wrap/spool"
)

const (
	spoolLive     = spool.Live
	spoolIncoming = spool.Incoming
	spoolBad      = spool.Bad
)

// Uploader delivers the recordings of one spool.
type Uploader struct {
	Config  Config
	Log     *slog.Logger
	targets map[string]target.Target
	names   []string // of the targets, in the configuration's order

	spool    *spool.Dir
	state    *os.Root
	lock     *os.File
	journal  *journal
	schedule *schedule

	uidOf      func(user string) (int, bool)
	complained sync.Map
	aside      atomic.Int64 // files put aside for good
	tally      tally
	counted    time.Time // when the metrics were written
	signer     *manifest.Signer
	seal       seal.Seal
}

// Close lets go of the spool.
func (u *Uploader) Close() error {
	var errs []error
	if u.journal != nil {
		errs = append(errs, u.journal.close())
	}
	if u.lock != nil {
		errs = append(errs, u.lock.Close())
	}
	if u.state != nil {
		errs = append(errs, u.state.Close())
	}
	if u.spool != nil {
		errs = append(errs, u.spool.Close())
	}
	return errors.Join(errs...)
}
