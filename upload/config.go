// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"castgate/upload/seal"
	"castgate/upload/target"
)

// Config is upload.yaml.
type Config struct {
	Spool      string          `yaml:"spool"`
	State      string          `yaml:"state"` // journal and stage; the uploader's own
	Keep       time.Duration   `yaml:"keep"`  // how long delivered recordings stay in the spool
	SigningKey string          `yaml:"signing_key"`
	Parallel   int             `yaml:"parallel"`    // recordings under way at once
	AlertAfter time.Duration   `yaml:"alert_after"` // status fails when something waited longer
	Metrics    string          `yaml:"metrics"`     // textfile for node_exporter; "": in State
	Stream     bool            `yaml:"stream"`      // live recordings too, to archives and buckets
	Seal       any             `yaml:"seal"`        // recipients; see seal.Parse
	KeysCache  string          `yaml:"keys_cache"`  // castgate-keys' cache, for teams in seal
	Targets    []target.Config `yaml:"targets"`
}

// Defaults returns the configuration that an empty file stands for.
func Defaults() Config {
	return Config{
		Spool:      "/var/spool/castgate",
		State:      "/var/lib/castgate/upload",
		Parallel:   4,
		AlertAfter: time.Hour,
		KeysCache:  "/var/cache/castgate-keys",
	}
}

// maxParallel bounds the memory: each recording under way takes some 20 MB.
const maxParallel = 64

// Validate implements what config.Load calls.
func (c *Config) Validate() error {
	if len(c.Targets) == 0 {
		c.Targets = []target.Config{{Dir: &target.DirConfig{Path: "/var/lib/castgate/archive"}}}
	}
	switch {
	case !filepath.IsAbs(c.Spool):
		return fmt.Errorf("spool: %q is not an absolute path", c.Spool)
	case !filepath.IsAbs(c.State):
		return fmt.Errorf("state: %q is not an absolute path", c.State)
	case !filepath.IsAbs(c.KeysCache):
		return fmt.Errorf("keys_cache: %q is not an absolute path", c.KeysCache)
	case c.Metrics != "" && !filepath.IsAbs(c.Metrics):
		return fmt.Errorf("metrics: %q is not an absolute path", c.Metrics)
	case c.Parallel < 1 || c.Parallel > maxParallel:
		return fmt.Errorf("parallel: %d is not between 1 and %d", c.Parallel, maxParallel)
	case c.Keep < 0:
		return fmt.Errorf("keep: %v is negative", c.Keep)
	case c.AlertAfter <= 0:
		return fmt.Errorf("alert_after: %v is not a time to wait", c.AlertAfter)
	}
	if _, err := c.targets(); err != nil {
		return err
	}
	return errors.Join(c.validateSeal(), c.validateStream())
}

// validateStream refuses streams that would go nowhere, or in the clear.
func (c *Config) validateStream() error {
	switch {
	case !c.Stream:
		return nil
	case c.Seal != nil:
		return errors.New("stream: live recordings can't be sealed, so seal and stream exclude each other")
	case !slices.ContainsFunc(c.Targets, target.Config.Streams):
		return errors.New("stream: wants a target of the kind archive, or s3 without ticket")
	}
	return nil
}

// validateSeal refuses to send in the clear, to somebody else, what is sealed.
func (c *Config) validateSeal() error {
	s, err := seal.Parse(c.Seal)
	if err != nil || s == nil {
		return err
	}
	for i, t := range c.Targets {
		if t.Unsealed() {
			return fmt.Errorf("targets: number %d: this kind of target can't take sealed recordings", i+1)
		}
	}
	return nil
}

// targets makes the targets and checks their settings.
func (c *Config) targets() ([]target.Target, error) {
	var all []target.Target
	names := map[string]bool{}
	for i, tc := range c.Targets {
		t, err := tc.New()
		if err != nil {
			return nil, fmt.Errorf("targets: number %d: %w", i+1, err)
		}
		if names[t.Name()] {
			return nil, fmt.Errorf("targets: number %d: %s is there twice", i+1, t.Name())
		}
		names[t.Name()] = true
		all = append(all, t)
	}
	return all, nil
}

// targetNames returns the names of the targets of a valid configuration.
func (c *Config) targetNames() []string {
	all, _ := c.targets()
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = t.Name()
	}
	return names
}
