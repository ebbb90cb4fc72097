// SPDX-License-Identifier: AGPL-3.0-or-later

// Package account knows who a uid is and which shell is theirs: passwd(5) and
// group(5), and what the name service switch adds, for static programs that have
// none of their own. castgate-wrap and castgate-once ask it before a session
// begins, castgate check and enable about other people's accounts.
package account

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Account is a passwd(5) entry.
type Account struct {
	Name  string
	UID   int
	GID   int
	Home  string
	Shell string
}

// maxAnswer bounds what getent may say; an entry is a line.
const maxAnswer = 1 << 20

// getentTimeout bounds a directory service that hangs. sshd has asked it for
// the same account a moment ago.
const getentTimeout = 5 * time.Second

// Of looks uid up in /etc/passwd and then, because a static program has no NSS,
// asks getent(1). Where accounts share a uid, the one that sshd named counts; if
// the name is of an account with another uid, it is ignored.
func Of(uid int, named string) (Account, error) {
	id := strconv.Itoa(uid)
	match := func(f []string) bool { return len(f) == 7 && f[2] == id }
	fields, err := lookup("/etc/passwd", func(f []string) bool { return match(f) && f[0] == named })
	if err == nil && fields == nil {
		fields, err = lookup("/etc/passwd", match)
	}
	if err == nil && fields == nil {
		fields, err = getent("passwd", id, match)
	}
	if err != nil {
		return Account{}, fmt.Errorf("look up uid %d: %w", uid, err)
	}
	if fields == nil {
		return Account{}, fmt.Errorf("uid %d is no account", uid)
	}
	gid, err := strconv.Atoi(fields[3])
	if err != nil {
		return Account{}, fmt.Errorf("look up uid %d: group %q is no number", uid, fields[3])
	}
	return Account{Name: fields[0], UID: uid, GID: gid, Home: fields[5], Shell: fields[6]}, nil
}

// Groups names the groups that the caller is in, for the rules. A group
// without a name is left out.
func Groups() []string {
	gids, err := os.Getgroups()
	if err != nil {
		return nil
	}
	gids = append(gids, os.Getgid())
	slices.Sort(gids)
	var names []string
	for _, gid := range slices.Compact(gids) {
		id := strconv.Itoa(gid)
		match := func(f []string) bool { return len(f) == 4 && f[2] == id }
		fields, err := lookup("/etc/group", match)
		if err == nil && fields == nil {
			fields, _ = getent("group", id, match)
		}
		if fields != nil {
			names = append(names, fields[0])
		}
	}
	return names
}

// lookup returns the fields of the first line of file that match accepts.
func lookup(file string, match func([]string) bool) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return scan(f, match)
}

func scan(r io.Reader, match func([]string) bool) ([]string, error) {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 4096), maxAnswer) // a group may list thousands of members
	for s.Scan() {
		if f := strings.Split(s.Text(), ":"); match(f) {
			return f, nil
		}
	}
	return nil, s.Err()
}

// getent asks the name service switch. The child has an empty environment and
// nothing of ours open. It alone keeps the recorder's group: what it says decides
// whose policy holds, and with the person's own ids (proc(5), dumpable) any of
// the person's processes could write into its pipe or trace it. It is root's
// program, and with the group it, too, is in secure-execution mode (ld.so(8)).
func getent(database, key string, match func([]string) bool) ([]string, error) {
	cmd := exec.Command("/usr/bin/getent", database, key)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	timer := time.AfterFunc(getentTimeout, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	fields, err := scan(io.LimitReader(out, maxAnswer), match)
	_ = cmd.Wait() // getent says "not found" with a status; an empty answer says the same
	return fields, err
}
