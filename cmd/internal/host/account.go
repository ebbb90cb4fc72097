// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	keyconf "castgate/keys/settings"
)

// Account is an account of the host that somebody could log in to.
type Account struct {
	Name, Home, Shell string
	UID               int
}

// firstUser is the first uid of people, as useradd gives them (login.defs).
const firstUser = 1000

// accounts lists those of the host, and of the names those that no list has:
// getent, because accounts may come from elsewhere than /etc/passwd, and a
// directory may tell of one that is asked for and list none. Left out are those
// that sshd need not be asked about: daemons that have no shell and no key.
func accounts(ctx context.Context, names ...string) ([]Account, error) {
	out, err := output(ctx, "getent", "passwd")
	if err != nil {
		return nil, fmt.Errorf("list the accounts: %s", said(out, err))
	}
	if len(names) > 0 {
		// Status 2 where one of them is nobody's: the others are told.
		more, _ := output(ctx, "getent", append([]string{"passwd"}, names...)...)
		out += "\n" + more
	}
	var all []Account
	for line := range strings.Lines(out) {
		a, ok := parseAccount(strings.TrimSpace(line))
		known := slices.ContainsFunc(all, func(b Account) bool { return a.Name == b.Name })
		if ok && !known && a.Shell != "/bin/sync" && a.Name != "nobody" {
			all = append(all, a)
		}
	}
	// People first: that is whom a report names when it can't name all.
	slices.SortStableFunc(all, func(a, b Account) int {
		rank := map[bool]int{true: 0, false: 1}
		return rank[a.person()] - rank[b.person()]
	})
	if len(all) == 0 {
		return nil, errors.New("list the accounts: getent names none")
	}
	return all, nil
}

// memberNames are the logins of the cache: a member's account may be one that
// its directory does not list.
func memberNames(cache string) (all []string) {
	text, _ := os.ReadFile(filepath.Join(cache, "logins"))
	for line := range strings.Lines(string(text)) {
		// It is castgate-keys's to write: a word with a dash would be an option of getent's.
		if f := strings.Fields(line); len(f) > 1 && keyconf.CheckLogin(f[1]) == nil {
			all = append(all, strings.ToLower(f[1]))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func lookup(ctx context.Context, name string) (Account, bool) {
	out, err := output(ctx, "getent", "passwd", name)
	if err != nil {
		return Account{}, false
	}
	return parseAccount(out)
}

func parseAccount(line string) (Account, bool) {
	f := strings.Split(line, ":")
	if len(f) != 7 {
		return Account{}, false
	}
	uid, err := strconv.Atoi(f[2])
	return Account{Name: f[0], UID: uid, Home: f[5], Shell: f[6]}, err == nil
}

// localAccounts are those of /etc/passwd, which can be changed here.
func localAccounts() ([]Account, error) {
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return nil, err
	}
	var all []Account
	for line := range strings.Lines(string(text)) {
		if a, ok := parseAccount(strings.TrimSpace(line)); ok {
			all = append(all, a)
		}
	}
	return all, nil
}

// person leaves out the accounts of daemons, and those whose shell says that
// nobody logs in.
func (a Account) person() bool { return (a.UID == 0 || a.UID >= firstUser) && a.canLogIn() }

func (a Account) canLogIn() bool {
	closed := []string{"/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false"}
	return !slices.Contains(closed, a.Shell)
}

func (h *Host) account(name string) (Account, bool) {
	i := slices.IndexFunc(h.Accounts, func(a Account) bool { return a.Name == name })
	if i < 0 {
		return Account{}, false
	}
	return h.Accounts[i], true
}
