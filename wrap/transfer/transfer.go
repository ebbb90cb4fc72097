// SPDX-License-Identifier: AGPL-3.0-or-later

// Package transfer knows what a file transfer is: a command line that is exactly
// sftp-server, scp, rsync or one of git's servers, so that the recorder can start
// the program itself, without a shell, and record facts in the place of content.
// Whatever could make such a program run another one, in its arguments or its
// environment, is refused or left out; what only looks like a transfer is an
// ordinary command.
package transfer

import (
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Transfer is a file transfer that is recorded as facts: the recorder starts
// the program itself, without a shell, so that nothing else can run under its
// name. What only looks like a transfer is an ordinary command.
type Transfer struct {
	Path      string // of the program, in a directory that only root writes
	Argv      []string
	Subsystem bool // sftp
	// Shows: programs of the user's may talk through it: hooks that
	// git-receive-pack runs (githooks(5)), filters of git-upload-archive
	// (git-archive(1), tar.<format>.command). What it says is recorded.
	Shows bool
}

// systemPath is where transfer programs are looked for. The user's PATH is the
// user's: ~/bin/scp would be any program at all.
var systemPath = []string{"/usr/bin", "/bin", "/usr/local/bin"}

// sftpServers are where distributions put sftp-server(8).
var sftpServers = []string{
	"/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server", "/usr/libexec/sftp-server",
}

// Parse recognises a command line that is exactly a file transfer.
func Parse(command, home string) (Transfer, bool) {
	argv, ok := splitWords(command)
	if !ok || len(argv) == 0 {
		return Transfer{}, false
	}
	name := argv[0].text
	// What the program is given is what is judged: a wildcard can become any
	// word, an option too, since file names are the user's.
	args := expand(argv[1:], home)
	given := append([]string{name}, args...)
	switch {
	case name == "internal-sftp" || slices.Contains(sftpServers, name):
		return first(sftpServers, texts(argv), true)
	case name == "scp" && scpArgs(args):
		return first(inSystemPath("scp"), given, false)
	case name == "rsync" && len(args) > 0 && args[0] == "--server" && !slices.ContainsFunc(args[1:], rsyncRuns):
		return first(inSystemPath("rsync"), given, false)
	case slices.Contains([]string{gitUploadPack, "git-receive-pack", "git-upload-archive"}, name) && gitArgs(args):
		t, ok := first(inSystemPath(name), given, false)
		t.Shows = name != gitUploadPack
		return t, ok
	}
	return Transfer{}, false
}

const gitUploadPack = "git-upload-pack"

// gitArgs accepts a repository and no option: --help starts the viewer that the
// user's configuration names (git-help(1), man.viewer).
func gitArgs(args []string) bool { return len(args) == 1 && !strings.HasPrefix(args[0], "-") }

// scpArgs accepts the flags with which scp(1) starts its other half.
func scpArgs(args []string) bool {
	direction := false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "--" {
		switch args[0] {
		case "-t", "-f":
			direction = true
		case "-r", "-p", "-d", "-v", "-q":
		default:
			return false
		}
		args = args[1:]
	}
	return direction && len(args) > 0
}

// rsyncRuns finds the arguments that make rsync read a configuration with
// programs of the user's in it (rsyncd.conf(5), "pre-xfer exec"), and those that
// make it take further arguments, such as these, from its standard input
// (rsync(1), --secluded-args, the letter s).
func rsyncRuns(arg string) bool {
	if letters, ok := strings.CutPrefix(arg, "-"); ok && !strings.HasPrefix(letters, "-") {
		letters, _, _ = strings.Cut(letters, "e") // what follows is e's value: what the client can do
		return strings.Contains(letters, "s")
	}
	return strings.HasPrefix(arg, "--daemon") || strings.HasPrefix(arg, "--config") || strings.HasPrefix(arg, "--rsh") ||
		strings.HasPrefix(arg, "--rsync-path") || strings.HasPrefix(arg, "--dparam") ||
		strings.HasPrefix(arg, "--secluded-args") || strings.HasPrefix(arg, "--protect-args")
}

func inSystemPath(name string) []string {
	paths := make([]string, len(systemPath))
	for i, dir := range systemPath {
		paths[i] = filepath.Join(dir, name)
	}
	return paths
}

// first takes the first of paths that is root's alone.
func first(paths, argv []string, subsystem bool) (Transfer, bool) {
	for _, path := range paths {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil && st.Uid == 0 && st.Mode&0o022 == 0 && st.Mode&0o111 != 0 {
			argv[0] = filepath.Base(path)
			return Transfer{Path: path, Argv: argv, Subsystem: subsystem}, true
		}
	}
	return Transfer{}, false
}

// Environment is what the transfer's program gets of env. Where what it says is
// not recorded nothing may make it load or run something of the user's
// (LD_PRELOAD, GCONV_PATH, OPENSSL_CONF, GIT_SSH and whatever comes next; PAM
// reads ~/.pam_environment on Debian), so that only what is known to be
// harmless is passed on. The user's ~/.gitconfig may name a program that talks
// in the place of git-pack-objects; env(1) in its place runs just that
// (git-config(1), uploadpack.packObjectsHook and GIT_CONFIG_COUNT). And no
// object that is missing is fetched by a program that a repository names.
func (t Transfer) Environment(env []string) []string {
	var out []string
	for _, kv := range env {
		key, _, _ := strings.Cut(kv, "=")
		if t.Shows && !loads(key) || slices.Contains(harmlessEnv, key) || strings.HasPrefix(key, "LC_") {
			out = append(out, kv)
		}
	}
	if !t.Shows {
		out = append(out, "PATH="+strings.Join(systemPath, ":"))
	}
	if filepath.Base(t.Path) == gitUploadPack {
		out = append(out, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=uploadpack.packObjectsHook", "GIT_CONFIG_VALUE_0=/usr/bin/env", "GIT_ALLOW_PROTOCOL=none")
	}
	return out
}

var harmlessEnv = []string{
	"HOME", "USER", "LOGNAME", "SHELL", "MAIL", "LANG", "TZ", "TERM", "GIT_PROTOCOL", "SSH_CLIENT", "SSH_CONNECTION", "CASTGATE_SESSION",
}

// loads says of a variable that it makes a program whose words are recorded
// another one.
func loads(key string) bool {
	return key != "GIT_PROTOCOL" && (strings.HasPrefix(key, "LD_") || strings.HasPrefix(key, "GIT_") || strings.HasPrefix(key, "RSYNC_"))
}
