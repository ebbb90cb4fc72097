// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"
)

// ConfigPath is the only configuration castgate-wrap reads. No flag and no
// variable of the environment names another: both are the recorded user's.
const ConfigPath = "/etc/castgate/wrap.yaml"

// Config is wrap.yaml.
type Config struct {
	Spool  string            `yaml:"spool"`
	Guard  string            `yaml:"guard"` // require | use | no
	Plain  bool              `yaml:"plain"` // may run without its setgid bit
	Shells map[string]string `yaml:"shells"`
	Rules  []Rule            `yaml:"rules"`
	Policy `yaml:",inline"`
}

// Policy is what holds for one session: the file's own values, and over them
// those of the first rule that matches.
type Policy struct {
	Notice    string `yaml:"notice"`
	Record    Record `yaml:"record"`
	OnFailure string `yaml:"on_failure"` // deny | allow
	Leftovers string `yaml:"leftovers"`  // keep | list | end
	Limits    Limits `yaml:"limits"`
}

// Record says what goes into a recording.
type Record struct {
	Input    string `yaml:"input"`    // no | echoed | all
	Commands string `yaml:"commands"` // yes | metadata
	Su       bool   `yaml:"su"`
}

// Limits bound one session or one user.
type Limits struct {
	Session         Size `yaml:"session"`
	CommandOutput   Size `yaml:"command_output"`
	Free            Size `yaml:"free"`
	SessionsPerUser int  `yaml:"sessions_per_user"`
}

// Rule gives users or members of groups a policy of their own. Keys that it
// doesn't set keep the file's values.
type Rule struct {
	Users     []string  `yaml:"users"`
	Groups    []string  `yaml:"groups"`
	Notice    *string   `yaml:"notice"`
	Record    yaml.Node `yaml:"record"`
	OnFailure string    `yaml:"on_failure"`
	Limits    yaml.Node `yaml:"limits"`
}

// Size is a number of bytes, written as 512, 64KiB, 256MiB or 1GiB.
type Size int64

// UnmarshalYAML reads a size.
func (s *Size) UnmarshalYAML(n *yaml.Node) error {
	text := n.Value
	unit := int64(1)
	for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40} {
		if t, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = t, u
		}
	}
	v, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || v < 0 || v > 1<<62/unit {
		return fmt.Errorf("line %d: %q is no size: write 512, 64KiB, 256MiB or 1GiB", n.Line, n.Value)
	}
	*s = Size(v * unit)
	return nil
}

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
	if err := parseConfig(text, &c); err != nil {
		return c, &adviceError{fmt.Errorf("read %q: %w", path, err), "castgate-wrap.yaml(5) lists the keys"}
	}
	return c, nil
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
	if err := strict(text, c); err != nil {
		return err
	}
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
	for i := range c.Rules {
		p := c.Policy
		if err := c.Rules[i].apply(&p); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	return nil
}

// strict decodes YAML and refuses keys that into doesn't have.
func strict(text []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		var te *yaml.TypeError
		if errors.As(err, &te) && len(te.Errors) > 0 {
			return errors.New(plainYAML(te.Errors[0]))
		}
		return err
	}
	return nil
}

// plainYAML says "key" where the YAML package names our types.
func plainYAML(msg string) string {
	if line, rest, ok := strings.Cut(msg, ": field "); ok {
		key, _, _ := strings.Cut(rest, " ")
		return fmt.Sprintf("%s: key %q is not known", line, key)
	}
	return msg
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

func (r *Rule) apply(p *Policy) error {
	if len(r.Users) == 0 && len(r.Groups) == 0 {
		return errors.New("it names neither users nor groups")
	}
	if r.Notice != nil {
		p.Notice = *r.Notice
	}
	if r.OnFailure != "" {
		p.OnFailure = r.OnFailure
	}
	if err := over(&r.Record, &p.Record); err != nil {
		return err
	}
	if err := over(&r.Limits, &p.Limits); err != nil {
		return err
	}
	return p.validate()
}

// over decodes a rule's part over the file's values, strictly.
func over(n *yaml.Node, into any) error {
	if n.IsZero() {
		return nil
	}
	text, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	return strict(text, into)
}

// For returns what holds for a user with these groups.
func (c *Config) For(user string, groups []string) Policy {
	p := c.Policy
	for i := range c.Rules {
		if c.Rules[i].matches(user, groups) {
			_ = c.Rules[i].apply(&p) // parseConfig has tried each rule
			break
		}
	}
	return p
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
