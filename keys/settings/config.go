// SPDX-License-Identifier: AGPL-3.0-or-later

// Package settings is keys.yaml: its keys, their defaults, and the checks that
// refuse what could not work or would work otherwise than meant. The names that
// later become part of a URL or of a file's name (logins, teams, accounts) are
// checked here, and by whoever hears one from elsewhere. It reads no file and
// decides nothing.
package settings

import (
	"maps"
	"slices"
	"time"
)

// DefaultFile is where castgate-keys looks without -config.
const DefaultFile = "/etc/castgate/keys.yaml"

// DefaultDir is where the cache is when the configuration names no other place,
// and DefaultState whose each account is.
const (
	DefaultDir   = "/var/cache/castgate-keys"
	DefaultState = "/var/lib/castgate-keys"
)

// User is who sshd runs castgate-keys as, and whose the cache is.
const User = "castgate-keys"

// Config is keys.yaml.
type Config struct {
	GitHub    GitHub             `yaml:"github"`
	Teams     []string           `yaml:"teams"`
	Accounts  map[string]Account `yaml:"accounts"`
	Cache     Cache              `yaml:"cache"`
	State     string             `yaml:"state"` // whose each account is (package owners)
	Keys      Policy             `yaml:"keys"`
	Emergency map[string]string  `yaml:"emergency"`
	Userdb    Userdb             `yaml:"userdb"`
	SealTeams []string           `yaml:"seal_teams"` // whose keys recordings may be sealed to
}

// Account is an account that is not, or not only, its owner's own login.
type Account struct {
	Teams   []string `yaml:"teams"`
	Logins  []string `yaml:"logins"`
	From    []string `yaml:"from"`
	Options *string  `yaml:"options"`
}

// Cache bounds the age of what is believed.
type Cache struct {
	Dir      string        `yaml:"dir"`
	TTL      time.Duration `yaml:"ttl"`
	MaxStale time.Duration `yaml:"max_stale"`
}

// Default returns the values of the keys that keys.yaml leaves out.
func Default() *Config {
	return &Config{
		GitHub: GitHub{URL: "https://api.github.com/", Timeout: 3 * time.Second, App: App{TokenDir: "/run/castgate-keys"}},
		State:  DefaultState,
		Cache:  Cache{Dir: DefaultDir, TTL: 5 * time.Minute, MaxStale: 24 * time.Hour},
		Keys: Policy{
			Types:      []string{"ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp256", "ssh-rsa"},
			MinRSABits: 2048,
		},
		Userdb: Userdb{Dir: "/run/userdb", Home: "/home", Shell: "/usr/bin/castgate-wrap"},
	}
}

// AllTeams lists every team the configuration names, each once. Those of
// seal_teams are only asked about: no login is let in for being in one.
func (c *Config) AllTeams() []string {
	all := slices.Concat(c.Teams, c.SealTeams)
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		all = append(all, c.Accounts[name].Teams...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
