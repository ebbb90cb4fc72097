// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"os/exec"
	"os/user"
	"strconv"
	"strings"

	"castgate/wrap/restrict"
)

// account looks a name up in /etc/passwd and then, because a static program has
// no NSS, asks getent(1).
func account(name string) restrict.Account {
	a := restrict.Account{Name: name, UID: -1}
	if u, err := user.Lookup(name); err == nil {
		a.UID, _ = strconv.Atoi(u.Uid)
		a.Home = func() (string, error) { return u.HomeDir, nil }
		return a
	}
	home, uid, err := getent(name)
	if err == nil {
		a.UID = uid
	}
	a.Home = func() (string, error) { return home, err }
	return a
}

func getent(name string) (home string, uid int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), hookTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, "/usr/bin/getent", "passwd", name).Output()
	if err != nil {
		return "", 0, fmt.Errorf("getent passwd %s: %w", name, err)
	}
	f := strings.Split(strings.TrimSpace(string(out)), ":")
	if len(f) != 7 {
		return "", 0, fmt.Errorf("getent passwd %s: no entry", name)
	}
	uid, err = strconv.Atoi(f[2])
	return f[5], uid, err
}
