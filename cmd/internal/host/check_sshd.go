// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

func (h *Host) sshdConfig() []Finding {
	const what = "sshd's configuration"
	if out, err := output(h.ctx, sshdPath, "-t"); err != nil {
		return failed(what, "sshd does not accept it: "+firstLine(out), "correct that line; sshd keeps the old configuration until it is reloaded")
	}
	if h.version == (version{}) {
		return failed(what, "sshd -V does not say which OpenSSH it is: what depends on that can't be judged", "sshd -V")
	}
	if h.sshdErr != nil {
		return failed(what, h.sshdErr.Error(), "sshd -T shows the configuration in force")
	}
	return ok(what)
}

// enableFix is what sets a host right that is not enabled.
const enableFix = "castgate enable"

func (h *Host) enabled() []Finding {
	if f := h.notInForce(); f.Level == Fail {
		return []Finding{f}
	}
	return ok(inSshd)
}

const inSshd = "castgate in sshd's configuration"

// notInForce looks for the drop-in, and for whether sshd reads it.
func (h *Host) notInForce() Finding {
	if _, err := os.Stat(Snippet); err != nil {
		// Somebody may have written it elsewhere; then it is in force.
		if strings.Contains(h.global().get("authorizedkeyscommand"), keysPath) {
			return Finding{}
		}
		return Finding{Level: Fail, What: inSshd, Why: Snippet + " does not exist: sshd lets nobody in by GitHub teams and records nothing", Fix: enableFix}
	}
	if main := h.first().main(); !slices.Contains(h.conf.Files, Snippet) {
		return Finding{Level: Fail, What: inSshd, Why: main + " does not include " + filepath.Dir(Snippet), Fix: `put "Include /etc/ssh/sshd_config.d/*.conf" on its first line and reload ssh`}
	}
	return Finding{}
}

// overridden are the options that a program's own unit or wrapper has been
// seen to give sshd on its command line, where they beat every file. sshd
// writes its title over its arguments: they are one string, or several.
var overridden = regexp.MustCompile(`(?i)-o[\s\x00]*["']?(AuthorizedKeys|ForceCommand|SetEnv|AuthorizedPrincipals)[^\s\x00]*`)

// commandLine reads the arguments of the running server: EC2 Instance Connect
// and others put -o AuthorizedKeysCommand there, and sshd -T does not know.
func (h *Host) commandLine() []Finding {
	const what = "command line of the running sshd"
	// What a socket unit starts for each connection shows no arguments.
	for _, file := range []string{"/etc/default/ssh", "/etc/sysconfig/sshd"} {
		text, _ := os.ReadFile(file)
		if option := overridden.Find(uncommented(text)); option != nil {
			return failed(what, fmt.Sprintf("%q in %s beats what sshd's files say", option, file), "take it away and restart ssh")
		}
	}
	found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range found {
		var st unix.Stat_t
		exe, err := os.Readlink(filepath.Dir(path) + "/exe")
		if err != nil || exe != sshdPath || unix.Stat(filepath.Dir(path), &st) != nil || st.Uid != 0 {
			continue // another program, or somebody's own sshd
		}
		line, _ := os.ReadFile(path)
		if option := overridden.Find(line); option != nil {
			return failed(what, fmt.Sprintf("%q there beats what the files say", strings.ReplaceAll(string(option), "\x00", " ")), "systemctl cat ssh shows where it comes from; take it away and restart ssh")
		}
	}
	return ok(what)
}

// uncommented leaves out the lines that begin with a "#".
func uncommented(text []byte) []byte {
	return regexp.MustCompile(`(?m)^[ \t]*#.*$`).ReplaceAll(text, nil)
}

func (h *Host) keysCommand() []Finding {
	const what = "AuthorizedKeysCommand"
	return h.each(what, "authorizedkeyscommand", "is not castgate-keys",
		Snippet+" must sort before other files and above other lines", Fail,
		func(_ Account, s settings) bool {
			// A break-glass account may have none at all, on purpose.
			command := s.get("authorizedkeyscommand")
			return strings.HasPrefix(command, keysPath+" ") || command == "none" && !ownFile(s)
		})
}

// keysCommandUser: sshd -t accepts a user that does not exist, and then every
// login is refused. It also refuses a program that others could replace.
func (h *Host) keysCommandUser() []Finding {
	const what = "AuthorizedKeysCommandUser and the program's path"
	user := h.global().get("authorizedkeyscommanduser")
	if user == "" || user == "none" {
		return nil // keysCommand has said it
	}
	if out, err := output(h.ctx, "getent", "passwd", user); err != nil || out == "" {
		return failed(what, fmt.Sprintf("the user %q does not exist: sshd -t passes, every login is refused", user), "systemd-sysusers castgate.conf")
	}
	if _, err := os.Stat(keysPath); err != nil {
		return failed(what, err.Error(), "install the package again")
	}
	if path := writable(keysPath); path != "" {
		return failed(what, path+" may be written by others than root: sshd refuses to run what is below", "chown root "+path+" && chmod go-w "+path)
	}
	return ok(what)
}

// newTokens came with OpenSSH 9.4. Before, sshd -t passes and every connection
// whose key is not in a file ends with an error.
var newTokens = regexp.MustCompile(`%[CD]`)

// knownTokens are all that AuthorizedKeysCommand takes (sshd_config(5), TOKENS).
var knownTokens = regexp.MustCompile(`%[%CDfhktUu]`)

func (h *Host) tokens() []Finding {
	const what = "tokens of AuthorizedKeysCommand"
	if h.sshdErr != nil {
		return nil // sshdConfig has said it
	}
	command := h.global().get("authorizedkeyscommand")
	switch rest := knownTokens.ReplaceAllString(command, ""); {
	case strings.Contains(rest, "%"):
		return failed(what, "sshd does not know one of the tokens in "+command+" and drops every connection", "write "+keysPath+" %u %t %k")
	case h.version.before(9, 4) && newTokens.MatchString(command):
		return failed(what, fmt.Sprintf("OpenSSH %d.%d does not know %%C and %%D and drops every connection", h.version.major, h.version.minor), "write "+keysPath+" %u %t %k")
	case strings.HasPrefix(command, keysPath) && !strings.Contains(command, "%u %t %k"):
		return warn(what, "without %u %t %k castgate-keys can't answer about the offered key only", "write "+keysPath+" %u %t %k")
	}
	return ok(what)
}

// principals: before 9.4 sshd forgets an AuthorizedPrincipalsCommand that
// stands below an AuthorizedKeysCommand.
func (h *Host) principals() []Finding {
	const what = "AuthorizedPrincipalsCommand"
	if h.sshdErr != nil {
		return nil // sshdConfig has said it
	}
	if !h.version.before(9, 4) || h.global().get("authorizedprincipalscommand") != "none" {
		return ok(what)
	}
	for _, s := range h.conf.Settings {
		if s.Key == "authorizedprincipalscommand" && s.Value != "none" {
			return failed(what, s.Where()+" is ignored by OpenSSH before 9.4, because AuthorizedKeysCommand stands above it: logins by certificate fail",
				"move it into a file that sorts before "+filepath.Base(Snippet))
		}
	}
	return ok(what)
}

// writable returns what others than root could write of a path: the file or a
// directory above it; "" when nothing.
func writable(path string) string {
	for ; ; path = filepath.Dir(path) {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err == nil && (st.Uid != 0 || st.Mode&0o022 != 0) {
			return path
		}
		if path == "/" {
			return ""
		}
	}
}
