// SPDX-License-Identifier: AGPL-3.0-or-later

// Package config reads wrap.yaml, the only file that tells castgate-wrap what to
// record and whom to refuse. It is read before every session by a privileged
// program, so a file that others than root could have written is refused, and so
// is every key, type or value that it doesn't know, with its line. Policy is what
// holds for one session once the rules have been asked. Of a faulty file, what it
// says of on_failure still holds: that decides who gets in until it is mended.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"castgate/wrap/hint"
)

// Path is the only configuration castgate-wrap reads. No flag and no
// variable of the environment names another: both are the recorded user's.
const Path = "/etc/castgate/wrap.yaml"

// Config is wrap.yaml.
type Config struct {
	Spool  string
	Guard  string // require | use | no
	Plain  bool   // may run without its setgid bit
	Shells map[string]string
	Rules  []Rule
	Policy
}

// Defaults is the configuration of an empty file.
func Defaults() Config {
	return Config{
		Spool: "/var/spool/castgate",
		Guard: "use",
		Policy: Policy{
			Notice:    "This session is recorded.",
			Record:    Content{Input: "no", Commands: "yes"},
			OnFailure: "deny",
			Leftovers: "keep",
			Limits:    Limits{Session: 1 << 30, CommandOutput: 256 << 20, Free: 256 << 20, SessionsPerUser: 64},
		},
	}
}

// maxConfig bounds the file, which is read before every session.
const maxConfig = 1 << 20

// Read reads the file at path. Without the file the defaults hold: they record
// everything and refuse what can't be recorded.
func Read(path string) (Config, error) {
	c := Defaults()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	defer f.Close()
	if err := trustedFile(f, path); err != nil {
		return c, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return c, err
	}
	if len(text) > maxConfig {
		return c, fmt.Errorf("read %q: larger than %d bytes", path, maxConfig)
	}
	if err := parse(text, &c); err != nil {
		advice := cmp.Or(hint.Of(err), "castgate-wrap.yaml(5) lists the keys")
		return c, hint.Add(fmt.Errorf("read %q: %w", path, err), advice)
	}
	return c, nil
}

// Parse reads the text of a wrap.yaml.
func Parse(text []byte) (Config, error) {
	c := Defaults()
	return c, parse(text, &c)
}

// trustedFile refuses a file that somebody other than root could have written.
func trustedFile(f *os.File, path string) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if err := rootOnly(path, &st); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := unix.Stat(dir, &st); err != nil {
		return err
	}
	return rootOnly(dir, &st)
}

func rootOnly(path string, st *unix.Stat_t) error {
	if st.Uid == 0 && st.Mode&0o022 == 0 {
		return nil
	}
	return hint.Add(
		fmt.Errorf("%q may be written by others than root (uid %d, mode %04o)", path, st.Uid, st.Mode&0o7777),
		fmt.Sprintf("chown root:root %s; chmod go-w %s", path, path),
	)
}

func parse(text []byte, c *Config) error {
	n, err := document(text)
	if err != nil {
		return err
	}
	faults := []error{into(n, c.keys()), c.validate()}
	// What a faulty file does say of on_failure holds, its rules' above all: it
	// decides who gets in unrecorded until the file is mended.
	for i := range c.Rules {
		c.Rules[i].Policy = c.Policy
		if err := c.Rules[i].read(); err != nil {
			faults = append(faults, fmt.Errorf("rule %d: %w", i+1, err))
		}
	}
	for _, err := range faults {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) validate() error {
	if err := c.Policy.validate(); err != nil {
		return err
	}
	if !slices.Contains([]string{"require", "use", "no"}, c.Guard) {
		return fmt.Errorf("guard: %q is none of require, use, no", c.Guard)
	}
	if !filepath.IsAbs(c.Spool) {
		return fmt.Errorf("spool: %q is not an absolute path", c.Spool)
	}
	for user, shell := range c.Shells {
		if !filepath.IsAbs(shell) {
			return fmt.Errorf("shells: %s: %q is not an absolute path", user, shell)
		}
	}
	return nil
}
