// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"castgate/upload/client"
	"castgate/wrap/hint"
	"castgate/wrap/spool"
)

// linger is how long an uploader stays after its last recording, so that a
// path unit that watches incoming/ starts it at most once in that time: more
// starts than its limit would leave it failed for good.
const linger = 2 * time.Second

// ErrStopped says that Drain was stopped while recordings were waiting.
var ErrStopped = errors.New("stopped before all was delivered")

// errEnough ends the reading of a directory.
var errEnough = errors.New("enough")

// Drain delivers until incoming/ has been empty for a while, and then returns
// nil. It waits, however long, for targets that fail.
func (u *Uploader) Drain(ctx context.Context) error {
	wake, err := watch(ctx, u.Config.Spool+"/"+spoolIncoming)
	if err != nil {
		return err
	}
	streaming, stop := context.WithCancel(ctx)
	streams := u.startStreams(streaming)
	defer func() {
		stop()
		streams.Wait()
	}()
	for {
		seen, progress, err := u.pass(ctx)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ErrStopped
		case progress:
			continue
		case seen > 0:
			u.rest(ctx, wake, time.Until(u.schedule.next()))
			continue
		case u.Config.Stream:
			u.rest(ctx, wake, idleScan)
			continue
		}
		if woken := u.rest(ctx, wake, linger); !woken && ctx.Err() == nil {
			if seen, _, err := u.pass(ctx); err != nil || seen == 0 {
				return err
			}
		}
	}
}

// rest sleeps, at most for d. It reports whether a new recording ended it.
func (u *Uploader) rest(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-wake:
		u.schedule.nudge()
		return true
	}
	return false
}

// Once tries everything that waits once. It reports how many recordings are
// left in incoming/.
func (u *Uploader) Once(ctx context.Context) (left int, err error) {
	for {
		seen, progress, err := u.pass(ctx)
		if err != nil || !progress || ctx.Err() != nil {
			return seen, err
		}
	}
}

// Aside returns how many files have been put aside for good: they are not in
// incoming/ any more, and were delivered nowhere.
func (u *Uploader) Aside() int { return int(u.aside.Load()) }

// pass walks once through live/ and incoming/ and waits for the deliveries it
// began. It returns how many recordings it saw in incoming/ (or on their way
// from there) and whether any of them got further.
func (u *Uploader) pass(ctx context.Context) (seen int, progress bool, err error) {
	if err := u.takeOrphans(); err != nil {
		return 0, false, err
	}
	var wg sync.WaitGroup
	var moved atomic.Bool
	slots := make(chan struct{}, u.Config.Parallel)
	handle := func(id string) error {
		seen++
		if ctx.Err() != nil || !u.schedule.anyOpen() {
			return errEnough
		}
		slots <- struct{}{}
		p := u.journal.parcel(id)
		open, ok := u.schedule.begin(id, p != nil, u.missing(p))
		if !ok {
			<-slots
			return nil
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if u.deliver(ctx, id, p, open) {
				moved.Store(true)
			}
		})
		return nil
	}
	stuck, err := u.each(handle)
	seen += stuck // status 0 means that the directory is empty
	wg.Wait()
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err == nil {
		err = u.journal.compact()
	}
	if err == nil {
		err = u.purge(time.Now())
	}
	u.noteFailures()
	u.noteMetrics(time.Now(), seen == 0)
	return seen, u.schedule.passed() || moved.Load(), err
}

// each calls yield for what is packed already and then for the rest of
// incoming/. What doesn't belong there is put aside; stuck counts what can't be.
func (u *Uploader) each(yield func(id string) error) (stuck int, err error) {
	packed := map[string]bool{}
	for _, id := range u.journal.ids() {
		packed[id] = true
		if err := yield(id); err != nil {
			return stuck, err
		}
	}
	err = u.spool.Names(spoolIncoming, func(id string) error {
		if packed[id] {
			return nil
		}
		return yield(id)
	}, func(name string) {
		if !u.putAsideStranger(name) {
			stuck++
		}
	})
	return stuck, err
}

// takeOrphans moves what dead recorders left in live/ to incoming/.
func (u *Uploader) takeOrphans() error {
	return u.spool.Names(spoolLive, func(id string) error {
		err := u.spool.TakeOrphan(id)
		switch {
		case err == nil:
			u.Log.Warn("took over a recording whose recorder died", "session", id)
		case errors.Is(err, spool.ErrAlive), errors.Is(err, fs.ErrNotExist): // it lives, or has just ended
		default:
			u.complainOnce("can't take over a recording", id, err)
		}
		return nil
	}, nil)
}

// missing returns the targets that have given neither receipt nor refusal.
func (u *Uploader) missing(p *parcel) []string {
	if p == nil {
		return u.names
	}
	var out []string
	for _, t := range u.names {
		if _, ok := p.receipts[t]; ok {
			continue
		}
		if _, ok := p.refused[t]; !ok {
			out = append(out, t)
		}
	}
	return out
}

// deliver takes recording id further: packs it when it is no parcel yet, hands it
// to the targets in open, and finishes it when none is missing. It reports whether
// anything was achieved.
func (u *Uploader) deliver(ctx context.Context, id string, p *parcel, open []string) (progress bool) {
	if p == nil {
		err := u.pack(id)
		u.schedule.result(id, packing, err)
		if err != nil {
			defer u.schedule.end(id, open)
			return u.notPacked(id, err)
		}
		p = u.journal.parcel(id)
	}
	defer u.schedule.end(id, nil)
	var wg sync.WaitGroup
	var moved atomic.Bool
	for _, name := range open {
		wg.Go(func() {
			if u.hand(ctx, id, p, name) {
				moved.Store(true)
			}
		})
	}
	wg.Wait()
	if p = u.journal.parcel(id); len(u.missing(p)) == 0 { // with the receipts that came
		return u.finish(id, p)
	}
	return moved.Load()
}

// notPacked deals with a recording that can't be taken from the spool.
func (u *Uploader) notPacked(id string, err error) bool {
	switch {
	case client.IsRefused(err):
		return u.putAside(id, err.Error())
	case errors.Is(err, fs.ErrNotExist):
		u.schedule.forget(id) // somebody else took it
		return false
	}
	u.Log.Error("can't take a recording from the spool", "session", id, "why", err, "hint", hint.Of(err))
	return false
}

// hand gives a recording to one target and notes its receipt.
func (u *Uploader) hand(ctx context.Context, id string, p *parcel, name string) bool {
	began := time.Now()
	receipt, err := u.targets[name].Deliver(ctx, u.delivery(id, p))
	if err == nil {
		err = u.journal.add(entry{Op: opReceipt, ID: id, Target: name, Receipt: &receipt})
	} else if client.IsRefused(err) {
		err = errors.Join(err, u.journal.add(entry{Op: opRefused, ID: id, Target: name, Why: err.Error()}))
	}
	u.schedule.result(id, name, err)
	if !errors.Is(err, client.ErrPaced) && ctx.Err() == nil {
		u.tally.add(name, receipt.Bytes, err)
	}
	log := u.Log.With("session", id, "account", p.manifest.Session.User, "target", name)
	switch {
	case err == nil:
		log.Info("delivered", "where", receipt.Where, "sha256", receipt.SHA256, "took", time.Since(began).Round(time.Millisecond))
	case client.IsRefused(err):
		log.Error("refused for good", "why", err)
	case errors.Is(err, client.ErrPaced):
		return false
	case ctx.Err() != nil:
		log.Info("stopped while delivering")
		return false
	default:
		log.Warn("not delivered, will be tried again", "why", err)
		return false
	}
	return true
}

// finish takes a recording that no target is missing out of the spool: away,
// or to bad/ when a target refused it.
func (u *Uploader) finish(id string, p *parcel) bool {
	why := ""
	for _, t := range u.names {
		if text, ok := p.refused[t]; ok {
			why += fmt.Sprintf("%s: %s\n", t, text)
		}
	}
	var err error
	if why != "" {
		if !u.putAside(id, why) {
			return false
		}
	} else {
		err = u.leave(id)
	}
	if err != nil {
		u.Log.Error("delivered, but can't be removed from the spool", "session", id, "why", err)
		return false
	}
	if err := u.journal.add(entry{Op: opDone, ID: id, At: time.Now().UTC(), Receipts: p.receipts, Why: why}); err != nil {
		u.Log.Error("the journal", "why", err)
		return false
	}
	u.schedule.forget(id)
	if err := u.state.Remove(stageName(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		u.Log.Warn("can't clean the stage", "session", id, "why", err)
	}
	return true
}
