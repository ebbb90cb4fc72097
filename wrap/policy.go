// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ConfigPath is the only configuration castgate-wrap reads. No flag and no
// variable of the environment names another: both are the recorded user's.
const ConfigPath = "/etc/castgate/wrap.yaml"

// Config is wrap.yaml.
type Config struct {
	Spool  string
	Guard  string // require | use | no
	Plain  bool   // may run without its setgid bit
	Shells map[string]string
	Rules  []Rule
	Policy
}

// Policy is what holds for one session: the file's own values, and over them
// those of the first rule that matches.
type Policy struct {
	Notice    string
	Record    Record
	OnFailure string // deny | allow
	Leftovers string // keep | list | end
	Limits    Limits
}

// Record says what goes into a recording.
type Record struct {
	Input    string // no | echoed | all
	Commands string // yes | metadata
	Su       bool
}

// Limits bound one session or one user.
type Limits struct {
	Session         Size
	CommandOutput   Size
	Free            Size
	SessionsPerUser int
}

// Rule gives users or members of groups a policy of their own. Keys that it
// doesn't set keep the file's values.
type Rule struct {
	Users  []string
	Groups []string
	Policy       // with what the rule says over the file's values
	over   *node // what it says
}

// Size is a number of bytes, written as 512, 64KiB, 256MiB or 1GiB.
type Size int64

// Defaults is the configuration of an empty file.
func Defaults() Config {
	return Config{
		Spool: "/var/spool/castgate",
		Guard: "use",
		Policy: Policy{
			Notice:    "This session is recorded.",
			Record:    Record{Input: "no", Commands: "yes"},
			OnFailure: "deny",
			Leftovers: "keep",
			Limits:    Limits{Session: 1 << 30, CommandOutput: 256 << 20, Free: 256 << 20, SessionsPerUser: 64},
		},
	}
}

// maxConfig bounds the file, which is read before every session.
const maxConfig = 1 << 20

// ReadConfig reads path. Without the file the defaults hold: they record
// everything and refuse what can't be recorded.
func ReadConfig(path string) (Config, error) {
	c := Defaults()
	f, err := open(path)
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
	if err := parseConfig(text, &c); err != nil {
		return c, &adviceError{fmt.Errorf("read %q: %w", path, err), "castgate-wrap.yaml(5) lists the keys"}
	}
	return c, nil
}

// ParseConfig reads the text of a wrap.yaml.
func ParseConfig(text []byte) (Config, error) {
	c := Defaults()
	return c, parseConfig(text, &c)
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
	return &adviceError{
		fmt.Errorf("%q may be written by others than root (uid %d, mode %04o)", path, st.Uid, st.Mode&0o7777),
		fmt.Sprintf("chown root:root %s; chmod go-w %s", path, path),
	}
}

func parseConfig(text []byte, c *Config) error {
	n, err := parseYAML(text)
	if err != nil {
		return err
	}
	faults := []error{n.into(c.keys()), c.validate()}
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

func (p *Policy) validate() error {
	for _, k := range []struct {
		key, value string
		known      []string
	}{
		{"record.input", p.Record.Input, []string{"no", "echoed", "all"}},
		{"record.commands", p.Record.Commands, []string{"yes", "metadata"}},
		{"on_failure", p.OnFailure, []string{"deny", "allow"}},
		{"leftovers", p.Leftovers, []string{"keep", "list", "end"}},
	} {
		if !slices.Contains(k.known, k.value) {
			return fmt.Errorf("%s: %q is none of %s", k.key, k.value, strings.Join(k.known, ", "))
		}
	}
	if p.Limits.SessionsPerUser < 1 {
		return fmt.Errorf("limits.sessions_per_user: %d locks everybody out", p.Limits.SessionsPerUser)
	}
	return nil
}

func (r *Rule) read() error {
	if err := r.over.into(r.keys()); err != nil {
		return err
	}
	if len(r.Users) == 0 && len(r.Groups) == 0 {
		return errors.New("it names neither users nor groups")
	}
	return r.validate()
}

// For returns what holds for a user with these groups.
func (c *Config) For(user string, groups []string) Policy {
	for i := range c.Rules {
		if c.Rules[i].matches(user, groups) {
			return c.Rules[i].Policy
		}
	}
	return c.Policy
}

func (r *Rule) matches(user string, groups []string) bool {
	if slices.Contains(r.Users, user) {
		return true
	}
	for _, g := range r.Groups {
		if slices.Contains(groups, g) {
			return true
		}
	}
	return false
}

// adviceError is an error with a hint for the administrator.
type adviceError struct {
	error
	hint string
}

func (e *adviceError) Unwrap() error { return e.error }
func (e *adviceError) Hint() string  { return e.hint }
