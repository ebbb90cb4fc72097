// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"os/user"
	"strconv"
	"sync"
	"time"
)

// accounts asks for the accounts of this host, and remembers the answers for a
// moment: a directory service shall not be asked once for each of the thousand
// recordings that an outage has left. The zero value is ready.
type accounts struct {
	mu    sync.Mutex
	known map[string]account
}

type account struct {
	uid   int
	ok    bool
	until time.Time
}

const (
	accountAge  = 10 * time.Second
	maxAccounts = 1000 // then they are forgotten
)

// uid returns the uid of an account. One that isn't known, or can't be looked
// up, proves nothing.
func (a *accounts) uid(name string) (int, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if k, ok := a.known[name]; ok && now.Before(k.until) {
		return k.uid, k.ok
	}
	if a.known == nil || len(a.known) >= maxAccounts {
		a.known = map[string]account{}
	}
	uid, ok := lookupUID(name)
	a.known[name] = account{uid, ok, now.Add(accountAge)}
	return uid, ok
}

func lookupUID(name string) (int, bool) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, false
	}
	uid, err := strconv.Atoi(u.Uid)
	return uid, err == nil
}
