// SPDX-License-Identifier: AGPL-3.0-or-later

package restrict

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Main is sshd's configuration unless its command line says otherwise.
const Main = "/etc/ssh/sshd_config"

// Config is what sshd_config(5) says of the few keywords that matter here, in
// the order in which sshd reads it. sshd -T would say more, but takes 10 ms of
// each login, and fails where the file has been edited badly since sshd read it.
type Config struct {
	settings []setting
	unread   []string // files that the caller may not read
}

// setting is a line, with the Match lines that it stands below.
type setting struct {
	key, value string
	below      []string
}

// interesting are the keywords that are kept.
var interesting = []string{"authorizedkeysfile", "authorizedkeyscommand", "trustedusercakeys", "forcecommand", "authorizedprincipalsfile", "authorizedprincipalscommand"}

// Whole says that all of it could be read.
func (c Config) Whole() bool { return len(c.unread) == 0 }

// dropIns are what Debian's file includes first.
const dropIns = "/etc/ssh/sshd_config.d/*.conf"

// ReadConfig reads the configuration of the sshd that the process pid descends
// from. What the caller may not read is left out, but for what is usually
// included: some make the main file root's only.
func ReadConfig(pid int) Config {
	var c Config
	main := c.commandLine(pid)
	if _, err := read(main); errors.Is(err, fs.ErrPermission) {
		for _, file := range c.included(dropIns) {
			c.read(file, nil, 0)
		}
	}
	c.read(main, nil, 0)
	return c
}

// ReadFiles reads the configuration from file, below what first says.
func ReadFiles(file string, first []byte) Config {
	var c Config
	c.parse(first, nil, 0)
	c.read(file, nil, 0)
	return c
}

// maxDepth is how deep sshd itself follows Include (servconf.c).
const maxDepth = 16

// read adds the lines of a file. A Match in it ends with it.
func (c *Config) read(file string, below []string, depth int) {
	text, err := read(file)
	if err != nil {
		c.unread = append(c.unread, file)
	}
	if depth <= maxDepth {
		c.parse(text, below, depth)
	}
}

func (c *Config) parse(text []byte, below []string, depth int) {
	match := below
	for line := range strings.Lines(string(text)) {
		key, value := cutKeyword(line)
		switch {
		case key == "match":
			match = append(slices.Clip(below), value)
		case key == "include":
			for _, pattern := range words(value) {
				for _, f := range c.included(pattern) {
					c.read(f, match, depth+1)
				}
			}
		case slices.Contains(interesting, key):
			c.settings = append(c.settings, setting{key, value, match})
		}
	}
}

// included lists what an Include names, in the order of glob(3). A relative
// name is below /etc/ssh.
func (c *Config) included(pattern string) []string {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(Main), pattern)
	}
	if _, err := os.ReadDir(filepath.Dir(pattern)); errors.Is(err, fs.ErrPermission) {
		c.unread = append(c.unread, filepath.Dir(pattern))
	}
	files, _ := filepath.Glob(pattern) // sorted; a bad pattern names nothing
	return files
}

// cutKeyword splits a line of sshd_config: the keyword in lower case, which may
// stand in double quotes, and the rest, with the comment that may follow
// (misc.c, strdelim).
func cutKeyword(line string) (key, value string) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", ""
	}
	if quoted, ok := strings.CutPrefix(line, `"`); ok {
		key, value, _ = strings.Cut(quoted, `"`)
	} else if end := strings.IndexAny(line, " \t=\""); end >= 0 {
		key, value = line[:end], line[end:]
	} else {
		key = line
	}
	value = strings.TrimLeft(value, " \t")
	return strings.ToLower(key), strings.TrimLeft(strings.TrimPrefix(value, "="), " \t")
}

// words splits a value as sshd does (misc.c, argv_split): at blanks, with single
// or double quotes around what contains some, and a backslash before a quote, a
// backslash or a blank; a "#" at the start of a word begins a comment.
func words(s string) []string {
	var all []string
	for s = strings.TrimLeft(s, " \t"); s != "" && s[0] != '#'; s = strings.TrimLeft(s, " \t") {
		var word string
		word, s = cutWord(s)
		all = append(all, word)
	}
	return all
}

func cutWord(s string) (word, rest string) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s) && (strings.IndexByte(`'"\`, s[i+1]) >= 0 || quote == 0 && s[i+1] == ' '):
			i++
			b.WriteByte(s[i])
		case quote == 0 && (c == ' ' || c == '\t'):
			return b.String(), s[i:]
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// values returns what a keyword may be set to for an account: the first line
// of a Match block that surely holds for it, those before it that may, and
// without such a line the first one outside of Match, or sshd's default.
func (c Config) values(key string, a Account, byDefault string) []string {
	var all []string
	for _, s := range c.settings {
		if s.key != key || len(s.below) == 0 {
			continue
		}
		holds := below(s.below, a)
		if holds != no {
			all = append(all, s.value)
		}
		if holds == yes {
			return all
		}
	}
	for _, s := range c.settings {
		if s.key == key && len(s.below) == 0 {
			return append(all, s.value)
		}
	}
	return append(all, byDefault)
}

// Recorded says whether sessions of the account may run under the recorder, and
// so whether the recorder must hold to what restricts them. Below a Match with a
// ForceCommand of its own they are sshd's.
func (c Config) Recorded(a Account) bool {
	return slices.ContainsFunc(c.values("forcecommand", a, "none"), func(command string) bool {
		return strings.HasSuffix(strings.TrimSpace(command), "castgate-wrap")
	})
}

// keyFiles returns the names of the files with keys that may open an account.
func (c Config) keyFiles(a Account) ([]string, error) {
	return c.files("authorizedkeysfile", a, ".ssh/authorized_keys .ssh/authorized_keys2")
}

// files expands the values of a keyword that names files (sshd_config(5), TOKENS).
func (c Config) files(key string, a Account, byDefault string) ([]string, error) {
	var all []string
	for _, value := range c.values(key, a, byDefault) {
		for _, name := range words(value) {
			if strings.EqualFold(name, "none") {
				continue
			}
			file, err := expand(name, a)
			if err != nil {
				return nil, err
			}
			all = append(all, existing(file)...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func expand(name string, a Account) (string, error) {
	if strings.Contains(name, "%U") && a.UID < 0 {
		return "", fmt.Errorf("the uid of %q, for %q, isn't known", a.Name, name)
	}
	home := ""
	if strings.Contains(name, "%h") || !filepath.IsAbs(name) {
		var err error
		if home, err = a.Home(); err != nil {
			return "", err
		}
	}
	name = strings.NewReplacer("%%", "%", "%h", home, "%u", a.Name, "%U", strconv.Itoa(a.UID)).Replace(name)
	if !filepath.IsAbs(name) {
		name = filepath.Join(home, name)
	}
	return name, nil
}

// existing follows the wildcards that AuthorizedKeysFile takes since OpenSSH 10.0.
func existing(file string) []string {
	if _, err := os.Lstat(file); err == nil || !strings.ContainsAny(file, "*?[") {
		return []string{file}
	}
	files, _ := filepath.Glob(file)
	return files
}
