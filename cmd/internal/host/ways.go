// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"fmt"
	"slices"
	"strings"

	"castgate/wrap/restrict"
)

// ways lists how somebody can log in to an account without castgate-keys, as
// sshd's settings for it say: "2 keys in /home/x/.ssh/authorized_keys".
func ways(a Account, s settings) (all []string) {
	if barred(a, s) != "" {
		return nil
	}
	root := s.get("permitrootlogin")
	if a.UID == 0 && root == "no" {
		return nil
	}
	if s.get("pubkeyauthentication") != "no" {
		all = append(all, keyWays(a, s)...)
	}
	if a.UID == 0 && root != "yes" {
		return all
	}
	if keyless := slices.ContainsFunc(strings.Fields(s.get("authenticationmethods")), func(list string) bool {
		return list == "any" || !slices.Contains(strings.Split(list, ","), "publickey")
	}); !keyless {
		return all
	}
	if (s.get("passwordauthentication") == "yes" || s.get("kbdinteractiveauthentication") == "yes") && hasPassword(a.Name, s) {
		all = append(all, "a password")
	}
	if s.get("hostbasedauthentication") == "yes" && a.canLogIn() {
		all = append(all, "the word of their machine (HostbasedAuthentication)")
	}
	return all
}

// keyWays are those by a key or a certificate.
func keyWays(a Account, s settings) (all []string) {
	for _, name := range strings.Fields(s.get("authorizedkeysfile")) {
		if name == "none" {
			continue
		}
		file := expand(name, a)
		lines, err := restrict.ReadLines(file)
		if err != nil {
			all = append(all, fmt.Sprintf("keys that can't be read: %v", err))
			continue
		}
		plain, forced, authorities := 0, 0, 0
		for _, l := range lines {
			switch {
			case len(l.Blob) == 0: // no key in it
			case l.Authority:
				authorities++
			case l.Forced:
				forced++
			default:
				plain++
			}
		}
		for _, w := range []struct {
			n         int
			one, many string
		}{{plain, "key", "keys"}, {forced, "key with command=", "keys with command="}, {authorities, "authority of certificates", "authorities of certificates"}} {
			if w.n > 0 {
				all = append(all, counted(w.n, w.one, w.many)+" in "+file)
			}
		}
	}
	if command := strings.Fields(s.get("authorizedkeyscommand")); len(command) > 0 && command[0] != "none" && command[0] != keysPath {
		all = append(all, "keys that "+command[0]+" tells")
	}
	if ca := s.get("trustedusercakeys"); ca != "" && ca != "none" {
		all = append(all, "certificates that "+ca+" signed")
	}
	return all
}

// counted is "1 key" or "2 keys": the plural is given.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
