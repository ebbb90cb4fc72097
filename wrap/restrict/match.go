// SPDX-License-Identifier: AGPL-3.0-or-later

package restrict

import (
	"path"
	"strings"
)

// answer is whether a Match block holds for an account.
type answer int

const (
	no    answer = iota
	maybe        // it depends on what is not asked here: groups, addresses
	yes
)

// below says whether all of the Match lines hold.
func below(lines []string, a Account) answer {
	got := yes
	for _, line := range lines {
		got = min(got, matches(line, a))
	}
	return got
}

// matches says whether the criteria of a Match line hold (sshd_config(5)).
func matches(line string, a Account) answer {
	w := words(strings.ReplaceAll(line, "=", " "))
	got := yes
	for len(w) > 0 {
		criterion := strings.ToLower(w[0])
		w = w[1:]
		switch criterion {
		case "all":
			continue
		case "invalid-user":
			return no // the account exists
		}
		if len(w) == 0 {
			return maybe // sshd refuses such a line
		}
		if criterion == "user" && !listed(w[0], a.Name) {
			return no
		}
		if criterion != "user" {
			got = maybe
		}
		w = w[1:]
	}
	return got
}

// listed matches a pattern list (ssh_config(5), PATTERNS): a negated pattern
// that matches decides, whatever else does.
func listed(list, name string) bool {
	found := false
	for _, pattern := range strings.Split(list, ",") {
		negated := strings.HasPrefix(pattern, "!")
		if wildcard(strings.TrimPrefix(pattern, "!"), name) {
			if negated {
				return false
			}
			found = true
		}
	}
	return found
}

// wildcard matches * and ?, and nothing else as special.
func wildcard(pattern, name string) bool {
	pattern = strings.NewReplacer(`\`, `\\`, "[", `\[`).Replace(pattern)
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
