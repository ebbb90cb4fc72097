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

// commandLine reads the arguments of the sshd that listens, which pid descends
// from, and returns the configuration that they name. What stands there comes
// before every file (sshd(8), -o).
func (c *Config) commandLine(pid int) (main string) {
	main = Main
	args := listenerArgs(pid)
	for i := 0; i < len(args); i++ {
		value := func(flag string) (string, bool) {
			rest, ok := strings.CutPrefix(args[i], flag)
			if ok && rest == "" && i+1 < len(args) {
				i++
				return args[i], true
			}
			return rest, ok && rest != ""
		}
		if file, ok := value("-f"); ok {
			main = file
		} else if line, ok := value("-o"); ok {
			if key, text := cutKeyword(line); text != "" {
				c.settings = append(c.settings, setting{key: key, value: text})
			}
		}
	}
	return main
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
		if pid = parent(dir); pid <= 1 {
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
