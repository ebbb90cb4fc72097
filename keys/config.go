// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"fmt"
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
	State     string             `yaml:"state"` // whose each account is (pins.go)
	Keys      Policy             `yaml:"keys"`
	Emergency map[string]string  `yaml:"emergency"`
	Userdb    Userdb             `yaml:"userdb"`
	SealTeams []string           `yaml:"seal_teams"` // whose keys recordings may be sealed to
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
		State:  DefaultState,
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

func (a *advice) Hint() string { return a.hint }

func advise(err error, format string, args ...any) error {
	return &advice{err, fmt.Sprintf(format, args...)}
}
