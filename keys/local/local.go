// SPDX-License-Identifier: AGPL-3.0-or-later

// Package local is what the host itself says of its accounts and groups, in
// passwd(5), group(5) and nsswitch.conf(5). A directory service is never asked: a
// login must not wait for one. It knows nothing of GitHub.
package local

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Files are where the host says it.
type Files struct {
	Passwd, Group, NSSwitch string
}

// Host has the files of this host.
func Host() Files { return Files{"/etc/passwd", "/etc/group", "/etc/nsswitch.conf"} }

const (
	firstUID  = 1000  // below are the system's own accounts (login.defs(5), UID_MIN)
	nobodyUID = 65534 // above firstUID, and nobody's own login all the same
)

// UID is an account's uid in passwd(5), -1 when it isn't there. Accounts of
// other sources (LDAP, userdb) are never the system's own.
func (f Files) UID(account string) (int, error) {
	fields, err := entry(f.Passwd, account, 7)
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

// Members are the members of a group as group(5) lists them.
func (f Files) Members(group string) []string {
	if found, _ := entry(f.Group, group, 4); found != nil {
		return strings.Split(found[3], ",")
	}
	return nil
}

// InGroup reports whether an account is in a group, as a member or by its own
// group.
func (f Files) InGroup(name, account string) (bool, error) {
	group, err := entry(f.Group, name, 4)
	if err != nil || group == nil {
		return false, err
	}
	if slices.Contains(strings.Split(group[3], ","), account) {
		return true, nil
	}
	user, err := entry(f.Passwd, account, 7)
	return user != nil && user[3] == group[2], err
}

// powerful are groups whose members may usually do more than others.
var powerful = []string{"adm", "sudo", "wheel"}

// Powers are the groups that let an account do more than others.
func (f Files) Powers(account string) (groups []string) {
	for _, name := range powerful {
		if in, _ := f.InGroup(name, account); in {
			groups = append(groups, name)
		}
	}
	return groups
}

// System reports whether an account may open only when the configuration names
// it. What can't be read might be one.
func (f Files) System(account string) bool {
	uid, err := f.UID(account)
	if account == "root" || err != nil {
		return true
	}
	return uid >= 0 && uid < firstUID || uid == nobodyUID
}

// Accounts are the names in passwd(5).
func (f Files) Accounts() (map[string]bool, error) { return names(f.Passwd) }

// Groups are the names in group(5).
func (f Files) Groups() (map[string]bool, error) { return names(f.Group) }

func names(path string) (map[string]bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, ":")
		names[name] = true
	}
	return names, nil
}

// HasDirectory reports whether accounts come from anywhere but files on the host.
func (f Files) HasDirectory() bool {
	text, _ := os.ReadFile(f.NSSwitch)
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		sources, ok := strings.CutPrefix(strings.TrimSpace(line), "passwd:")
		if ok && slices.ContainsFunc(strings.Fields(sources), func(s string) bool {
			return s[0] != '[' && !strings.HasSuffix(s, "]") && !slices.Contains([]string{"files", "compat", "systemd"}, s)
		}) {
			return true
		}
	}
	return false
}

// HasRecord reports whether nss-systemd(8) finds a user record of the name, in
// its own directories or in dir.
func HasRecord(dir, name string) bool {
	dirs := []string{dir, "/etc/userdb", "/run/userdb", "/run/host/userdb", "/usr/lib/userdb"}
	return slices.ContainsFunc(dirs, func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, name+".user"))
		return err == nil
	})
}
