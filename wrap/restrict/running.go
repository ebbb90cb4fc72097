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

// arguments reads those of an sshd and returns the file that they name. What
// stands there comes before every file (sshd(8), -o).
func (c *Config) arguments(args []string) (main string) {
	main = Main
	for flag, value := range Flags(args) {
		switch flag {
		case 'f':
			main = value
		case 'o':
			c.parse("", []byte(value), nil, maxDepth)
		}
	}
	return main
}

// Flags splits sshd's arguments as getopt(3) does: letter and value. In a process's title they stand with
// blanks between, so that a value reaches to the next word with a dash.
func Flags(args []string) func(yield func(byte, string) bool) {
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

// Listener reads the arguments out of the title of an sshd that listens,
// "sshd: /usr/sbin/sshd -D [listener] ..." (sshd.c, listener_proctitle); nil for
// any other process.
func Listener(title []byte) []string {
	before, _, found := bytes.Cut(title, []byte(" [listener]"))
	args, ours := bytes.CutPrefix(before, []byte("sshd: "))
	if !found || !ours {
		return nil
	}
	return strings.Fields(string(args))
}

// listenerArgs finds those of the nearest ancestor of root's that listens. None,
// where a socket unit starts a server for each connection.
func listenerArgs(pid int) []string {
	for range maxAncestors {
		dir := "/proc/" + strconv.Itoa(pid)
		var st unix.Stat_t
		title, err := os.ReadFile(dir + "/cmdline")
		if err != nil || unix.Stat(dir, &st) != nil {
			return nil
		}
		if args := Listener(title); args != nil && st.Uid == 0 {
			return args
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
