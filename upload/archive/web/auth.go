// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
)

// Auth is how auditors are told apart. Exactly one of its fields is set.
type Auth struct {
	Tokens *Tokens
	Header *Header
	GitHub *GitHub
}

// Tokens are secrets of a file, for one machine or a few people.
type Tokens struct{ list []token }

type token struct {
	name string
	role string
	hash [sha256.Size]byte
}

// minToken is 80 bits of base32: nobody guesses that through a network.
const minToken = 16

// ReadTokens reads a token file. Each line is "TOKEN" or "NAME TOKEN", which
// sees everything, or "NAME TOKEN own", which sees what the account NAME did.
func ReadTokens(path string) (*Tokens, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t := new(Tokens)
	for i, line := range strings.Split(string(data), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		tok, err := parseToken(f)
		if err != nil {
			return nil, fmt.Errorf("%q line %d: %w", path, i+1, err)
		}
		t.list = append(t.list, tok)
	}
	if len(t.list) == 0 {
		return nil, fmt.Errorf("%q: no token in it", path)
	}
	return t, nil
}

func parseToken(f []string) (token, error) {
	t := token{name: "local", role: RoleAll}
	secret := f[0]
	switch {
	case len(f) == 2, len(f) == 3 && (f[2] == RoleOwn || f[2] == RoleAll):
		t.name, secret = f[0], f[1]
		if len(f) == 3 {
			t.role = f[2]
		}
	case len(f) > 1:
		return t, errors.New("want TOKEN, or NAME TOKEN, or NAME TOKEN own")
	}
	if len(secret) < minToken {
		return t, fmt.Errorf("a token has %d characters or more", minToken)
	}
	t.hash = sha256.Sum256([]byte(secret))
	return t, nil
}

// check compares hashes, all of them, so that time tells nothing.
func (t *Tokens) check(secret string) (who Auditor, ok bool) {
	sum := sha256.Sum256([]byte(secret))
	for _, tok := range t.list {
		if subtle.ConstantTimeCompare(sum[:], tok.hash[:]) == 1 {
			who, ok = Auditor{Name: tok.name, Role: tok.role}, true
		}
	}
	if who.Role == RoleOwn {
		who.Scope.Users = []string{who.Name}
	} else {
		who.Scope.All = ok
	}
	return who, ok
}

// Header trusts a reverse proxy to have signed somebody in.
type Header struct {
	Name     string
	From     []netip.Prefix
	Auditors []string // who sees everything; empty: everybody that the proxy lets in
}

// NewHeader reads addresses and prefixes: 127.0.0.1, 192.0.2.0/24.
func NewHeader(name string, from, auditors []string) (*Header, error) {
	h := &Header{Name: name, Auditors: auditors}
	for _, s := range from {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			addr, err := netip.ParseAddr(s)
			if err != nil {
				return nil, fmt.Errorf("%q is neither an address nor a prefix", s)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		h.From = append(h.From, p)
	}
	if name == "" || len(h.From) == 0 {
		return nil, errors.New("a header needs a name and the proxy's addresses")
	}
	return h, nil
}

// who reads the header when the connection comes from the proxy itself. Two
// headers of that name are refused: a proxy that adds one leaves another's.
func (h *Header) who(r *http.Request) (Auditor, error) {
	if !h.trusted(r.RemoteAddr) {
		return Auditor{}, errors.New("the connection does not come from the proxy")
	}
	names := r.Header.Values(h.Name)
	if len(names) != 1 || names[0] == "" || strings.ContainsAny(names[0], ",\x00\r\n") {
		return Auditor{}, errors.New("the proxy has not said who this is")
	}
	who := Auditor{Name: names[0], Role: RoleAll, Scope: Scope{All: true}}
	if len(h.Auditors) > 0 && !containsFold(h.Auditors, who.Name) {
		who.Role, who.Scope = RoleOwn, Scope{Users: []string{who.Name}, Logins: []string{who.Name}}
	}
	return who, nil
}

func (h *Header) trusted(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, p := range h.From {
		if p.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}
