// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

const (
	passwdFile = "/etc/passwd"
	firstUID   = 1000  // below are the system's own accounts (login.defs(5), UID_MIN)
	nobodyUID  = 65534 // above firstUID, and nobody's own login all the same
)

// localUID is an account's uid in passwd(5), -1 when it isn't there. Accounts
// of other sources (LDAP, userdb) are never the system's own.
func localUID(path, account string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		fields := strings.Split(sc.Text(), ":")
		if len(fields) >= 7 && fields[0] == account {
			return strconv.Atoi(fields[2])
		}
	}
	return -1, sc.Err()
}

// systemAccount reports whether an account may open only when the
// configuration names it. What can't be read might be one.
func systemAccount(path, account string) bool {
	uid, err := localUID(path, account)
	if account == "root" || err != nil {
		return true
	}
	return uid >= 0 && uid < firstUID || uid == nobodyUID
}
