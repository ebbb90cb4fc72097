// SPDX-License-Identifier: AGPL-3.0-or-later

package known

import (
	"errors"
	"fmt"
	"time"

	"castgate/keys/files"
)

// state is what all processes on the host must know before they call GitHub.
// go-github remembers a limit inside one process only, which is no use to a
// helper that lives for milliseconds.
type state struct {
	NotBefore time.Time `json:"not_before,omitzero"` // GitHub's own word: no call before
	Failed    time.Time `json:"failed,omitzero"`     // when a call last got no answer
	Spare     time.Time `json:"spare,omitzero"`      // until then the calls left are for logins (ErrSpare)
	Slow      bool      `json:"slow,omitempty"`      // and it took its whole time
	Class     Class     `json:"class,omitempty"`
	Why       string    `json:"why,omitempty"`
}

const stateName = "state"

// MaxWait bounds what GitHub may ask to wait for: its windows are an hour.
const MaxWait = time.Hour

// ErrSpare ends a refresh that has used its share of the hour's calls.
var ErrSpare = errors.New("half of the hour's calls are used; the other half is for logins")

// Pause is how long nobody asks again after a call that got no answer, so that a
// dead GitHub costs one login its deadline and not every login. Who has nothing
// stored to fall back to gets another try sooner: for them a wait is a refusal.
// And after a failure that was quick, as a wrong token is, another try costs
// little, so that what was mended works again soon.
type Pause struct{ slow, quick time.Duration }

// The pauses of those who have something stored, and of those who have not.
var (
	PauseWarm = Pause{time.Minute, 10 * time.Second}
	PauseCold = Pause{10 * time.Second, 2 * time.Second}
)

// MayAsk returns why GitHub must not be asked now, nil when it may be. A time
// further away than any that is ever written shows that the clock was set back.
func (s *Store) MayAsk(p Pause) error {
	var st state
	if !s.Dir.Load(stateName, &st) {
		return nil
	}
	if s.Now().Before(st.NotBefore) && st.NotBefore.Before(s.Now().Add(MaxWait+clockSkew)) {
		return &Fault{Class: Limited, Op: "ask GitHub", Until: st.NotBefore, Err: fmt.Errorf("not before %s: %s", st.NotBefore.Format(time.TimeOnly), st.Why)}
	}
	wait := p.quick
	if st.Slow {
		wait = p.slow
	}
	if since, ok := age(s.Now(), st.Failed); ok && since < wait {
		return &Fault{Class: st.Class, Op: "ask GitHub", Err: fmt.Errorf("not again so soon after: %s", st.Why)}
	}
	return nil
}

// MayRefresh returns why a refresh must not ask now.
func (s *Store) MayRefresh() error {
	var st state
	if s.Dir.Load(stateName, &st) && s.Now().Before(st.Spare) && st.Spare.Before(s.Now().Add(MaxWait+clockSkew)) {
		return &Fault{Class: Limited, Op: "refresh", Until: st.Spare, Err: ErrSpare}
	}
	return nil
}

// Note stores what a call means for the next one of any process.
func (s *Store) Note(err error) {
	var st state
	loaded := s.Dir.Load(stateName, &st)
	f := FaultOf(err)
	switch {
	case err == nil && (!loaded || st == state{Spare: st.Spare}):
		return
	case err == nil:
		st = state{Spare: st.Spare}
	case f == nil || errors.Is(err, files.ErrBusy):
		return // ours, not GitHub's
	case f.Class == Limited && errors.Is(err, ErrSpare):
		st.Spare = f.Until
	case f.Class == Limited:
		st.NotBefore, st.Why = f.Until, f.Error()
	case f.Class == Broken || f.Class == BadToken || f.Class == Forbidden:
		st.Failed, st.Slow, st.Class, st.Why = s.Now(), f.Slow, f.Class, f.Error()
	default:
		return // it concerns one team; the others may still be asked
	}
	_ = s.Dir.Save(stateName, 0o644, st)
}
