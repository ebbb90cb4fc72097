// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import "sync"

// turns has each user's work done one piece after the other, so that who has
// much of it waits for themselves.
type turns struct {
	mu    sync.Mutex
	users map[uint32]*turn
}

type turn struct {
	sync.Mutex
	waiting int // with the one whose turn it is
}

// take waits for uid's turn. What it returns ends the turn.
func (t *turns) take(uid uint32) (done func()) {
	t.mu.Lock()
	if t.users == nil {
		t.users = map[uint32]*turn{}
	}
	mine := t.users[uid]
	if mine == nil {
		mine = &turn{}
		t.users[uid] = mine
	}
	mine.waiting++
	t.mu.Unlock()
	mine.Lock()
	return func() {
		mine.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.waiting--; mine.waiting == 0 {
			delete(t.users, uid)
		}
	}
}
