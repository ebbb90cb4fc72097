// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// sshdPath is where Debian and the others have the server.
const sshdPath = "/usr/sbin/sshd"

// settings are sshd's options as they hold for one connection: the keyword in
// lower case, and each of its lines.
type settings map[string][]string

func (s settings) get(key string) string {
	if len(s[key]) == 0 {
		return ""
	}
	return s[key][0]
}

// effective asks sshd itself what holds for each account, with the arguments of
// a server. The host and the address stand for a client from elsewhere.
func effective(ctx context.Context, args []string, all []Account) (map[string]settings, error) {
	found := map[string]settings{}
	for _, a := range all {
		s, err := asked(ctx, args, "-C", "user="+a.Name+",host=client.example,addr=192.0.2.1,laddr=192.0.2.2,lport=22")
		if err != nil {
			return nil, err
		}
		found[a.Name] = s
	}
	return found, nil
}

// asked is what sshd -T prints. An answer that is not whole is an error.
func asked(ctx context.Context, args []string, more ...string) (settings, error) {
	out, err := output(ctx, sshdPath, slices.Concat([]string{"-T"}, args, more)...)
	if err != nil {
		return nil, fmt.Errorf("sshd -T: %s", strings.ReplaceAll(cmp.Or(out, err.Error()), "\n", "; "))
	}
	s := parseSettings(out)
	if err := s.complete(); err != nil {
		return nil, fmt.Errorf("sshd -T: %w", err)
	}
	return s, nil
}

// parseSettings reads what sshd -T prints: keywords in lower case up to
// OpenSSH 10.3, since then as sshd_config(5) writes them.
func parseSettings(out string) settings {
	s := settings{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		key = strings.ToLower(key)
		s[key] = append(s[key], value)
	}
	return s
}

// always are the keywords that the checks read and that sshd prints whatever
// they are set to. Lists are not among them: sshd leaves an empty one out, since
// 10.4 also AuthorizedKeysFile none.
var always = []string{
	"authenticationmethods", "authorizedkeyscommand", "authorizedkeyscommanduser", "authorizedprincipalscommand",
	"forcecommand", "disableforwarding", "permittunnel", "x11forwarding", "allowagentforwarding",
	"permitrootlogin", "passwordauthentication", "permitemptypasswords", "kbdinteractiveauthentication", "hostbasedauthentication",
	"permituserrc", "permituserenvironment", "strictmodes", "clientaliveinterval", "loglevel",
}

// complete returns an error when one of them is missing. Without it a format
// that is not understood would pass for a host where nothing is switched on.
func (s settings) complete() error {
	for _, key := range always {
		if len(s[key]) == 0 {
			return fmt.Errorf("what it prints has no line %q", key)
		}
	}
	return nil
}

// version is OpenSSH's: two numbers that compare, and all of its words.
type version struct {
	major, minor int
	text         string
}

func (v version) before(major, minor int) bool {
	return v.major < major || v.major == major && v.minor < minor
}

var versionWord = regexp.MustCompile(`OpenSSH_(\d+)\.(\d+)`)

// sshdVersion asks the server, not the client: they may come from different
// packages. Where -V is not
// known yet, the complaint about it has the version too.
func sshdVersion(ctx context.Context) version {
	out, _ := output(ctx, sshdPath, "-V")
	m := versionWord.FindStringSubmatch(out)
	if m == nil {
		return version{}
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	for line := range strings.Lines(out) {
		if strings.Contains(line, m[0]) {
			return version{major, minor, strings.TrimSpace(line)}
		}
	}
	return version{major, minor, m[0]}
}
