// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Account is an account of the host that somebody could log in to.
type Account struct {
	Name, Home, Shell string
	UID               int
}

// firstUser is the first uid of people, as useradd gives them (login.defs).
const firstUser = 1000

// accounts lists root, the people, and those that are named though they are
// neither or no list has them. getent, because accounts may come from elsewhere
// than /etc/passwd.
func accounts(ctx context.Context, named ...string) ([]Account, error) {
	out, err := output(ctx, "getent", "passwd")
	if err != nil {
		return nil, fmt.Errorf("list the accounts: %s", said(out, err))
	}
	var all []Account
	for line := range strings.Lines(out) {
		if a, ok := parseAccount(strings.TrimSpace(line)); ok && a.person() {
			all = append(all, a)
		}
	}
	for _, name := range named {
		known := slices.ContainsFunc(all, func(a Account) bool { return a.Name == name })
		if a, there := lookup(ctx, name); there && !known {
			all = append(all, a)
		}
	}
	return all, nil
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
