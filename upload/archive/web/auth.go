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
	"slices"
	"strings"

	"castgate/upload/archive"
	"castgate/upload/manifest"
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
	who  Auditor
	hash [sha256.Size]byte
}

// minToken is 80 bits of base32: nobody guesses that through a network.
const minToken = 16

// ReadTokens reads a token file. Each line is "TOKEN" or "NAME TOKEN", which
// sees everything, or "LOGIN TOKEN own", which sees what the person with that
// GitHub login did; LOGIN may be login:id.
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
	t := token{who: seesAll("local", manifest.Person{})}
	secret := f[0]
	switch {
	case len(f) == 2, len(f) == 3 && f[2] == RoleAll:
		t.who, secret = seesAll(f[0], manifest.Person{}), f[1]
	case len(f) == 3 && f[2] == RoleOwn:
		p, err := manifest.ParsePerson(f[0])
		if err != nil {
			return t, fmt.Errorf("who sees their own sessions is named by GitHub login: %w", err)
		}
		t.who, secret = seesOwn(p.Login(), p), f[1]
	case len(f) > 1:
		return t, errors.New("want TOKEN, or NAME TOKEN, or LOGIN TOKEN own")
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
			who, ok = tok.who, true
		}
	}
	return who, ok
}

// Header trusts a reverse proxy to have signed somebody in.
type Header struct {
	Name      string
	From      []netip.Prefix
	Auditors  []string // who sees everything
	Everybody bool     // all do whom the proxy lets in

	// People says whose GitHub login a value of the header stands for. Without
	// it the value is the login; with it nothing else is one, or somebody could
	// choose another's login as their name at the proxy.
	People map[string]manifest.Person
}

// NewHeader reads the configuration. Addresses and prefixes are as in
// 127.0.0.1, 192.0.2.0/24.
func NewHeader(cfg *archive.HeaderAuditors) (*Header, error) {
	h := &Header{Name: cfg.Name, Auditors: cfg.Auditors, Everybody: cfg.Everybody}
	for _, s := range cfg.From {
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
	if h.Name == "" || len(h.From) == 0 {
		return nil, errors.New("a header needs a name and the proxy's addresses")
	}
	if cfg.People != nil {
		h.People = map[string]manifest.Person{}
	}
	for value, login := range cfg.People {
		p, err := manifest.ParsePerson(login)
		if err != nil {
			return nil, fmt.Errorf("people: %q: %w", value, err)
		}
		h.People[lower(value)] = p
	}
	return h, nil
}

// who reads the header when the connection comes from the proxy itself. Two
// headers of that name are refused: a proxy that adds one leaves another's.
func (h *Header) who(r *http.Request) (Auditor, error) {
	if !h.trusted(r.RemoteAddr) {
		return Auditor{}, errors.New("the connection does not come from the proxy")
	}
	values := r.Header.Values(h.Name)
	if len(values) != 1 || values[0] == "" || strings.ContainsAny(values[0], ",\x00\r\n") {
		return Auditor{}, errors.New("the proxy has not said who this is")
	}
	name := values[0]
	named := func(auditor string) bool { return lower(auditor) == lower(name) }
	if h.Everybody || slices.ContainsFunc(h.Auditors, named) {
		return seesAll(name, h.person(name)), nil
	}
	return seesOwn(name, h.person(name)), nil
}

// person is whose login the header's value is.
func (h *Header) person(value string) manifest.Person {
	if h.People == nil {
		return manifest.NewPerson(value, 0)
	}
	return h.People[lower(value)]
}

// lower folds the letters from A to Z and no others: some of other alphabets
// fold to these, and so a name of somebody else's choice to an auditor's.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, s)
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
