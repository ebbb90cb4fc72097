// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"path/filepath"
	"slices"
	"strings"

	"castgate/wrap/account"
)

// request is what sshd, su or a person asked of castgate-wrap.
type request struct {
	Command    string // what to run; "" for a shell
	HasCommand bool   // an empty command is still a command
	Login      bool   // argv[0] had a dash: the shell is a login shell
	AsShell    bool   // castgate-wrap is the shell in passwd
	SSH        bool   // sshd started it (SSH_CONNECTION, which sshd always sets last)
	// Forced: it is sshd's ForceCommand, so that what else the login is restricted
	// to is left to it.
	Forced bool
	// Original is what the client asked for where something else is run, which
	// finds it in SSH_ORIGINAL_COMMAND: the command of a key.
	Original    string
	HasOriginal bool
}

// parseRequest reads the three ways in which castgate-wrap is started:
//
//	castgate-wrap                  ForceCommand; the client's command is in SSH_ORIGINAL_COMMAND
//	-castgate-wrap                 login shell: an interactive login
//	castgate-wrap -c COMMAND       login shell: a command, a subsystem, ~/.ssh/rc
//
// su(1) without a dash starts a login shell like a ForceCommand: bySu tells.
// With both set up sshd runs `castgate-wrap -c 'exec /usr/bin/castgate-wrap'`,
// which is a ForceCommand again.
func parseRequest(argv []string, bySu bool, getenv func(string) (string, bool)) request {
	var r request
	_, r.SSH = getenv("SSH_CONNECTION")
	r.Login = strings.HasPrefix(argv[0], "-")
	r.AsShell = r.Login || bySu
	// sshd passes -c alone; su(1) and others may put -l before it.
	args := argv[1:]
	if len(args) > 0 && args[0] == "-l" {
		r.Login, r.AsShell = true, true
		args = args[1:]
	}
	if len(args) >= 2 && args[0] == "-c" {
		r.AsShell = true
		if !forced(args[1]) {
			r.Command, r.HasCommand = args[1], true
			r.Original, r.HasOriginal = getenv("SSH_ORIGINAL_COMMAND")
			return r
		}
		r.AsShell = r.Login || bySu
	}
	r.Forced = r.SSH && !r.AsShell
	if cmd, ok := getenv("SSH_ORIGINAL_COMMAND"); ok && !r.AsShell {
		r.Command, r.HasCommand = cmd, true
		return r
	}
	r.Login = r.Login || r.SSH && !bySu // sshd starts a shell as a login shell
	return r
}

// restrictTo puts the command of a key into the place of what was asked for.
func (r *request) restrictTo(command string) {
	r.Original, r.HasOriginal = r.Command, r.HasCommand
	r.Command, r.HasCommand, r.Login = command, true, false
}

// forced recognises the ForceCommand line of the snippet, with and without exec.
func forced(command string) bool {
	command = strings.TrimPrefix(strings.TrimSpace(command), "exec ")
	return filepath.IsAbs(command) && filepath.Base(command) == "castgate-wrap"
}

// dropped are variables that the shell between sshd and the recorder made, and
// those that speak of the recorder's own start. Go's runtime gives every set-id
// program GOTRACEBACK=none.
var dropped = []string{"GOTRACEBACK", "SHLVL", "_", "PWD", "OLDPWD", "SSH_ORIGINAL_COMMAND", "SSH_TTY", "HOME", "SHELL", "CASTGATE_SESSION"}

// environment is what the user's shell gets: what sshd made, with the values
// that the recorder knows better.
func environment(environ []string, a account.Account, shell, tty, session string) []string {
	env := make([]string, 0, len(environ)+5) // one more by the caller
	for _, kv := range environ {
		if key, _, _ := strings.Cut(kv, "="); !slices.Contains(dropped, key) {
			env = append(env, kv)
		}
	}
	env = append(env, "HOME="+a.Home, "SHELL="+shell)
	if tty != "" {
		env = append(env, "SSH_TTY="+tty)
	}
	if session != "" {
		env = append(env, "CASTGATE_SESSION="+session)
	}
	return env
}
