// SPDX-License-Identifier: AGPL-3.0-or-later

package account

import (
	"os"
	"path/filepath"
	"slices"
)

// RealShell is the shell that a session runs: the account's, unless that is
// castgate-wrap itself; then wrap.yaml's, else bash, else sh.
func RealShell(a Account, shells map[string]string, exists func(string) bool) string {
	if s, ok := shells[a.Name]; ok && IsRecorder(a.Shell) {
		return s
	}
	if a.Shell != "" && !IsRecorder(a.Shell) {
		return a.Shell
	}
	if a.Shell != "" && exists("/bin/bash") {
		return "/bin/bash"
	}
	return "/bin/sh" // passwd(5): an empty field means /bin/sh
}

// IsRecorder says that a login shell is castgate-wrap itself.
func IsRecorder(shell string) bool { return filepath.Base(shell) == "castgate-wrap" }

// ordinary are shells that run what they are told. Others may be there to
// refuse, and are asked.
var ordinary = []string{"sh", "ash", "bash", "csh", "dash", "fish", "ksh", "ksh93", "mksh", "tcsh", "zsh"}

// Ordinary says that a shell runs whatever command it is given.
func Ordinary(path string) bool { return slices.Contains(ordinary, filepath.Base(path)) }

// Executable says that a program is at path.
func Executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
