// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"os/exec"
	"strconv"
	"testing"
)

const manyFiles = `
import os, resource, sys, time
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
each = min(most, 200_000) - 100
for _ in range(each): os.dup(2)
for _ in range(int(sys.argv[1]) // each):
    if os.fork() == 0: time.sleep(1000)
print("crowded", flush=True)
time.sleep(1000)
`

// ManyFiles has u open n descriptors, in as many processes as that takes, until
// the test ends.
func ManyFiles(t testing.TB, u *User, n int) {
	t.Helper()
	StartTerminal(t, u.Command("/usr/bin/python3", "-c", manyFiles, strconv.Itoa(n)), 80, 24).Expect("crowded")
}

// Crowd fills the host with descriptors of u's, who then logs in with key over
// and over, several at a time, until the test ends.
func Crowd(t testing.TB, u *User, s *Sshd, key *Key) {
	t.Helper()
	ManyFiles(t, u, 1_200_000)
	const atOnce = 4
	for range atOnce {
		login := s.Ssh(key, u.Name, []string{"-tt"}, "true")
		again := exec.Command("/bin/sh", append([]string{"-c", `while :; do "$@"; done`, "sh"}, login.Args...)...)
		StartTerminal(t, again, 80, 24)
	}
}
