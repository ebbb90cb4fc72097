// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A login looks like this in the table of processes (README.privsep of OpenSSH):
//
//	sshd            root    listens
//	  sshd          root    monitor: PAM, and the hook's record has its pid
//	    sshd        alice   talks to the client
//	      recorder  alice   or $SHELL -c "…", which execs it, or stays before it
//
// For root there is no third sshd: the monitor talks to the client itself.
// Started by inetd or a socket unit, there is no listener. Since 9.8 the two
// in the middle are sshd-session.

// sshds are the programs of root's sshd. A process counts as one of them only
// when it, or its parent, has nothing but root's ids: that makes the name
// trustworthy, since a person's own copy of sshd never gets those.
var sshds = []string{
	"/usr/sbin/sshd",
	"/usr/lib/openssh/sshd-session", // Debian
	"/usr/libexec/openssh/sshd-session",
	"/usr/libexec/sshd-session",
	"/usr/lib/ssh/sshd-session",
	"/usr/lib64/ssh/sshd-session",
}

// place is where a recorder stands.
type place struct {
	standing Standing
	session  process   // sshd's process that talks to the client
	monitor  process   // sshd's privileged process of the connection
	listener process   // the monitor's parent: not of this connection
	between  []process // from sshd down to the recorder
	nested   string    // the recorded session it runs in
}

// bySSHD says that the recorder belongs to a session that sshd started.
func (pl place) bySSHD() bool { return pl.standing == Direct || pl.standing == Behind }

// find places a recorder that runs as uid below its ancestors, nearest first.
// recorded tells whether a process is the recorder of a session we know.
func find(chain []process, uid uint32, recorded func(process) (string, bool)) place {
	for i, p := range chain {
		if id, ok := recorded(p); ok {
			return place{standing: Nested, nested: id}
		}
		above := chain[i+1:]
		monitor, ok := isSession(p, above)
		if !ok {
			continue
		}
		pl := place{standing: Direct, session: p, monitor: monitor}
		if j := slices.IndexFunc(chain, monitor.same); j+1 < len(chain) {
			pl.listener = chain[j+1]
		}
		if i > 0 {
			pl.standing = Behind
			pl.between = slices.Clone(chain[:i])
			slices.Reverse(pl.between)
		}
		if u, err := readUIDs(p.pid); i == 0 && (err != nil || u[0] != uid) {
			return place{standing: Outside} // sshd starts nobody under another uid
		}
		return pl
	}
	return place{standing: Outside}
}

// isSession says that p talks to a client of root's sshd, and for which monitor.
func isSession(p process, above []process) (monitor process, ok bool) {
	if !isSSHD(p.pid) {
		return process{}, false
	}
	u, err := readUIDs(p.pid)
	if err != nil || !u.all(u[0]) {
		return process{}, false
	}
	if u[0] == 0 {
		return p, true
	}
	if len(above) == 0 || !isSSHD(above[0].pid) {
		return process{}, false
	}
	if u, err := readUIDs(above[0].pid); err != nil || !u.all(0) {
		return process{}, false
	}
	return above[0], true
}

// isSSHD says that pid runs a program from the list that only root can write.
func isSSHD(pid int) bool {
	exe := "/proc/" + strconv.Itoa(pid) + "/exe"
	name, err := os.Readlink(exe)
	if err != nil {
		return false
	}
	// proc(5): an upgrade of sshd leaves its running sessions with this suffix.
	if !slices.Contains(sshds, strings.TrimSuffix(name, " (deleted)")) {
		return false
	}
	var st unix.Stat_t
	return unix.Stat(exe, &st) == nil && st.Uid == 0 && st.Mode&0o022 == 0
}

// isRecorder says that pid runs a set-id program of root for our group: there
// is one, castgate-wrap, and after an upgrade its earlier version.
func isRecorder(pid int, gid uint32) bool {
	var st unix.Stat_t
	if unix.Stat("/proc/"+strconv.Itoa(pid)+"/exe", &st) != nil {
		return false
	}
	const setgid = unix.S_ISGID | unix.S_IXGRP
	return st.Uid == 0 && st.Gid == gid && st.Mode&setgid == setgid && st.Mode&0o022 == 0
}
