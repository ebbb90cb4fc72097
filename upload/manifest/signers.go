// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/crypto/ssh"
)

// AllowedSigners says which key may sign for which host. It is the file that
// `ssh-keygen -Y verify -f` takes (ssh-keygen(1), ALLOWED SIGNERS): principals,
// which are host names, options, and a public key. Of the options only
// namespaces is known; a line with another one is an error, because leaving it
// out would allow more than the file says.
type AllowedSigners struct{ lines []signerLine }

type signerLine struct {
	principals []string
	namespaces []string // empty: any
	key        []byte
}

// ParseAllowedSigners reads such a file.
func ParseAllowedSigners(r io.Reader) (*AllowedSigners, error) {
	a := &AllowedSigners{}
	in := bufio.NewScanner(r)
	for n := 1; in.Scan(); n++ {
		text := strings.TrimSpace(in.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		line, err := parseSigner(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		a.lines = append(a.lines, line)
	}
	return a, in.Err()
}

func parseSigner(text string) (signerLine, error) {
	principals, rest, ok := strings.Cut(text, " ")
	if !ok {
		return signerLine{}, errors.New("want principals, options and a key")
	}
	// What follows has the form of a line of authorized_keys.
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil {
		return signerLine{}, errors.New("no public key follows the principals")
	}
	line := signerLine{principals: strings.Split(principals, ","), key: key.Marshal()}
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		if !strings.EqualFold(name, "namespaces") {
			return signerLine{}, fmt.Errorf("option %q is not known", name)
		}
		line.namespaces = strings.Split(strings.Trim(value, `"`), ",")
	}
	for _, p := range append(line.principals, line.namespaces...) {
		if _, err := path.Match(p, ""); err != nil || strings.ContainsAny(p, `[\`) {
			return signerLine{}, fmt.Errorf("pattern %q", p)
		}
	}
	return line, nil
}

// Allows reports whether key may sign the manifests of host.
func (a *AllowedSigners) Allows(key ssh.PublicKey, host string) bool {
	for _, l := range a.lines {
		if bytes.Equal(l.key, key.Marshal()) && matches(l.principals, host) &&
			(len(l.namespaces) == 0 || matches(l.namespaces, Namespace)) {
			return true
		}
	}
	return false
}

// matches is ssh_config(5)'s pattern list: one matches, and none with a "!".
func matches(patterns []string, s string) bool {
	found := false
	for _, p := range patterns {
		p, not := strings.CutPrefix(p, "!")
		if ok, _ := path.Match(p, s); ok && not {
			return false
		} else if ok {
			found = true
		}
	}
	return found
}
