// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"os/user"
	"strconv"
	"sync"
	"time"
)

// accounts holds names and uids against the accounts of this host. What agreed
// is remembered for a moment, so that /etc/passwd is not read once for each of
// the thousand recordings that an outage has left; nothing is refused from
// memory. The zero value is ready.
type accounts struct {
	mu     sync.Mutex
	agreed map[account]time.Time // until when that counts
}

type account struct {
	name string
	uid  int
}

const (
	accountAge  = 10 * time.Second
	maxAccounts = 1000 // then they are forgotten
)

// differ reports whether name is an account with another uid, and with which.
// One that isn't known, or can't be looked up, proves nothing.
func (a *accounts) differ(name string, uid int) (other int, yes bool) {
	k := account{name, uid}
	if a.remembers(k) {
		return 0, false
	}
	if other, known := lookupUID(name); known && other != uid {
		return other, true
	}
	a.remember(k)
	return 0, false
}

func (a *accounts) remembers(k account) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Now().Before(a.agreed[k])
}

func (a *accounts) remember(k account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.agreed == nil || len(a.agreed) >= maxAccounts {
		a.agreed = map[account]time.Time{}
	}
	a.agreed[k] = time.Now().Add(accountAge)
}

func lookupUID(name string) (int, bool) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, false
	}
	uid, err := strconv.Atoi(u.Uid)
	return uid, err == nil
}
