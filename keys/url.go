// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// base is the API's base URL; go-github wants the slash at its end.
func (g GitHub) base() (*url.URL, error) {
	u, err := url.Parse(g.URL)
	if err == nil && u.User != nil {
		return nil, errors.New("github: url has a user or password in it, which would be a secret in this file")
	}
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("github: url %q is not the base of an API", g.URL)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, advise(fmt.Errorf("github: url %q is not https", g.URL), "http would show the token to the network; it is for loopback only")
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return u, nil
}

func (g GitHub) origin() origin {
	u, err := g.base()
	if err != nil {
		return origin{}
	}
	return origin{u.String(), strings.ToLower(g.Org)}
}

// enterprise reports whether this is an Enterprise Server, by the path that its
// API has.
func (g GitHub) enterprise() bool {
	u, err := g.base()
	return err == nil && strings.HasSuffix(u.Path, "/api/v3/")
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// proxy is nil when none is configured. The environment is never asked.
func (g GitHub) proxy() (*url.URL, error) {
	if g.Proxy == "" {
		return nil, nil
	}
	u, err := url.Parse(g.Proxy)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5") {
		return nil, fmt.Errorf("github: proxy %q is not an http, https or socks5 URL", g.Proxy)
	}
	if u.User != nil {
		return nil, errors.New("github: proxy has a user or password in it, which would be a secret in this file")
	}
	return u, nil
}
