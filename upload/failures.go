// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"castgate/upload/store"
)

// failures is what does not work at the moment, for `status`. It is written
// now and then and may be lost: of it the uploader itself reads the counters.
type failures struct {
	At    time.Time `json:"at"`
	Lanes []failure `json:"lanes"`

	Counters map[string]counters `json:"counters,omitempty"`
}

// failure is a recording that a target did not take. Target "" is the spool.
type failure struct {
	ID     string    `json:"id"`
	Target string    `json:"target"`
	Tries  int       `json:"tries"`
	Until  time.Time `json:"until"`
	Why    string    `json:"why"`
}

const failuresName = "failing.json"

// maxFailures bounds the file: after a failure a target is asked by one
// recording at a time, so that there are never many.
const maxFailures = 1000

func (f failures) of(id, target string) (failure, bool) {
	for _, l := range f.Lanes {
		if l.ID == id && l.Target == target {
			return l, true
		}
	}
	return failure{}, false
}

// failures returns what rests at the moment.
func (s *schedule) failures() failures {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := failures{At: s.now().UTC(), Lanes: []failure{}}
	for l, b := range s.lanes {
		if len(f.Lanes) == maxFailures {
			break
		}
		until := b.until
		if g := s.gates[l.target]; g.until.After(until) {
			until = g.until
		}
		f.Lanes = append(f.Lanes, failure{l.id, l.target, b.fails, until.UTC(), b.err.Error()})
	}
	return f
}

// noteFailures writes what rests, for `status`.
func (u *Uploader) noteFailures() {
	f := u.schedule.failures()
	f.Counters = u.tally.copy()
	text, err := json.Marshal(f)
	if err == nil {
		err = store.Replace(u.state, failuresName, 0o644, text, store.Fleeting)
	}
	if err != nil {
		u.complainOnce("can't note for status what failed", failuresName, err)
	}
}

// readTally goes on counting where the last uploader stopped.
func (u *Uploader) readTally() {
	f, err := readFailures(u.state)
	if err != nil {
		u.Log.Warn("the counters begin anew", "why", err)
	}
	for name, c := range f.Counters {
		u.tally.by[name] = &c
	}
}

func readFailures(root *os.Root) (failures, error) {
	text, err := root.ReadFile(failuresName)
	if errors.Is(err, fs.ErrNotExist) {
		return failures{}, nil
	}
	var f failures
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		return failures{}, fmt.Errorf("read what failed: %w", err)
	}
	return f, nil
}
