// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"castgate/keys"
)

func (h *Host) authorizedFiles() []Finding {
	return h.each("keys from people's own files", "authorizedkeysfile", "AuthorizedKeysFile opens accounts by keys that no team knows, whoever wrote them", "AuthorizedKeysFile none, as in "+Example, Warn,
		func(a Account, s settings) bool {
			return a.UID == 0 || !ownFile(s) && !slices.ContainsFunc(keyWays(a, s), func(w string) bool { return strings.Contains(w, " in /") })
		})
}

// ownFile reports whether people can write the file that opens the account.
func ownFile(s settings) bool {
	return slices.ContainsFunc(strings.Fields(s.get("authorizedkeysfile")), func(file string) bool {
		return file != "none" && (strings.Contains(file, "%h") || !strings.HasPrefix(file, "/"))
	})
}

// passwords: who knows one needs no key, and no team's membership ends it.
func (h *Host) passwords() []Finding {
	return h.each("logins without a key", "", "sshd lets them in by their password or their machine, whatever GitHub says",
		"PasswordAuthentication no, KbdInteractiveAuthentication no and HostbasedAuthentication no above other lines, or passwd -l ACCOUNT", Warn,
		func(a Account, s settings) bool {
			if methods := s.get("authenticationmethods"); methods != "any" && !slices.ContainsFunc(strings.Fields(methods), keyless) {
				return true
			}
			if a.UID == 0 && s.get("permitrootlogin") != "yes" {
				return true
			}
			asked := s.get("passwordauthentication") == "yes" || s.get("kbdinteractiveauthentication") == "yes"
			return s.get("hostbasedauthentication") != "yes" && !(asked && hasPassword(a.Name, s))
		})
}

// keyless reports whether a list of AuthenticationMethods is without a key.
func keyless(list string) bool { return !slices.Contains(strings.Split(list, ","), "publickey") }

// hasPassword reads shadow(5): "!" and "*" stand where no password fits.
func hasPassword(account string, s settings) bool {
	f, found := shadowEntry(account)
	switch {
	case !found: // a directory need not tell, and PAM asks it
		local, err := localAccounts()
		return s.get("usepam") == "yes" && (err != nil || !slices.ContainsFunc(local, func(a Account) bool { return a.Name == account }))
	case f[1] == "":
		return s.get("permitemptypasswords") == "yes"
	}
	return !strings.ContainsAny(f[1][:1], "!*")
}

// breakGlass looks for one way in that needs neither GitHub nor the network.
func (h *Host) breakGlass() []Finding {
	const what = "a way in without GitHub"
	if h.sshdErr != nil {
		return nil // sshdConfig has said it
	}
	var broken []Finding
	way := false
	for account, file := range h.Keys.Emergency {
		if why := unusable(file); why != "" {
			broken = append(broken, Finding{Fail, what, fmt.Sprintf("the emergency file of %s opens nothing: %s", account, why), fmt.Sprintf("put a key into it, then chown root:%s %s && chmod 0640 %s", keysUser, file, file)})
			continue
		}
		way = true
	}
	if root, there := h.account("root"); there && h.sshd["root"].get("permitrootlogin") != "no" {
		for _, name := range strings.Fields(h.sshd["root"].get("authorizedkeysfile")) {
			file := expand(name, root)
			if !holdsKeys(file) {
				continue
			}
			if open := writable(file); open != "" && h.sshd["root"].get("strictmodes") != "no" {
				broken = append(broken, Finding{Fail, what, "sshd does not read " + file + ": others than root may write " + open, "chown root " + open + " && chmod go-w " + open})
				continue
			}
			way = true
		}
	}
	switch {
	case broken != nil:
		return broken
	case way:
		return ok(what)
	}
	return warn(what, "when GitHub and the cache have nothing to say, nobody gets in", `put a key into root's authorized_keys, or name a file under "emergency" in keys.yaml`)
}

// unusable says why castgate-keys gets no key out of an emergency file.
func unusable(file string) string {
	n, err := keys.EmergencyKeys(file)
	var st unix.Stat_t
	switch {
	case err != nil:
		return err.Error()
	case n == 0:
		return "no key in " + file
	case unix.Stat(file, &st) == nil && st.Mode&0o004 == 0 && !mayRead(st, keysUser):
		return "castgate-keys can't read " + file
	}
	return ""
}

// expand does what sshd does with a name in AuthorizedKeysFile.
func expand(file string, a Account) string {
	file = strings.NewReplacer("%h", a.Home, "%u", a.Name, "%%", "%").Replace(file)
	if !filepath.IsAbs(file) {
		file = filepath.Join(a.Home, file)
	}
	return file
}

func holdsKeys(file string) bool {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return true
		}
	}
	return false
}
