// SPDX-License-Identifier: AGPL-3.0-or-later

package settings

import (
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	bad := func(s string) *string { return &s }
	for _, tt := range []struct {
		name string
		edit func(*Config)
		want string // "" when it is fine
	}{
		{"as it is", func(*Config) {}, ""},
		{"no org", func(c *Config) { c.GitHub.Org = "" }, "org"},
		{"org is a path", func(c *Config) { c.GitHub.Org = "../x" }, "org"},
		{"http", func(c *Config) { c.GitHub.URL = "http://github.example.org/" }, "not https"},
		{"http on loopback", func(c *Config) { c.GitHub.URL = "http://127.0.0.1:8080/" }, ""},
		{"http on [::1]", func(c *Config) { c.GitHub.URL = "http://[::1]:8080/" }, ""},
		{"http on localhost", func(c *Config) { c.GitHub.URL = "http://localhost:8080/" }, ""},
		{"http on a namesake", func(c *Config) { c.GitHub.URL = "http://localhost.example.org/" }, "not https"},
		{"password in the URL", func(c *Config) { c.GitHub.URL = "https://a:b@github.example.org/" }, "secret"},
		{"ftp", func(c *Config) { c.GitHub.URL = "ftp://github.example.org/" }, "not https"},
		{"token in the file", func(c *Config) { c.GitHub.TokenFile = "ghp_secret" }, "not an absolute path"},
		{"no token", func(c *Config) { c.GitHub.TokenFile = "" }, "neither"},
		{"token and App", func(c *Config) { c.GitHub.App = App{1, 2, "/k", "/t"} }, "both"},
		{"half an App", func(c *Config) { c.GitHub.TokenFile, c.GitHub.App = "", App{ID: 1} }, "needs id"},
		{"no time", func(c *Config) { c.GitHub.Timeout = 0 }, "timeout"},
		{"too much time", func(c *Config) { c.GitHub.Timeout = time.Hour }, "timeout"},
		{"proxy with a password", func(c *Config) { c.GitHub.Proxy = "http://a:b@proxy:3128" }, "secret"},
		{"proxy", func(c *Config) { c.GitHub.Proxy = "http://proxy:3128" }, ""},
		{"no proxy at all", func(c *Config) { c.GitHub.Proxy = "proxy" }, "proxy"},
		{"team is a name", func(c *Config) { c.Teams = []string{"My Team"} }, "slug"},
		{"team is a path", func(c *Config) { c.Teams = []string{"a/../b"} }, "slug"},
		{"empty team", func(c *Config) { c.Teams = []string{""} }, "slug"},
		{"nobody", func(c *Config) { c.Teams, c.Accounts = nil, nil }, "neither"},
		{"login is a path", func(c *Config) { c.Accounts["x"] = Account{Logins: []string{"a/b"}} }, "not a GitHub login"},
		{"login with an id", func(c *Config) { c.Accounts["x"] = Account{Logins: []string{"a:7"}} }, ""},
		{"login with a word for an id", func(c *Config) { c.Accounts["x"] = Account{Logins: []string{"a:b"}} }, "not a GitHub id"},
		{"login of an enterprise", func(c *Config) { c.Accounts["x"] = Account{Logins: []string{"octo_acme"}} }, ""},
		{"logins without a team", func(c *Config) {
			c.Teams, c.Accounts = nil, map[string]Account{"x": {Logins: []string{"a"}}}
		}, "no team"},
		{"account is a path", func(c *Config) { c.Accounts["../x"] = Account{} }, "not a name"},
		{"from a name", func(c *Config) { c.Accounts["x"] = Account{From: []string{"host.example.org"}} }, "neither an address"},
		{"from with bits", func(c *Config) { c.Accounts["x"] = Account{From: []string{"192.0.2.1/24"}} }, "beyond its mask"},
		{"from that ends the option", func(c *Config) { c.Accounts["x"] = Account{From: []string{`192.0.2.1",command="x`}} }, "neither an address"},
		{"options of an account", func(c *Config) { c.Accounts["x"] = Account{Options: bad("restrictt")} }, "not an option"},
		{"options", func(c *Config) { c.Keys.Options = `command="x"` }, "not an option"},
		{"no types", func(c *Config) { c.Keys.Types = nil }, "types is empty"},
		{"unknown type", func(c *Config) { c.Keys.Types = []string{"ssh-dss"} }, "not supported"},
		{"weak RSA", func(c *Config) { c.Keys.MinRSABits = 512 }, "below"},
		{"relative cache", func(c *Config) { c.Cache.Dir = "cache" }, "absolute"},
		{"no ttl", func(c *Config) { c.Cache.TTL = 0 }, "ttl"},
		{"stale before expired", func(c *Config) { c.Cache.MaxStale = time.Second }, "shorter than ttl"},
		{"relative emergency", func(c *Config) { c.Emergency = map[string]string{"a": "b"} }, "absolute"},
		{"emergency for a path", func(c *Config) { c.Emergency = map[string]string{"a/b": "/b"} }, "not a name"},
		{"uids of the system", func(c *Config) { c.Userdb.FirstUID, c.Userdb.LastUID = 1, 99999 }, "not a range"},
		{"uids", func(c *Config) { c.Userdb.FirstUID, c.Userdb.LastUID = 1_879_048_192, 2_147_352_575 }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			c.GitHub.Org, c.GitHub.TokenFile, c.Teams = "acme", "/t", []string{"developers"}
			c.Accounts = map[string]Account{}
			tt.edit(c)
			err := c.Validate()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "a:b@") {
				t.Errorf("%q shows a password", err)
			}
		})
	}
}
