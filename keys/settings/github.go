// SPDX-License-Identifier: AGPL-3.0-or-later

package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"castgate/wrap/hint"
)

// GitHub says where the organisation is and how to ask about it.
type GitHub struct {
	URL       string        `yaml:"url"`
	Org       string        `yaml:"org"`
	TokenFile string        `yaml:"token_file"`
	App       App           `yaml:"app"`
	Timeout   time.Duration `yaml:"timeout"`
	Proxy     string        `yaml:"proxy"`
	CAFile    string        `yaml:"ca_file"`
}

// App is a GitHub App's installation, instead of a token.
type App struct {
	ID           int64  `yaml:"id"`
	Installation int64  `yaml:"installation"`
	KeyFile      string `yaml:"key_file"`
	TokenDir     string `yaml:"token_dir"` // where its tokens are kept for their hour
}

// Base is the API's base URL; go-github wants the slash at its end.
func (g GitHub) Base() (*url.URL, error) {
	u, err := url.Parse(g.URL)
	if err == nil && u.User != nil {
		return nil, errors.New("github: url has a user or password in it, which would be a secret in this file")
	}
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("github: url %q is not the base of an API", g.URL)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, hint.Add(fmt.Errorf("github: url %q is not https", g.URL), "http would show the token to the network; it is for loopback only")
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return u, nil
}

// Origin is where an answer comes from.
type Origin struct {
	URL string `json:"url"`
	Org string `json:"org"`
}

// Origin is that of the GitHub that the configuration names.
func (g GitHub) Origin() Origin {
	u, err := g.Base()
	if err != nil {
		return Origin{}
	}
	return Origin{u.String(), strings.ToLower(g.Org)}
}

// Enterprise reports whether this is an Enterprise Server, by the path that its
// API has.
func (g GitHub) Enterprise() bool {
	u, err := g.Base()
	return err == nil && strings.HasSuffix(u.Path, "/api/v3/")
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// ProxyURL is nil when none is configured. The environment is never asked.
func (g GitHub) ProxyURL() (*url.URL, error) {
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

func (g GitHub) validate() error {
	if err := CheckLogin(g.Org); err != nil {
		return hint.Add(fmt.Errorf("github: org: %w", err), "the organisation's name as in its URL, for example acme")
	}
	if _, err := g.Base(); err != nil {
		return err
	}
	if g.Timeout <= 0 || g.Timeout > time.Minute {
		return fmt.Errorf("github: timeout %v is not between 0 and 1m", g.Timeout) // LoginGraceTime is 2m
	}
	if err := g.validateSecrets(); err != nil {
		return err
	}
	_, err := g.ProxyURL()
	return err
}

func (g GitHub) validateSecrets() error {
	app := g.App.ID != 0 || g.App.Installation != 0 || g.App.KeyFile != ""
	switch {
	case app && g.TokenFile != "":
		return hint.Add(errors.New(`github: both "token_file" and "app" are set`), "keep one of them")
	case !app && g.TokenFile == "":
		return hint.Add(errors.New(`github: neither "token_file" nor "app" is set`), "put a token with read:org into a file and name the file")
	case app && (g.App.ID <= 0 || g.App.Installation <= 0 || g.App.KeyFile == ""):
		return errors.New("github: app needs id, installation and key_file")
	}
	for _, path := range []string{g.TokenFile, g.App.KeyFile, g.App.TokenDir, g.CAFile} {
		if path != "" && !filepath.IsAbs(path) {
			return hint.Add(fmt.Errorf("github: %q is not an absolute path", path), "a secret is never written into this file: name the file that has it")
		}
	}
	return nil
}
