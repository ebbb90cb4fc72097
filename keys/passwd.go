// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"bufio"
	"os"
	"slices"
	"strconv"
	"strings"
)

// peopleGroup has the accounts that their namesakes on GitHub open. It is
// looked for where useradd -G writes, not in a directory service: a login must
// not wait for one.
const peopleGroup = "castgate-people"

const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
	firstUID   = 1000  // below are the system's own accounts (login.defs(5), UID_MIN)
	nobodyUID  = 65534 // above firstUID, and nobody's own login all the same
)

// localUID is an account's uid in passwd(5), -1 when it isn't there. Accounts
// of other sources (LDAP, userdb) are never the system's own.
func localUID(path, account string) (int, error) {
	fields, err := entry(path, account, 7)
	if err != nil || fields == nil {
		return -1, err
	}
	return strconv.Atoi(fields[2])
}

// entry finds the line of a name in a file like passwd(5) or group(5); nil when
// there is none.
func entry(path, name string, fields int) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, maxLine)
	for sc.Scan() {
		if !strings.HasPrefix(sc.Text(), name+":") {
			continue
		}
		if found := strings.Split(sc.Text(), ":"); len(found) >= fields {
			return found, nil
		}
	}
	return nil, sc.Err()
}

// maxLine bounds a line of group(5): a group of 10,000.
const maxLine = 1 << 20

// inPeopleGroup reports whether an account is in castgate-people, as a member or
// by its own group.
func (s *Service) inPeopleGroup(account string) (bool, error) {
	group, err := entry(s.Group, peopleGroup, 4)
	if err != nil || group == nil {
		return false, err
	}
	if slices.Contains(strings.Split(group[3], ","), account) {
		return true, nil
	}
	user, err := entry(s.Passwd, account, 7)
	return user != nil && user[3] == group[2], err
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
