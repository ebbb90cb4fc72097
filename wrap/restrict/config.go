// SPDX-License-Identifier: AGPL-3.0-or-later

package restrict

import (
	"cmp"
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

// Config is what sshd_config(5) says, in the order in which sshd reads it. sshd -T would say more, but takes 10 ms of
// each login, and fails where the file has been edited badly since sshd read it.
type Config struct {
	Settings []Setting
	Files    []string // that were read, in this order
	unread   []string // files that the caller may not read

	instead map[string][]byte // what files shall say that say something else now
}

// Setting is a line, with the Match lines that it stands below.
type Setting struct {
	Key, Value string // the keyword in lower case, and the rest of the line
	Below      []string
	File       string // "" for what stands on sshd's command line
	Line       int
}

// Where names the line: "/etc/ssh/sshd_config:3".
func (s Setting) Where() string {
	if s.File == "" {
		return "sshd's command line"
	}
	return fmt.Sprintf("%s:%d", s.File, s.Line)
}

// Whole says that all of it could be read.
func (c Config) Whole() bool { return len(c.unread) == 0 }

// dropIns are what Debian's file includes first.
const dropIns = "/etc/ssh/sshd_config.d/*.conf"

// ReadConfig reads the configuration of the sshd that the process pid descends
// from. What the caller may not read is left out, but for what is usually
// included: some make the main file root's only.
func ReadConfig(pid int) Config {
	var c Config
	main := c.arguments(listenerArgs(pid))
	if _, err := read(main); errors.Is(err, fs.ErrPermission) {
		for _, file := range c.included(dropIns) {
			c.read(file, nil, 0)
		}
	}
	c.read(main, nil, 0)
	return c
}

// ReadArgs reads the configuration of an sshd with these arguments. instead has
// what some files shall say, which may not even exist yet.
func ReadArgs(args []string, instead map[string][]byte) Config {
	c := Config{instead: instead}
	c.read(c.arguments(args), nil, 0)
	return c
}

// Text is what the files say as one that means the same: sshd reads what stands
// outside of Match first, and then the blocks, in their order.
func (c Config) Text() []byte {
	var global, blocks strings.Builder
	var open []string
	for _, s := range c.Settings {
		if s.File == "" {
			continue
		}
		if len(s.Below) == 0 {
			fmt.Fprintf(&global, "%s %s\n", s.Key, s.Value)
			continue
		}
		if !slices.Equal(s.Below, open) {
			open = s.Below
			fmt.Fprintf(&blocks, "Match %s\n", joined(open))
		}
		fmt.Fprintf(&blocks, "%s %s\n", s.Key, s.Value)
	}
	return []byte(global.String() + blocks.String())
}

// joined is one Match line for several that must all hold. "all" stands alone.
func joined(match []string) string {
	var criteria []string
	for _, line := range match {
		line, _, _ = strings.Cut(line, " #")
		if !strings.EqualFold(strings.TrimSpace(line), "all") {
			criteria = append(criteria, line)
		}
	}
	return cmp.Or(strings.Join(criteria, " "), "all")
}

// maxDepth is how deep sshd itself follows Include (servconf.c).
const maxDepth = 16

// read adds the lines of a file. A Match in it ends with it.
func (c *Config) read(file string, below []string, depth int) {
	text, planned := c.instead[file]
	if !planned {
		var err error
		if text, err = read(file); err != nil {
			c.unread = append(c.unread, file)
		}
	}
	if depth <= maxDepth {
		c.Files = append(c.Files, file)
		c.parse(file, text, below, depth)
	}
}

func (c *Config) parse(file string, text []byte, below []string, depth int) {
	match, n := below, 0
	for line := range strings.Lines(string(text)) {
		n++
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
		case key != "":
			c.Settings = append(c.Settings, Setting{key, strings.TrimSpace(value), match, file, n})
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
	files, _ := filepath.Glob(pattern) // a bad pattern names nothing
	for file := range c.instead {
		if ok, err := filepath.Match(pattern, file); ok && err == nil {
			files = append(files, file)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
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
	for _, s := range c.Settings {
		if s.Key != key || len(s.Below) == 0 {
			continue
		}
		holds := below(s.Below, a)
		if holds != no {
			all = append(all, s.Value)
		}
		if holds == yes {
			return all
		}
	}
	for _, s := range c.Settings {
		if s.Key == key && len(s.Below) == 0 {
			return append(all, s.Value)
		}
	}
	return append(all, byDefault)
}

// Decides returns the line that gives an account the value that sshd says is
// in force: the first that may hold for it and says so, else the first that may.
func (c Config) Decides(key, value string, a Account) (decides Setting, found bool) {
	for _, s := range c.Settings {
		if s.Key != key || below(s.Below, a) == no {
			continue
		}
		if s.Value == value || strings.Join(words(s.Value), " ") == value {
			return s, true
		}
		if !found {
			decides, found = s, true
		}
	}
	return decides, found
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
