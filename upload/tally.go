// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"sync"

	"castgate/upload/client"
)

// counters count what happened with a target since the state directory was
// made. They are kept in the notes for `status` and may be lost with these.
type counters struct {
	Delivered int64 `json:"delivered"`
	Failed    int64 `json:"failed"`
	Refused   int64 `json:"refused"`
	Bytes     int64 `json:"bytes"`
}

type tally struct {
	mu sync.Mutex
	by map[string]*counters
}

func (t *tally) add(target string, bytes int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.by[target]
	if c == nil {
		c = &counters{}
		t.by[target] = c
	}
	switch {
	case err == nil:
		c.Delivered++
		c.Bytes += bytes
	case client.IsRefused(err):
		c.Refused++
	default:
		c.Failed++
	}
}

func (t *tally) copy() map[string]counters {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]counters{}
	for name, c := range t.by {
		out[name] = *c
	}
	return out
}
