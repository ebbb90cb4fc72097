// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// DefaultConfig is where castgate-keys looks without -config.
const DefaultConfig = "/etc/castgate/keys.yaml"

// DefaultDir is where the cache is when the configuration names no other place.
const DefaultDir = "/var/cache/castgate-keys"

// Config is keys.yaml.
type Config struct {
	GitHub    GitHub             `yaml:"github"`
	Teams     []string           `yaml:"teams"`
	Accounts  map[string]Account `yaml:"accounts"`
	Cache     CacheConfig        `yaml:"cache"`
	Keys      Policy             `yaml:"keys"`
	Emergency map[string]string  `yaml:"emergency"`
	Userdb    Userdb             `yaml:"userdb"`
}

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

// Account is an account that is not, or not only, its owner's own login.
type Account struct {
	Teams   []string `yaml:"teams"`
	Logins  []string `yaml:"logins"`
	From    []string `yaml:"from"`
	Options *string  `yaml:"options"`
}

// CacheConfig bounds the age of what is believed.
type CacheConfig struct {
	Dir      string        `yaml:"dir"`
	TTL      time.Duration `yaml:"ttl"`
	MaxStale time.Duration `yaml:"max_stale"`
}

// Default returns the values of the keys that keys.yaml leaves out.
func Default() *Config {
	return &Config{
		GitHub: GitHub{URL: "https://api.github.com/", Timeout: 3 * time.Second, App: App{TokenDir: "/run/castgate-keys"}},
		Cache:  CacheConfig{Dir: DefaultDir, TTL: 5 * time.Minute, MaxStale: 24 * time.Hour},
		Keys: Policy{
			Types:      []string{"ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp256", "ssh-rsa"},
			MinRSABits: 2048,
		},
		Userdb: Userdb{Dir: "/run/userdb", Home: "/home", Shell: "/usr/bin/castgate-wrap"},
	}
}

// advice is an error with a hint for the administrator.
type advice struct {
	error
	hint string
}

func (a *advice) Unwrap() error { return a.error }
func (a *advice) Hint() string  { return a.hint }

func advise(err error, format string, args ...any) error {
	return &advice{err, fmt.Sprintf(format, args...)}
}

// Validate refuses what could not work, or would work otherwise than meant.
// Every name that later becomes part of a URL or of a file's name is checked
// here or where it comes in, because go-github escapes neither (spec: ListKeys
// with "../orgs/x" asks another endpoint, and with "" it lists the keys of the
// token's owner).
func (c *Config) Validate() error {
	return first(
		c.GitHub.validate,
		c.validateTeams,
		c.validateAccounts,
		c.Cache.validate,
		c.Keys.validate,
		c.validateEmergency,
		c.Userdb.validate,
	)
}

// first returns the first error of several checks: one message at a time.
func first(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) validateTeams() error {
	for _, slug := range c.Teams {
		if err := checkSlug(slug); err != nil {
			return fmt.Errorf("key %q: %w", "teams", err)
		}
	}
	return nil
}

func (c *Config) validateAccounts() error {
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		a := c.Accounts[name]
		if err := a.validate(name); err != nil {
			return fmt.Errorf("account %q: %w", name, err)
		}
		if len(c.Teams)+len(a.Teams) == 0 {
			return advise(fmt.Errorf("account %q: no team decides who its members are", name), "a login opens an account only as a member of one of its teams or of \"teams\"")
		}
	}
	if len(c.Teams) == 0 && len(c.Accounts) == 0 && len(c.Emergency) == 0 {
		return advise(errors.New(`neither "teams" nor "accounts" is set`), "nobody could log in: name a team")
	}
	return nil
}

func (a Account) validate(name string) error {
	if !validAccount(name) {
		return errors.New("not a name of an account")
	}
	for _, slug := range a.Teams {
		if err := checkSlug(slug); err != nil {
			return err
		}
	}
	for _, l := range a.Logins {
		if _, _, err := splitLogin(l); err != nil {
			return err
		}
	}
	for _, from := range a.From {
		if err := checkFrom(from); err != nil {
			return err
		}
	}
	if a.Options != nil {
		return checkOptions(*a.Options)
	}
	return nil
}

// checkFrom takes what sshd(8) calls an address or a CIDR mask. Host names are
// refused: they would make every login wait for the DNS.
func checkFrom(s string) error {
	s = strings.TrimPrefix(s, "!")
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("from: %q is neither an address nor a network", s)
	}
	if p != p.Masked() {
		return advise(fmt.Errorf("from: %q has bits beyond its mask", s), "sshd would refuse it: write %s", p.Masked())
	}
	return nil
}

func (c CacheConfig) validate() error {
	switch {
	case !filepath.IsAbs(c.Dir):
		return fmt.Errorf("cache: dir %q is not an absolute path", c.Dir)
	case c.TTL <= 0:
		return fmt.Errorf("cache: ttl %v is not a positive time", c.TTL)
	case c.MaxStale < c.TTL:
		return advise(fmt.Errorf("cache: max_stale %v is shorter than ttl %v", c.MaxStale, c.TTL), "max_stale is counted from the last answer, as ttl is")
	}
	return nil
}

func (c *Config) validateEmergency() error {
	for _, account := range slices.Sorted(maps.Keys(c.Emergency)) {
		switch file := c.Emergency[account]; {
		case !validAccount(account):
			return fmt.Errorf("emergency: %q is not a name of an account", account)
		case !filepath.IsAbs(file):
			return fmt.Errorf("emergency: %q is not an absolute path", file)
		}
	}
	return nil
}

func (g GitHub) validate() error {
	if err := checkLogin(g.Org); err != nil {
		return advise(fmt.Errorf("github: org: %w", err), "the organisation's name as in its URL, for example acme")
	}
	if _, err := g.base(); err != nil {
		return err
	}
	if g.Timeout <= 0 || g.Timeout > time.Minute {
		return fmt.Errorf("github: timeout %v is not between 0 and 1m", g.Timeout) // LoginGraceTime is 2m
	}
	if err := checkFiles(g); err != nil {
		return err
	}
	if _, err := g.proxy(); err != nil {
		return err
	}
	return nil
}

func checkFiles(g GitHub) error {
	app := g.App.ID != 0 || g.App.Installation != 0 || g.App.KeyFile != ""
	switch {
	case app && g.TokenFile != "":
		return advise(errors.New(`github: both "token_file" and "app" are set`), "keep one of them")
	case !app && g.TokenFile == "":
		return advise(errors.New(`github: neither "token_file" nor "app" is set`), "put a token with read:org into a file and name the file")
	case app && (g.App.ID <= 0 || g.App.Installation <= 0 || g.App.KeyFile == ""):
		return errors.New("github: app needs id, installation and key_file")
	}
	for _, path := range []string{g.TokenFile, g.App.KeyFile, g.App.TokenDir, g.CAFile} {
		if path != "" && !filepath.IsAbs(path) {
			return advise(fmt.Errorf("github: %q is not an absolute path", path), "a secret is never written into this file: name the file that has it")
		}
	}
	return nil
}

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
