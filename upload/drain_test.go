// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"castgate/upload/client"
	"castgate/upload/manifest"
)

// fake is a target that does as it is told.
type fake struct {
	name    string
	deliver func(ctx context.Context, d *Delivery) error
	mu      sync.Mutex
	got     map[string]int
	tries   []string
}

func (f *fake) Name() string { return f.name }

func (f *fake) Deliver(ctx context.Context, d *Delivery) (Receipt, error) {
	id := d.Manifest.Session.ID
	f.mu.Lock()
	f.tries = append(f.tries, id)
	f.mu.Unlock()
	if f.deliver != nil {
		if err := f.deliver(ctx, d); err != nil {
			return Receipt{}, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.got == nil {
		f.got = map[string]int{}
	}
	f.got[id]++
	return Receipt{SHA256: d.Manifest.Stored.SHA256, Bytes: d.Manifest.Stored.Bytes, Where: "nowhere"}, nil
}

func (f *fake) count(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got[id]
}

func (f *fake) delivered() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.got))
}

// with replaces the uploader's targets.
func (u *Uploader) with(targets ...Target) *Uploader {
	u.targets, u.names = map[string]Target{}, nil
	for _, t := range targets {
		u.targets[t.Name()] = t
		u.names = append(u.names, t.Name())
	}
	u.schedule = newSchedule(time.Now, u.names)
	return u
}

func TestOneFailingTargetDoesNotHoldUpTheOther(t *testing.T) {
	b := newBench(t)
	for n := 1; n <= 20; n++ {
		b.incoming(n, whole(n))
	}
	up, down := &fake{name: "up"}, &fake{name: "down", deliver: func(context.Context, *Delivery) error { return errors.New("out of order") }}
	u := b.open().with(up, down)
	if left, err := u.Once(t.Context()); left == 0 || err != nil {
		t.Fatalf("%d left, %v", left, err)
	}
	for n := 1; n <= 20; n++ {
		if up.count(testID(n)) != 1 {
			t.Errorf("recording %d was delivered %d times", n, up.count(testID(n)))
		}
	}
	if len(down.tries) > u.Config.Parallel {
		t.Errorf("a target that is down was asked %d times at once", len(down.tries))
	}
	if files := b.list("spool/incoming"); len(files) != 20 {
		t.Errorf("%d files are left", len(files))
	}
	// And when it is back, the one that was up gets no second copy.
	u.Close()
	down.deliver = nil
	u = b.open().with(up, down)
	if left, err := u.Once(t.Context()); left != 0 || err != nil {
		t.Fatalf("%d left, %v", left, err)
	}
	for n := 1; n <= 20; n++ {
		if up.count(testID(n)) != 1 || down.count(testID(n)) != 1 {
			t.Errorf("recording %d: %d and %d copies", n, up.count(testID(n)), down.count(testID(n)))
		}
	}
}

func TestARefusedRecordingGoesToBadWhenTheOthersHaveIt(t *testing.T) {
	b := newBench(t)
	b.incoming(1, whole(1))
	up, picky := &fake{name: "up"}, &fake{name: "picky", deliver: func(context.Context, *Delivery) error { return client.Refuse("too ugly") }}
	u := b.open().with(picky, up)
	if left, err := u.Once(t.Context()); left != 0 || err != nil {
		t.Fatalf("%d left, %v", left, err)
	}
	if u.Aside() != 1 {
		t.Errorf("%d put aside", u.Aside())
	}
	got := b.list("spool")
	if up.count(testID(1)) != 1 || got["bad/"+testID(1)+".cast"] != whole(1) || got["bad/"+testID(1)+".cast.txt"] != "picky: too ugly\n\n" {
		t.Errorf("the spool has %q", got)
	}
	s, err := ReadStatus(b.config, time.Now())
	if err != nil || len(s.Recordings) != 1 || s.Recordings[0].State != manifest.StateBad || !strings.Contains(s.Recordings[0].Why, "too ugly") {
		t.Errorf("status %+v, %v", s, err)
	}
}

func TestPoisonDoesNotBlock(t *testing.T) {
	b := newBench(t)
	for n := 1; n <= 30; n++ {
		b.incoming(n, whole(n))
	}
	f := &fake{name: "f", deliver: func(_ context.Context, d *Delivery) error {
		if d.Manifest.Session.ID == testID(7) {
			return errors.New("can't digest this one")
		}
		return nil
	}}
	// The fake clock runs while everybody sleeps.
	synctest.Test(t, func(t *testing.T) {
		u := b.open().with(f)
		for range 10 {
			if _, err := u.Once(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(u.schedule.next()))
		}
	})
	for n := 1; n <= 30; n++ {
		if want := 1; n != 7 && f.count(testID(n)) != want {
			t.Errorf("recording %d was delivered %d times", n, f.count(testID(n)))
		}
	}
	tries := 0
	for _, id := range f.tries {
		if id == testID(7) {
			tries++
		}
	}
	if tries < 3 || tries > 10 {
		t.Errorf("the poison was tried %d times", tries)
	}
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(time.Now, []string{"t"})
		oops := errors.New("oops")
		try := func(id string, err error) bool {
			open, ok := s.begin(id, true, []string{"t"})
			if ok {
				s.result(id, "t", err)
				s.end(id, nil)
			}
			return ok && len(open) == 1
		}
		last := time.Duration(0)
		for n := 1; n <= 15; n++ {
			if !try(fmt.Sprint(n), oops) {
				t.Fatalf("try %d was not let through", n)
			}
			if try("b", oops) {
				t.Fatal("another one may try a target that has just failed")
			}
			d := time.Until(s.gates["t"].until)
			if least := min(maxWait, minWait<<(n-1)) / 2; d > maxWait || d < least {
				t.Errorf("after failure %d it waits %v", n, d)
			}
			last = d
			time.Sleep(d)
		}
		if last < maxWait/2 {
			t.Errorf("the last wait is %v", last)
		}
		// A new recording is tried soon, but not every new recording.
		try("a", oops)
		s.nudge()
		if try("b", oops) {
			t.Error("nudged right after a failure")
		}
		time.Sleep(nudgeWait)
		s.nudge()
		if !try("b", nil) || !try("c", nil) {
			t.Error("a success does not open the gate")
		}
	})
}

func TestTheServersTimeIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(time.Now, []string{"t"})
		_, _ = s.begin("a", true, []string{"t"})
		s.result("a", "t", &client.Later{Err: errors.New("busy"), At: time.Now().Add(time.Hour)})
		s.end("a", nil)
		for range 59 {
			time.Sleep(time.Minute)
			s.nudge()
			if _, ok := s.begin("b", true, []string{"t"}); ok {
				t.Fatal("asked before its time")
			}
		}
		time.Sleep(time.Minute)
		if _, ok := s.begin("b", true, []string{"t"}); !ok {
			t.Error("not asked after its time")
		}
	})
}

func TestDrainEndsWhenAllIsDelivered(t *testing.T) {
	b := newBench(t)
	b.incoming(1, whole(1))
	down := atomic.Bool{}
	down.Store(true)
	f := &fake{name: "f", deliver: func(context.Context, *Delivery) error {
		if down.Swap(false) {
			return errors.New("out of order")
		}
		return nil
	}}
	u := b.open().with(f)
	began := time.Now()
	if err := u.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.count(testID(1)) != 1 || time.Since(began) < linger {
		t.Errorf("%d copies after %v", f.count(testID(1)), time.Since(began))
	}
}

func TestDrainWakesForANewRecording(t *testing.T) {
	b := newBench(t)
	b.incoming(1, whole(1))
	u := b.open()
	f := &fake{name: "f"}
	u.with(f)
	// A recording and a target that failed a while ago, and rest for minutes.
	u.schedule.lanes[lane{testID(1), "f"}] = &backoff{fails: 9, until: time.Now().Add(maxWait), err: errors.New("out of order")}
	g := u.schedule.gates["f"]
	g.fails, g.until, g.last = 9, time.Now().Add(maxWait), time.Now().Add(-time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- u.Drain(ctx) }()
	// The first of them may come before it watches.
	for n := 2; len(f.delivered()) == 0; n++ {
		b.put("new", whole(n))
		if err := os.Rename(b.path("new"), b.path("spool/incoming/"+testID(n)+".cast")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		if n == 500 {
			t.Fatal("never")
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, ErrStopped) {
		t.Errorf("got %v", err)
	}
}

func TestASecondUploaderWaits(t *testing.T) {
	b := newBench(t)
	u := b.open()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	other := b.config
	other.State = b.path("state2") // the lock is the spool's
	if _, err := New(ctx, other, u.Log); !errors.Is(err, ErrStopped) {
		t.Errorf("got %v", err)
	}
	u.Close()
	second, err := New(t.Context(), other, u.Log)
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}

func TestKeep(t *testing.T) {
	b := newBench(t)
	b.config.Keep = time.Hour
	b.incoming(1, whole(1))
	if left := b.once(); left != 0 {
		t.Fatalf("%d left\n%s", left, b.log)
	}
	if got := b.list("spool"); len(got) != 1 || got["kept/"+testID(1)+".cast"] != whole(1) {
		t.Errorf("the spool has %v", got)
	}
	u := b.open()
	if err := u.purge(time.Now().Add(59 * time.Minute)); err != nil || len(b.list("spool")) != 1 {
		t.Errorf("purged too early, %v", err)
	}
	if err := u.purge(time.Now().Add(61 * time.Minute)); err != nil || len(b.list("spool")) != 0 {
		t.Errorf("not purged, %v", err)
	}
}

func TestStatusAndMetrics(t *testing.T) {
	b := newBench(t)
	b.incoming(1, whole(1))
	b.incoming(2, whole(2))
	b.put("spool/live/"+testID(3)+".cast", recording(header(3), body))
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(b.path("spool/incoming/"+testID(2)+".cast"), old, old); err != nil {
		t.Fatal(err)
	}
	s, err := ReadStatus(b.config, time.Now())
	if err != nil || s.Counts[manifest.StateWaiting] != 2 || s.Counts[manifest.StateOrphan] != 1 || !s.Late {
		t.Errorf("before: %+v, %v", s, err)
	}
	f := &fake{name: "dir:" + b.path("archive"), deliver: func(_ context.Context, d *Delivery) error {
		if d.Manifest.Session.ID == testID(2) {
			return errors.New("not \x1b[31m this one\n")
		}
		return nil
	}}
	u := b.open().with(f)
	u.Config.Parallel = 1
	synctest.Test(t, func(t *testing.T) {
		u.with(f)
		for range 6 {
			if _, err := u.Once(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(maxWait)
		}
		u.noteMetrics(time.Now(), true)
	})
	s, err = ReadStatus(b.config, time.Now())
	if err != nil || s.Counts[manifest.StateWaiting] != 1 || s.Counts[manifest.StateDelivered] != 2 || s.Counts[manifest.StateOrphan] != 0 {
		t.Errorf("after: %+v, %v", s, err)
	}
	var text strings.Builder
	if err := s.WriteText(&text, time.Now()); err != nil || !strings.Contains(text.String(), `not \x1b[31m this one`) || strings.Contains(text.String(), "\x1b") {
		t.Errorf("%v\n%s", err, text.String())
	}
	prom, err := os.ReadFile(b.path("state/metrics.prom"))
	if err != nil {
		t.Fatal(err)
	}
	if now := u.metrics(time.Now()); !strings.Contains(now, "castgate_upload_oldest_waiting_seconds 72") { // two hours
		t.Error(now)
	}
	bytes := 0
	if _, err := fmt.Sscanf(string(prom[strings.Index(string(prom), "\ncastgate_upload_delivered_bytes_total{"):]), "\ncastgate_upload_delivered_bytes_total{target="+`"dir:`+b.path("archive")+`"} %d`, &bytes); err != nil || bytes < 300 {
		t.Errorf("%d bytes, %v", bytes, err)
	}
	for _, want := range []string{"castgate_upload_waiting 1\n", "castgate_upload_refused_total{", `castgate_upload_delivered_total{target="dir:` + b.path("archive") + `"} 2` + "\n", "castgate_upload_failed_total{"} {
		if !strings.Contains(string(prom), want) {
			t.Errorf("no %q in\n%s", want, prom)
		}
	}
	u.Close()
	again := b.open()
	if c := again.tally.copy()[f.name]; c.Delivered != 2 || c.Failed < 3 {
		t.Errorf("the counters were not kept: %+v", c)
	}
}

func TestJournalSurvivesATornLine(t *testing.T) {
	b := newBench(t)
	b.incoming(1, whole(1))
	if left := b.once(); left != 0 {
		t.Fatal(left)
	}
	f, err := os.OpenFile(b.path("state/journal"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, `{"op":"sealed","id":"x`)
	f.Close()
	b.incoming(2, whole(2))
	if left := b.once(); left != 0 {
		t.Fatalf("%d left\n%s", left, b.log)
	}
	if m, _ := b.archived(2); m.Sequence != 2 {
		t.Errorf("sequence %d", m.Sequence)
	}
}

func TestADamagedJournalIsNotWorkedWith(t *testing.T) {
	b := newBench(t)
	b.incoming(1, whole(1))
	if left := b.once(); left != 0 {
		t.Fatal(left)
	}
	text := []byte(b.list("state")["journal"])
	text[10] = 0
	b.put("state/journal", string(text))
	_, err := New(t.Context(), b.config, slog.New(slog.DiscardHandler))
	var h interface{ Hint() string }
	if !errors.As(err, &h) || !strings.Contains(h.Hint(), "castgate verify") {
		t.Errorf("got %v", err)
	}
}

func TestJournalIsWrittenAnew(t *testing.T) {
	b := newBench(t)
	b.incoming(1, whole(1))
	b.incoming(2, whole(2))
	u := b.open().with(&fake{name: "a"}, &fake{name: "b", deliver: func(_ context.Context, d *Delivery) error {
		if d.Manifest.Session.ID == testID(1) {
			return errors.New("no")
		}
		return nil
	}})
	if _, err := u.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := u.journal.ledger
	u.journal.base = -2 * compactAt
	if err := u.journal.compact(); err != nil {
		t.Fatal(err)
	}
	if err := u.journal.add(entry{Op: opReceipt, ID: testID(1), Target: "b", Receipt: &Receipt{}}); err != nil {
		t.Fatal(err)
	}
	u.Close()
	l, _, err := readNotesLedger(b.config.State)
	if err != nil {
		t.Fatal(err)
	}
	p := l.parcels[testID(1)]
	if l.head != before.head || l.sequence != before.sequence || p == nil || len(p.receipts) != 2 || manifest.Hash(p.json) == "" || len(l.recent) != 1 {
		t.Errorf("got %+v, want %+v", l, before)
	}
}

func readNotesLedger(state string) (*ledger, int64, error) {
	f, err := os.Open(filepath.Join(state, journalName))
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	return readLedger(f)
}

func FuzzLedger(f *testing.F) {
	f.Add(`{"op":"head","sequence":3,"head":"ab"}` + "\n" + `{"op":"done","id":"x"}` + "\n" + `{"op":"rec`)
	f.Fuzz(func(t *testing.T, text string) {
		l, size, err := readLedger(strings.NewReader(text))
		if err == nil && (l == nil || size > int64(len(text))) {
			t.Errorf("size %d of %d", size, len(text))
		}
	})
}
