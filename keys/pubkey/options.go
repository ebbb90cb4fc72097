// SPDX-License-Identifier: AGPL-3.0-or-later

package pubkey

import (
	"fmt"
	"slices"
	"strings"

	"castgate/wrap/hint"
)

// sshd skips a line with an option it doesn't know (auth-options.c), which
// would lock everybody out without a word. So the options are checked when the
// configuration is read. The lists are sshd(8)'s of 9.2, less those that make
// no sense for a line which castgate writes: cert-authority and principals
// (certificates are not keys), and command, environment and tunnel, which
// would go past the recorder or its configuration.
var (
	plainOptions = []string{
		"restrict", "agent-forwarding", "port-forwarding", "pty", "user-rc", "X11-forwarding",
		"no-agent-forwarding", "no-port-forwarding", "no-pty", "no-user-rc", "no-X11-forwarding",
		"no-touch-required", "verify-required",
	}
	valueOptions = []string{"from", "expiry-time", "permitopen", "permitlisten"}
)

// CheckOptions takes a comma-separated list of options as sshd(8) describes it, and
// refuses what a line that castgate prints may not have.
func CheckOptions(s string) error {
	for rest := s; rest != ""; {
		opt, val, tail, err := cutOption(rest)
		if err != nil {
			return fmt.Errorf("options %q: %w", s, err)
		}
		known, list := plainOptions, "without a value"
		if val != "" {
			known, list = valueOptions, "with a value"
		}
		if !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, opt) }) {
			return hint.Addf(fmt.Errorf("options %q: %q is not an option %s", s, opt, list),
				"known are %s and %s=\"...\"", strings.Join(plainOptions, ", "), strings.Join(valueOptions, "=\"...\", "))
		}
		rest = tail
	}
	return nil
}

// cutOption takes the first option off s. A value stands in double quotes and
// may not contain one, nor anything that could end the line.
func cutOption(s string) (opt, val, rest string, err error) {
	end := strings.IndexAny(s, `,="`)
	if end < 0 {
		end = len(s)
	}
	opt, rest = s[:end], s[end:]
	if strings.HasPrefix(rest, "=") {
		val, rest, err = cutQuoted(rest[1:])
		if err != nil {
			return "", "", "", err
		}
	}
	switch {
	case opt == "" || strings.Trim(opt, letters) != "":
		return "", "", "", fmt.Errorf("%q is not an option", opt)
	case rest == "" || rest == ",":
		if rest != "" {
			return "", "", "", fmt.Errorf("nothing follows the last comma")
		}
		return opt, val, "", nil
	case rest[0] != ',':
		return "", "", "", fmt.Errorf("no comma after %q", opt)
	}
	return opt, val, rest[1:], nil
}

func cutQuoted(s string) (val, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", fmt.Errorf("a value needs double quotes")
	}
	val, rest, closed := strings.Cut(s[1:], `"`)
	if !closed || val == "" {
		return "", "", fmt.Errorf("a value is empty or its quotes are not closed")
	}
	for _, r := range val {
		if r < ' ' || r > '~' || r == '\\' {
			return "", "", fmt.Errorf("a value contains %q", r)
		}
	}
	return val, rest, nil
}

// letters are what the name of an option is made of.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
