// SPDX-License-Identifier: AGPL-3.0-or-later

package restrict

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxAncestors is more than there ever are between a recorder and the sshd that
// listens: a shell, a session's sshd and its monitor.
const maxAncestors = 16

// withValue are sshd's flags that take one (sshd.c, getopt).
const withValue = "CEbcfghkopu"

// commandLine reads the arguments of the sshd that listens, which pid descends
// from, and returns the configuration that they name. What stands there comes
// before every file (sshd(8), -o).
func (c *Config) commandLine(pid int) (main string) {
	main = Main
	for flag, value := range flags(listenerArgs(pid)) {
		switch flag {
		case 'f':
			main = value
		case 'o':
			c.parse([]byte(value), nil, maxDepth)
		}
	}
	return main
}

// flags splits arguments as getopt(3) does. In a process's title they stand with
// blanks between, so that a value reaches to the next word with a dash.
func flags(args []string) func(yield func(byte, string) bool) {
	return func(yield func(byte, string) bool) {
		for i := 0; i < len(args); i++ {
			letters, ok := strings.CutPrefix(args[i], "-")
			for ; ok && letters != ""; letters = letters[1:] {
				if !strings.Contains(withValue, letters[:1]) {
					continue
				}
				value := []string{letters[1:]}
				for i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
					i++
					value = append(value, args[i])
				}
				if !yield(letters[0], strings.TrimSpace(strings.Join(value, " "))) {
					return
				}
				break
			}
		}
	}
}

// listenerArgs finds the nearest ancestor of root's that calls itself
// "sshd: /usr/sbin/sshd -D [listener] ..." (sshd.c, listener_proctitle). None,
// where a socket unit starts a server for each connection.
func listenerArgs(pid int) []string {
	for range maxAncestors {
		dir := "/proc/" + strconv.Itoa(pid)
		var st unix.Stat_t
		title, err := os.ReadFile(dir + "/cmdline")
		if err != nil || unix.Stat(dir, &st) != nil {
			return nil
		}
		before, _, found := bytes.Cut(title, []byte(" [listener]"))
		if args, ours := bytes.CutPrefix(before, []byte("sshd: ")); found && ours && st.Uid == 0 {
			return strings.Fields(string(args))
		}
		if pid = parent(dir); pid < 1 { // in a container sshd may be process 1
			return nil
		}
	}
	return nil
}

// parent reads proc(5)'s stat: "pid (comm) state ppid", and comm may be anything.
func parent(dir string) int {
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0
	}
	var state string
	var ppid int
	if _, err := fmt.Sscanf(string(stat[bytes.LastIndexByte(stat, ')')+1:]), "%s %d", &state, &ppid); err != nil {
		return 0
	}
	return ppid
}
