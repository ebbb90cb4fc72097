// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"time"
)

// state is what all processes on the host must know before they call GitHub.
// go-github remembers a limit inside one process only, which is no use to a
// helper that lives for milliseconds.
type state struct {
	NotBefore time.Time `json:"not_before,omitzero"` // GitHub's own word: no call before
	Failed    time.Time `json:"failed,omitzero"`     // when a call last got no answer
	Spare     time.Time `json:"spare,omitzero"`      // until then the calls left are for logins (rate.go)
	Slow      bool      `json:"slow,omitempty"`      // and it took its whole time
	Class     Class     `json:"class,omitempty"`
	Why       string    `json:"why,omitempty"`
	Hint      string    `json:"hint,omitempty"` // of that failure: the class alone would guess
}

const stateName = "state"

// rest is how long nobody asks again after a call that got no answer, so that a
// dead GitHub costs one login its deadline and not every login. Who has nothing
// stored to fall back to gets another try sooner: for him a wait is a refusal.
// And after a failure that was quick, as a wrong token is, another try costs
// little, so that what was mended works again soon.
type rest struct{ slow, quick time.Duration }

var (
	restWarm = rest{time.Minute, 10 * time.Second}
	restCold = rest{10 * time.Second, 2 * time.Second}
)

// mayAsk returns why GitHub must not be asked now, nil when it may be. A time
// further away than any that is ever written shows that the clock was set back.
func (c *Cache) mayAsk(now time.Time, r rest) error {
	var st state
	if !c.load(stateName, &st) {
		return nil
	}
	if now.Before(st.NotBefore) && st.NotBefore.Before(now.Add(maxWait+clockSkew)) {
		return &Fault{Class: Limited, Op: "ask GitHub", Until: st.NotBefore, Err: fmt.Errorf("not before %s: %s", st.NotBefore.Format(time.TimeOnly), st.Why)}
	}
	wait := r.quick
	if st.Slow {
		wait = r.slow
	}
	if since, ok := age(now, st.Failed); ok && since < wait {
		err := fmt.Errorf("not again so soon after: %s", st.Why)
		if st.Hint != "" {
			err = advise(err, "%s", st.Hint)
		}
		return &Fault{Class: st.Class, Op: "ask GitHub", Err: err}
	}
	return nil
}

// maySpare is asked before a refresh.
func (c *Cache) maySpare(now time.Time) error {
	var st state
	if c.load(stateName, &st) && now.Before(st.Spare) && st.Spare.Before(now.Add(maxWait+clockSkew)) {
		return &Fault{Class: Limited, Op: "refresh", Until: st.Spare, Err: errSpare}
	}
	return nil
}

// heard stores what a call means for the next one of any process.
func (c *Cache) heard(err error, now time.Time) {
	var st state
	loaded := c.load(stateName, &st)
	f := faultOf(err)
	switch {
	case err == nil && (!loaded || st == state{Spare: st.Spare}):
		return
	case err == nil:
		st = state{Spare: st.Spare}
	case f == nil || errors.Is(err, errBusy):
		return // ours, not GitHub's
	case f.Class == Limited && errors.Is(err, errSpare):
		st.Spare = f.Until
	case f.Class == Limited:
		st.NotBefore, st.Why = f.Until, f.Error()
	case f.Class == Broken || f.Class == BadToken || f.Class == Forbidden:
		st.Failed, st.Slow, st.Class, st.Why, st.Hint = now, f.Slow, f.Class, f.Error(), f.Hint()
	default:
		return // it concerns one team; the others may still be asked
	}
	_ = c.save(stateName, 0o644, st)
}
