// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"castgate/cmd/internal/cli"
	"castgate/wrap/guard"
	"castgate/wrap/restrict"
)

// widened says for which accounts castgate's configuration would allow more
// than what is in force now. In sshd_config(5) the first value wins, and so a
// ForceCommand for everybody (a menu, internal-sftp) gives way to castgate's.
func widened(all []Account, before, after map[string]settings, conf restrict.Config) error {
	forced := map[string][]string{}
	for _, a := range all {
		was, is := before[a.Name], after[a.Name]
		if command := was.get("forcecommand"); command != is.get("forcecommand") && command != "none" {
			forced[command] = append(forced[command], a.Name)
		}
		for _, file := range strings.Fields(is.get("authorizedkeysfile")) {
			if file != "none" && !slices.Contains(strings.Fields(was.get("authorizedkeysfile")), file) {
				return cli.Hint(fmt.Errorf("keys in %s would open %s, and do not now", file, a.Name), "look for another Match block that names it")
			}
		}
	}
	for command, accounts := range forced {
		line, _ := conf.Decides("forcecommand", command, restrict.Account{Name: accounts[0]})
		return cli.Hint(fmt.Errorf("%s may run only %q now (%s), and would get a shell", names(accounts), command, line.Where()),
			"put that ForceCommand into a Match block of its own, for the accounts it is for: then it stays, and is not recorded")
	}
	return nil
}

// doubtful says which keys castgate could not hold to what they are restricted
// to, with that configuration of sshd's. hook says whether the session hook runs, note whether sshd tells
// root's sessions with which key they began.
func doubtful(all []Account, conf restrict.Config, hook, note bool) error {
	var errs []error
	for _, a := range all {
		account := a.restrict()
		if !conf.Recorded(account) {
			continue
		}
		errs = append(errs, conf.Doubts(account)...)
		lines, err := conf.Restricted(account)
		if err != nil || hook || a.UID == 0 && note {
			continue // the first has been said
		}
		for _, l := range lines {
			errs = append(errs, fmt.Errorf("%s restricts a key, and nothing tells which key opened a session", l.Where()))
		}
		if conf.Certificates(account) {
			errs = append(errs, fmt.Errorf("TrustedUserCAKeys: nothing tells which certificate opened a session of %s", a.Name))
		}
	}
	return errors.Join(errs...)
}

// hidden says that people can't see sshd's processes (proc(5), hidepid), so that
// a recorder doesn't find what the session hook has noted for its connection.
func hidden() bool {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) > 3 && f[1] == "/proc" && strings.Contains(f[3], "hidepid=") && !strings.Contains(f[3], "hidepid=0") && !strings.Contains(f[3], "hidepid=off") {
			return !strings.Contains(f[3], "gid=")
		}
	}
	return false
}

func (a Account) restrict() restrict.Account {
	return restrict.Account{Name: a.Name, UID: a.UID, Home: func() (string, error) { return a.Home, nil }}
}

// restrictedKeys: a session is refused where it can't be told what its key is
// restricted to.
func (h *Host) restrictedKeys() []Finding {
	const what = "keys and certificates restricted to a command"
	if h.sshdErr != nil {
		return nil // sshdConfig has said it
	}
	hook := guard.Hooked(guard.PAMStack(guard.PAMSshd)) && h.global().get("usepam") == "yes" && !hidden()
	err := doubtful(h.Accounts, h.conf, hook, h.sshd["root"].get("exposeauthinfo") == "yes")
	if err == nil {
		return ok(what)
	}
	lines := strings.Split(err.Error(), "\n")
	return failed(what, names(lines)+": such logins are refused",
		"castgate enable switches on what tells the key; give each key one line; a Match block with a ForceCommand of its own leaves accounts to sshd; where /proc is mounted with hidepid, gid=castgate lets the recorder see it")
}
