// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// PAMSshd is PAM's stack for sshd.
const PAMSshd = "/etc/pam.d/sshd"

// PAMStack is the text of a PAM service with what it includes, each file once,
// without its comments (pam.conf(5)).
func PAMStack(path string) []byte {
	var all []byte
	seen := map[string]bool{}
	var read func(path string)
	read = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		text, _ := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			line, _, _ = strings.Cut(strings.TrimRight(line, "\n"), "#")
			f := strings.Fields(line)
			if len(f) == 2 && f[0] == "@include" || len(f) == 3 && (f[1] == "include" || f[1] == "substack") {
				read(filepath.Join(filepath.Dir(path), f[len(f)-1]))
				continue
			}
			all = append(append(all, line...), '\n')
		}
	}
	read(path)
	return all
}

// Hooked says whether a stack has the session hook.
func Hooked(stack []byte) bool { return bytes.Contains(stack, []byte("castgate-guard session-hook")) }
