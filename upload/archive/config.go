// SPDX-License-Identifier: AGPL-3.0-or-later

// Package archive keeps delivered recordings and finds them again: a store
// (a directory or a bucket), an index that is derived from it, the text that
// the screens showed, and the server that receives and shows recordings.
package archive

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"time"
)

// ConfigPath is where the package ships the configuration.
const ConfigPath = "/etc/castgate/archive.yaml"

// Config is archive.yaml.
type Config struct {
	Store    StoreConfig    `yaml:"store"`
	Index    string         `yaml:"index"` // SQLite file; derived, may be deleted
	Keys     string         `yaml:"keys"`  // allowed_signers(5): the hosts' keys
	Web      WebConfig      `yaml:"web"`
	Receive  ReceiveConfig  `yaml:"receive"`
	TTYSpy   TTYSpyConfig   `yaml:"ttyspy"`
	Auditors AuditorsConfig `yaml:"auditors"`
}

// TTYSpyConfig lets the hosts of a fleet that share one client certificate, as
// ttyspy's do, deliver under their own names: the certificate's name -> hosts, in
// which * stands for any part of a name.
type TTYSpyConfig struct {
	Certificates map[string][]string `yaml:"certificates"`
}

// StoreConfig says where recordings are: in the bucket when there is one, and
// then the directory has what a server keeps beside it (receive.SideDir).
type StoreConfig struct {
	Dir string    `yaml:"dir"`
	S3  *S3Config `yaml:"s3"`
}

// S3Config has the keys of upload.yaml's s3 target.
type S3Config struct {
	Endpoint        string        `yaml:"endpoint"`
	Region          string        `yaml:"region"`
	Bucket          string        `yaml:"bucket"`
	Prefix          string        `yaml:"prefix"`
	CredentialsFile string        `yaml:"credentials_file"`
	Retain          time.Duration `yaml:"retain"`
	PathStyle       bool          `yaml:"path_style"`
}

// WebConfig is the page that auditors open.
type WebConfig struct {
	Listen   string `yaml:"listen"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// ReceiveConfig is the door for other hosts' uploads (mutual TLS).
type ReceiveConfig struct {
	Listen   string `yaml:"listen"`
	CAFile   string `yaml:"ca_file"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`

	Tickets *S3Config `yaml:"tickets"` // a bucket that hosts may put into without a credential
}

// AuditorsConfig says who may watch: one of the three.
type AuditorsConfig struct {
	GitHub    *GitHubAuditors `yaml:"github"`
	Header    *HeaderAuditors `yaml:"header"`
	TokenFile string          `yaml:"token_file"`
}

// GitHubAuditors sign in with GitHub; a team's membership decides.
type GitHubAuditors struct {
	Org              string   `yaml:"org"`
	Teams            []string `yaml:"teams"` // their members see every recording
	ClientID         string   `yaml:"client_id"`
	ClientSecretFile string   `yaml:"client_secret_file"`

	Leads map[string]string `yaml:"leads"` // members of the first team see what members of the second did
	Own   bool              `yaml:"own"`   // other members of the organisation see their own sessions
	URL   string            `yaml:"url"`   // of GitHub Enterprise; http only for loopback
}

// HeaderAuditors are named by a reverse proxy at one of the From addresses.
type HeaderAuditors struct {
	Name string   `yaml:"name"`
	From []string `yaml:"from"`

	Auditors  []string `yaml:"auditors"`  // who sees every recording; others see their own
	Everybody bool     `yaml:"everybody"` // all whom the proxy lets in see every recording

	People map[string]string `yaml:"people"` // the header's value -> GitHub login, or login:id; nil: the value is the login
}

// Defaults is the configuration without a file: the local archive.
func Defaults() Config {
	return Config{
		Store: StoreConfig{Dir: "/var/lib/castgate/archive"},
		Index: "/var/lib/castgate/index.sqlite",
		Keys:  "/etc/castgate/allowed_signers",
		Web:   WebConfig{Listen: "127.0.0.1:8022"},
	}
}

// Written tells an empty map of people, of whom none is known, from none at all,
// with which everybody is who they are called: decoded they are alike.
func (c *Config) Written(all map[string]any) {
	auditors, _ := all["auditors"].(map[string]any)
	header, _ := auditors["header"].(map[string]any)
	if _, there := header["people"]; there && c.Auditors.Header != nil && c.Auditors.Header.People == nil {
		c.Auditors.Header.People = map[string]string{}
	}
}

// Validate checks what the reading commands need.
func (c *Config) Validate() error {
	s3 := c.Store.S3
	if s3 != nil && (s3.Endpoint == "" || s3.Bucket == "") {
		return errors.New(`key "store.s3" needs an endpoint and a bucket`)
	}
	if !filepath.IsAbs(c.Store.Dir) {
		return fmt.Errorf(`key "store.dir" must be an absolute path, not %q`, c.Store.Dir)
	}
	if !filepath.IsAbs(c.Index) {
		return fmt.Errorf(`key "index" must be an absolute path, not %q`, c.Index)
	}
	if h := c.Auditors.Header; h != nil && len(h.Auditors) > 0 == h.Everybody {
		return errors.New(`key "auditors.header" needs either auditors, who see every recording, or "everybody: yes"`)
	}
	for cert, hosts := range c.TTYSpy.Certificates {
		for _, h := range hosts {
			if _, err := path.Match(h, ""); err != nil || h == "" {
				return fmt.Errorf(`key "ttyspy.certificates": %q of %q is no host's name`, h, cert)
			}
		}
	}
	return nil
}
