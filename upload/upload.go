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
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"castgate/upload/manifest"
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
	targets map[string]Target
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
	seal       seal
}

// New opens the spool and the state directory. It waits for another uploader
// that is at work on the same spool to end, or for ctx.
func New(ctx context.Context, c Config, log *slog.Logger) (*Uploader, error) {
	targets, err := c.targets()
	if err != nil {
		return nil, err
	}
	u := &Uploader{Config: c, Log: log, targets: map[string]Target{}, uidOf: lookupUID, tally: tally{by: map[string]*counters{}}}
	for _, t := range targets {
		u.targets[t.Name()] = t
		u.names = append(u.names, t.Name())
	}
	if u.seal, err = parseSeal(c.Seal); err != nil {
		return nil, err
	}
	if u.signer, err = loadSigner(c.SigningKey); err != nil {
		return nil, err
	}
	u.schedule = newSchedule(time.Now, u.names)
	if err := u.open(ctx); err != nil {
		u.Close()
		return nil, err
	}
	return u, nil
}

func (u *Uploader) open(ctx context.Context) (err error) {
	if u.spool, err = spool.Open(u.Config.Spool); err != nil {
		return err
	}
	if err := os.Mkdir(u.Config.State, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return &hintError{fmt.Errorf("make the state directory: %w", err), "systemd-tmpfiles --create castgate.conf makes " + u.Config.State}
	}
	if u.state, err = os.OpenRoot(u.Config.State); err != nil {
		return fmt.Errorf("open the state directory: %w", err)
	}
	if err := u.state.Mkdir(stageDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return &hintError{fmt.Errorf("make the stage: %w", err), u.Config.State + " belongs to castgate-upload"}
	}
	if err := u.takeLock(ctx); err != nil {
		return err
	}
	if u.journal, err = openJournal(u.state); err != nil {
		return err
	}
	u.readTally()
	if err := u.purge(time.Now()); err != nil {
		return &hintError{err, "keep wants the directory kept/ in the spool: systemd-tmpfiles --create castgate.conf makes it"}
	}
	return u.cleanStage()
}

// lockPoll is how often a second uploader asks whether the first has ended.
const lockPoll = 200 * time.Millisecond

// takeLock makes this the only uploader of the spool, whatever their state
// directories are.
func (u *Uploader) takeLock(ctx context.Context) error {
	var err error
	if u.lock, err = os.Open(filepath.Join(u.Config.Spool, spoolIncoming)); err != nil {
		return fmt.Errorf("open the lock: %w", err)
	}
	for told := false; ; told = true {
		err = unix.Flock(int(u.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("lock %q: %w", u.lock.Name(), err)
		}
		if !told {
			u.Log.Info("another castgate-upload is at work: waiting for it to end", "spool", u.Config.Spool)
		}
		select {
		case <-ctx.Done():
			return ErrStopped
		case <-time.After(lockPoll):
		}
	}
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

// lookupUID asks the accounts of this host. One that isn't known, or can't be
// looked up, proves nothing.
func lookupUID(name string) (int, bool) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, false
	}
	uid, err := strconv.Atoi(u.Uid)
	return uid, err == nil
}

type hintError struct {
	error
	hint string
}

func (e *hintError) Unwrap() error { return e.error }

// Hint is the advice that package cli prints on a line of its own.
func (e *hintError) Hint() string { return e.hint }
