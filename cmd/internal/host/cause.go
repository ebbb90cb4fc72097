// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// barred says why sshd refuses an account whatever its key (sshd_config(5),
// AllowUsers and the others), "" when it does not.
func barred(a Account, s settings) string {
	switch {
	case listedFor(a.Name, s["denyusers"]):
		return "DenyUsers names it"
	case len(s["allowusers"]) > 0 && !listedFor(a.Name, s["allowusers"]):
		return "AllowUsers does not name it"
	case len(s["denygroups"])+len(s["allowgroups"]) == 0:
		return ""
	}
	groups := groupNames(a.Name)
	in := func(list []string) bool {
		return slices.ContainsFunc(groups, func(g string) bool { return listedFor(g, list) })
	}
	switch {
	case in(s["denygroups"]):
		return "DenyGroups names a group of it"
	case len(s["allowgroups"]) > 0 && !in(s["allowgroups"]):
		return "AllowGroups names none of its groups"
	}
	return ""
}

// listedFor matches sshd's lists: a pattern a word, which may name a host, too.
func listedFor(name string, lines []string) bool {
	for _, pattern := range strings.Fields(strings.Join(lines, " ")) {
		if who, _, _ := strings.Cut(pattern, "@"); strings.HasPrefix(who, "!") {
			continue
		} else if ok, err := path.Match(strings.ReplaceAll(who, "[", `\[`), name); ok && err == nil {
			return true
		}
	}
	return false
}

func groupNames(account string) (all []string) {
	u, err := user.Lookup(account)
	if err != nil {
		return nil
	}
	ids, _ := u.GroupIds()
	for _, id := range ids {
		if g, err := user.LookupGroupId(id); err == nil {
			all = append(all, g.Name)
		}
	}
	return all
}

// causes names what of an account makes sshd refuse every login, for whoever
// has a trial login that failed.
func causes(a Account, s settings) (all []string) {
	if why := barred(a, s); why != "" {
		all = append(all, why)
	}
	if a.UID == 0 && s.get("permitrootlogin") == "no" {
		all = append(all, "PermitRootLogin no")
	}
	if shadow, found := shadowEntry(a.Name); found {
		if day, err := strconv.ParseInt(shadow[7], 10, 64); err == nil && time.Unix(day*24*3600, 0).Before(time.Now()) {
			all = append(all, "the account has expired (chage -l "+a.Name+")")
		}
		if strings.HasPrefix(shadow[1], "!") && s.get("usepam") != "yes" {
			all = append(all, "the account is locked, which counts under UsePAM no: usermod -p '*' "+a.Name+", or UsePAM yes")
		}
		if shadow[2] == "0" {
			all = append(all, "its password has expired and must be changed first (chage -l "+a.Name+")")
		}
	}
	if a.UID != 0 {
		for _, file := range []string{"/etc/nologin", "/run/nologin"} {
			if _, err := os.Stat(file); err == nil {
				all = append(all, file+" is there: only root may log in")
			}
		}
	}
	if info, err := os.Stat(a.Shell); err != nil || info.Mode()&0o111 == 0 {
		all = append(all, fmt.Sprintf("its shell %q can't be run", a.Shell))
	}
	if slices.Contains([]string{"rbash", "rksh", "rzsh", "rksh93"}, filepath.Base(a.Shell)) {
		all = append(all, "its shell "+a.Shell+" runs no program by its path, and so not the recorder: make "+wrapPath+" its login shell, with "+a.Shell+" under shells in wrap.yaml")
	}
	return all
}

// refusals are what sshd and PAM write when they refuse, with what it means.
var refusals = []struct{ says, means string }{
	{"by PAM account configuration", "PAM's account stack for sshd refuses it (pam_access, pam_time, an expired password; /etc/pam.d/sshd)"},
	{"bad ownership or modes", "sshd refuses a file or a directory that others may write"},
	{"because account is locked", "the account is locked, which counts under UsePAM no: usermod -p '*'"},
	{"because not listed in AllowUsers", "AllowUsers does not name it"},
	{"AllowGroups", "AllowGroups names none of its groups"},
	{"listed in DenyUsers", "DenyUsers names it"},
	{"listed in DenyGroups", "DenyGroups names a group of it"},
	{"does not exist", "a program or the account's shell is missing"},
	{"expired", "the account or its password has expired"},
}

// toldBySSHD is what sshd's log says of a refusal, in our words and its own.
func toldBySSHD(log string) (all []string) {
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		for _, r := range refusals {
			if strings.Contains(line, r.says) {
				all = append(all, fmt.Sprintf("%s (sshd: %s)", r.means, line))
				break
			}
		}
	}
	return slices.Compact(all)
}

// shadowEntry reads shadow(5), wherever the account comes from.
func shadowEntry(account string) (fields []string, found bool) {
	text, _ := os.ReadFile("/etc/shadow")
	for line := range strings.Lines(string(text)) {
		if name, _, _ := strings.Cut(line, ":"); name == account {
			fields = strings.Split(strings.TrimSpace(line), ":")
		}
	}
	if fields == nil {
		out, _ := output(context.Background(), "getent", "shadow", account)
		fields = strings.Split(out, ":")
	}
	return fields, len(fields) > 7
}
