// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"net/netip"
	"strings"
)

// pattern is a part of from=: an address with wildcards, or a network. Names
// are matched against the address, as sshd does without UseDNS: who owns the
// reverse zone would own the name.
type pattern struct {
	negated bool
	glob    string
	network netip.Prefix // valid: counts instead of glob
}

// parsePatterns parses a comma-separated pattern list (ssh_config(5), PATTERNS).
func parsePatterns(s string) ([]pattern, error) {
	list := []pattern{}
	for text := range strings.SplitSeq(s, ",") {
		var p pattern
		p.glob, p.negated = strings.CutPrefix(strings.TrimSpace(text), "!")
		if p.negated {
			p.glob = strings.TrimSpace(p.glob)
		}
		if p.glob == "" {
			return nil, badOption("option \"from\": %q has an empty pattern", s)
		}
		if strings.Contains(p.glob, "/") {
			network, err := netip.ParsePrefix(p.glob)
			if err != nil || network != network.Masked() {
				return nil, badOption("option \"from\": %q is not a network", p.glob)
			}
			p.network = network
		} else if addr, err := netip.ParseAddr(p.glob); err == nil {
			p.network = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		}
		list = append(list, p)
	}
	return list, nil
}

// matches reports whether a pattern lists addr and no negated one does.
func matches(list []pattern, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	found := false
	for _, p := range list {
		hit := p.network.IsValid() && p.network.Contains(addr) || !p.network.IsValid() && wildcard(p.glob, addr.String())
		if hit && p.negated {
			return false
		}
		found = found || hit
	}
	return found
}

// wildcard matches s against glob, in which * is anything and ? one character.
func wildcard(glob, s string) bool {
	back, at := -1, 0 // where to go on after the last *, and with what of s
	g, i := 0, 0
	for i < len(s) {
		switch {
		case g < len(glob) && glob[g] == '*':
			back, at = g+1, i
			g++
		case g < len(glob) && (glob[g] == '?' || glob[g] == s[i]):
			g++
			i++
		case back >= 0:
			at++
			g, i = back, at
		default:
			return false
		}
	}
	return strings.Trim(glob[g:], "*") == ""
}
