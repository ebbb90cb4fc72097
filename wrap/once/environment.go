// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"castgate/wrap/account"
)

// place is where the session runs: as whom, with which environment and shell.
type place struct {
	environ []string // the copy, made at the start
	user    string
	home    string
	shell   string
}

// defaultPath is OpenSSH's on Debian; a container seldom has none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// inherited are variables of the session, if any, that castgate-once was
// started in. They would be lies in the one that it serves.
var inherited = []string{"SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "SSH_ORIGINAL_COMMAND", "SSH_AUTH_SOCK", "CASTGATE_SESSION"}

// findPlace copies the environment and fills in what a login needs and a
// container may not have: a passwd entry, a home, a path.
func findPlace(environ []string) (*place, error) {
	p := &place{}
	for _, kv := range environ {
		if name, _, ok := strings.Cut(kv, "="); ok && !slices.Contains(inherited, name) {
			p.environ = append(p.environ, kv)
		}
	}
	entry, err := account.Of(os.Getuid(), p.get("USER"))
	if err != nil { // a minimal root file system has no passwd(5), an arbitrary uid no entry
		entry = account.Account{Name: p.get("USER"), Home: "/"}
	}
	p.user = cmp.Or(entry.Name, strconv.Itoa(os.Getuid()))
	p.shell = cmp.Or(p.get("SHELL"), entry.Shell, "/bin/sh")
	p.home = cmp.Or(p.get("HOME"), entry.Home, "/")
	p.setDefault("USER", p.user)
	p.setDefault("LOGNAME", p.user)
	p.setDefault("HOME", p.home)
	p.setDefault("PATH", defaultPath)
	p.set("SHELL", p.shell)
	info, err := os.Stat(p.shell)
	switch {
	case err != nil:
		err = fault(StatusShell, "find the shell: %w", err).advise("SHELL in the environment names the shell to run")
	case !filepath.IsAbs(p.shell) || !info.Mode().IsRegular() || unix.Access(p.shell, unix.X_OK) != nil:
		err = fault(StatusShell, "find the shell: %q is not an absolute path of a program", p.shell).advise("SHELL in the environment names the shell to run")
	}
	return p, err
}

func (p *place) get(name string) string { return variable(p.environ, name) }

func (p *place) setDefault(name, value string) {
	if p.get(name) == "" {
		p.set(name, value)
	}
}

func (p *place) set(name, value string) { p.environ = setVariable(p.environ, name, value) }

// variable is the value of name in env, "" when it isn't set.
func variable(env []string, name string) string {
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// setVariable returns env with name set, and only once.
func setVariable(env []string, name, value string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
	return append(env, name+"="+value)
}

// directory is where the session starts: the home, or where castgate-once is
// when there is none.
func (p *place) directory() string {
	if info, err := os.Stat(p.home); err != nil || !info.IsDir() || unix.Access(p.home, unix.X_OK) != nil {
		return ""
	}
	return p.home
}

// acceptEnv is AcceptEnv LANG LC_*, as Debian's sshd has it: more would let the
// client choose what the shell loads (LD_PRELOAD, BASH_ENV).
func acceptEnv(name string) bool { return name == "LANG" || strings.HasPrefix(name, "LC_") }
