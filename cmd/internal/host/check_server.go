// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// listens: a host that nobody reaches is not as it should be. What has not
// booted, as an image, need not listen.
func (h *Host) listens() []Finding {
	const what = "the sshd that people use"
	if _, err := os.Stat("/run/systemd/system"); err == nil && len(h.servers) == 0 {
		return failed(what, "none listens: nobody gets in", "systemctl status ssh.service ssh.socket")
	}
	return ok(what)
}

// otherServers: another sshd of root's is another door, with its own arguments.
func (h *Host) otherServers() []Finding {
	const what = "other sshds"
	var all []Finding
	for i, s := range h.servers {
		if i == 0 {
			continue
		}
		there, err := effective(h.ctx, s.args, h.Accounts)
		if err != nil {
			all = append(all, Finding{Fail, what, fmt.Sprintf("can't know what %s lets in: %v", s, err), "stop it, or correct its configuration"})
			continue
		}
		var open []string
		for _, a := range h.Accounts {
			if unheld(a, there[a.Name]) != "" && len(ways(a, there[a.Name])) > 0 {
				open = append(open, a.Name)
			}
		}
		if len(open) > 0 {
			all = append(all, Finding{Fail, what, s.String() + " lets people in past castgate: " + names(open), "stop it, or let its configuration include " + Snippet + " first"})
		}
	}
	if all == nil {
		return ok(what)
	}
	return all
}

// outdated: a newer package may have closed something that the drop-in of an
// older one leaves open.
func (h *Host) outdated() []Finding {
	const what = "the drop-in is this package's"
	now, err := os.ReadFile(Snippet)
	if err != nil || sum(now) != noted("drop-in") {
		return ok(what) // somebody has written it: what is in force is judged line by line
	}
	text, err := os.ReadFile(Example)
	if err != nil {
		return failed(what, err.Error(), "install the package again")
	}
	has := directives(now)
	missing := slices.DeleteFunc(directives(text), func(l string) bool {
		keyword, _, _ := strings.Cut(l, " ")
		kept := slices.Contains(narrower, keyword) && slices.ContainsFunc(has, func(h string) bool { return strings.HasPrefix(h, keyword+" ") })
		return kept || slices.Contains(has, l)
	})
	if len(missing) > 0 {
		return warn(what, "an older castgate enable wrote it; it has no "+names(missing), "castgate enable shows the change and makes it")
	}
	return ok(what)
}
