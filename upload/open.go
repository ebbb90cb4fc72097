// SPDX-License-Identifier: AGPL-3.0-or-later

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
	"time"

	"golang.org/x/sys/unix"

	"castgate/upload/seal"
	"castgate/upload/target"
	"castgate/wrap/hint"
	"castgate/wrap/spool"
)

// New opens the spool and the state directory. It waits for another uploader
// that is at work on the same spool to end, or for ctx.
func New(ctx context.Context, c Config, log *slog.Logger) (*Uploader, error) {
	targets, err := c.targets()
	if err != nil {
		return nil, err
	}
	u := &Uploader{Config: c, Log: log, targets: map[string]target.Target{}, uidOf: lookupUID, tally: tally{by: map[string]*counters{}}}
	for _, t := range targets {
		u.targets[t.Name()] = t
		u.names = append(u.names, t.Name())
	}
	if u.seal, err = seal.Parse(c.Seal); err != nil {
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
		return hint.Add(fmt.Errorf("make the state directory: %w", err), "systemd-tmpfiles --create castgate.conf makes "+u.Config.State)
	}
	if u.state, err = os.OpenRoot(u.Config.State); err != nil {
		return fmt.Errorf("open the state directory: %w", err)
	}
	if err := u.state.Mkdir(stageDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return hint.Add(fmt.Errorf("make the stage: %w", err), u.Config.State+" belongs to castgate-upload")
	}
	if err := u.takeLock(ctx); err != nil {
		return err
	}
	if u.journal, err = openJournal(u.state); err != nil {
		return err
	}
	u.readTally()
	if err := u.purge(time.Now()); err != nil {
		return hint.Add(err, "keep wants the directory kept/ in the spool: systemd-tmpfiles --create castgate.conf makes it")
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
