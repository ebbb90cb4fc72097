// SPDX-License-Identifier: AGPL-3.0-or-later

package host

// checks is the report, in this order: what keeps people out first, then what
// lets a session pass unrecorded, then what loses a recording.
var checks = []func(*Host) []Finding{
	(*Host).sshdConfig,
	(*Host).enabled,
	(*Host).commandLine,
	(*Host).listens,
	(*Host).otherServers,
	(*Host).outdated,
	disabled((*Host).localSockets),
	unread((*Host).keysCommand),
	(*Host).keysCommandUser,
	(*Host).tokens,
	(*Host).principals,
	unread((*Host).authorizedFiles),
	(*Host).passwords,
	(*Host).breakGlass,

	(*Host).keysYAML,
	(*Host).secrets,
	(*Host).gitHub,
	(*Host).rate,
	(*Host).cacheAge,
	(*Host).members,
	(*Host).namedAccounts,
	(*Host).people,

	unread((*Host).forced),
	(*Host).restrictedKeys,
	disabled((*Host).beforeRecorder),
	(*Host).elsewhere,
	unread((*Host).emptyHome),
	(*Host).homeTree,
	unread((*Host).forwarding),
	unread((*Host).userRC),
	unread((*Host).userEnvironment),
	unread((*Host).clientEnvironment),
	(*Host).pam,
	disabled((*Host).readenv),
	disabled((*Host).sessionHook),
	unread((*Host).idleConnections),
	unread((*Host).logLevel),

	(*Host).wrapYAML,
	(*Host).unrecorded,
	(*Host).setgid,
	(*Host).shells,
	(*Host).loginShells,
	(*Host).files,
	(*Host).guard,
	(*Host).otherDoors,
	(*Host).selinux,

	(*Host).uploadYAML,
	(*Host).spool,
	(*Host).space,
	(*Host).bad,
	(*Host).waiting,
	(*Host).units,

	(*Host).archiveYAML,
	(*Host).auditors,
	(*Host).claims,
}

// Check runs every check.
func (h *Host) Check() []Finding {
	var all []Finding
	for _, check := range checks {
		all = append(all, check(h)...)
	}
	return all
}

// each asks a question about every account's effective settings and returns
// one finding for all the accounts where the answer is no; with a keyword, also
// the line that decides. Nothing is found where sshd could not be asked:
// sshdConfig has said so.
func (h *Host) each(what, key, why, fix string, level Level, good func(Account, settings) bool) []Finding {
	if h.sshdErr != nil {
		return nil
	}
	var bad []string
	for _, a := range h.Accounts {
		if good(a, h.sshd[a.Name]) {
			continue
		}
		if len(bad) == 0 && key != "" {
			if line, found := h.conf.Decides(key, h.sshd[a.Name].get(key), a.restrict()); found {
				why += ": " + line.Where() + " decides"
			}
		}
		bad = append(bad, a.Name)
	}
	if len(bad) == 0 {
		return ok(what)
	}
	return []Finding{{level, what, why + " (" + names(bad) + ")", fix}}
}

// global returns the settings of one account, for what can't differ by account.
func (h *Host) global() settings {
	for _, s := range h.sshd {
		return s
	}
	return settings{}
}
