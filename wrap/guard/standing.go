// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"os"
	"slices"
	"strings"
)

// StartedBySSHD says, as far as a process without privileges can see, whether
// root's sshd itself started the process pid: its parent is named like sshd and
// runs as the same user, and that one's parent is root's. known is false where
// /proc doesn't tell (hidepid). A person can name a process of their sshd, but
// can't put one between root's monitor and their own: the monitor has one child.
// For root, whose processes prove nothing, known is false.
func StartedBySSHD(pid int) (yes, known bool) {
	uid := uint32(os.Getuid())
	self, err := readProcess(pid)
	if err != nil || uid == 0 {
		return false, false
	}
	parent, err := readProcess(self.ppid)
	if err != nil {
		return false, false
	}
	ids, err := readUIDs(parent.pid)
	if err != nil {
		return false, false
	}
	monitor, err := readProcess(parent.ppid)
	if err != nil {
		return false, false
	}
	above, err := readUIDs(monitor.pid)
	if err != nil {
		return false, false
	}
	return ids.all(uid) && above.all(0) && namedSSHD(parent) && namedSSHD(monitor), true
}

func namedSSHD(p process) bool { return strings.HasPrefix(p.comm, "sshd") }

// StartedBySu says that su(1) or one like it started pid: they keep the variables
// that sshd has set. The parent's name is believed where its effective uid is
// root's: no other process can have that and a name of the user's choice. A
// process whose parent has gone is init's, or a subreaper's, and nobody's here.
func StartedBySu(pid int) bool {
	self, err := readProcess(pid)
	if err != nil || os.Getuid() == 0 {
		return false
	}
	parent, err := readProcess(self.ppid)
	if err != nil || !slices.Contains([]string{"su", "sudo", "runuser", "doas"}, parent.comm) {
		return false
	}
	ids, err := readUIDs(parent.pid)
	return err == nil && ids[1] == 0
}
