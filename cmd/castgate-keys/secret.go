// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import "golang.org/x/sys/unix"

// secretive keeps the token, which will be in this process's memory, out of
// core dumps and away from ptrace by other processes of castgate-keys. Neither
// call can fail on Linux in a way that helps to know about.
func secretive() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
