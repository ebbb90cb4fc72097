// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"os/exec"

	"castgate/packaging/hosttest"
)

// Ssh is the stock client, over the cable: Ssh(key, "alice", []string{"-tt"},
// "id", "-u"). It reads no configuration of the caller's and asks nothing.
func (h *Host) Ssh(key *hosttest.Key, user string, options []string, command ...string) *exec.Cmd {
	args := []string{
		"-F", "none", "-o", "IdentityFile=" + key.Path, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no",
		"-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10",
		// A host whose power was cut never says goodbye.
		"-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=3",
	}
	args = append(append(args, options...), "-l", user, h.Addr)
	return exec.Command("ssh", append(args, command...)...)
}
