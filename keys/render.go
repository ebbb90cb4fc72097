// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// marker is the first line of the files that Render writes, and the only files
// it ever removes have it.
const marker = "# written by castgate-keys refresh -files; it will be replaced\n"

// Render writes an authorized_keys file for each account that somebody may
// open, so that sshd needs no helper (AuthorizedKeysFile DIR/%u): a login then
// depends on nothing that can hang. The price: nobody is asked at the login, so
// each line ends by itself (expiry-time, sshd(8)) when what it stands on is
// older than max_stale. Call it after Refresh; it makes no call itself.
//
// What the cache knows nothing about stays as it is: a wiped cache locks nobody
// out.
func (s *Service) Render(dir string) error {
	c, err := s.rootDir(dir, 0o755)
	if err != nil {
		return err
	}
	defer c.root.Close()
	wanted := map[string]bool{}
	unsure := false
	for _, account := range s.renderable() {
		text, known := s.renderAccount(account)
		wanted[account] = text != "" || !known
		unsure = unsure || !known
		if text == "" {
			continue
		}
		if err := c.writeIfNew(account, marker+text); err != nil {
			return err
		}
	}
	if unsure {
		return nil
	}
	return c.prune(wanted)
}

// rootDir opens a directory of root's, that nobody else can write, for what is
// made of the cache: which must be root's or castgate-keys' then, because
// whoever else could write it would write for root.
func (s *Service) rootDir(dir string, mode os.FileMode) (*Cache, error) {
	if os.Geteuid() != 0 {
		return nil, advise(errors.New("what sshd and the name service read must belong to root"), "run it as root")
	}
	if s.Cache == nil {
		return nil, s.cacheErr
	}
	if uid, err := localUID(passwdFile, owner); err != nil || s.Cache.uid != 0 && s.Cache.uid != uid {
		return nil, advise(fmt.Errorf("the cache %q belongs to uid %d", s.Cache.dir, s.Cache.uid), "chown -R %s %s", owner, s.Cache.dir)
	}
	c, err := openDir(dir, mode, "")
	if err != nil {
		return nil, err
	}
	if c.uid != 0 {
		_ = c.root.Close()
		return nil, advise(fmt.Errorf("%q belongs to uid %d", dir, c.uid), "chown root %s", dir)
	}
	return c, nil
}

// renderable lists the accounts there is something to say about: those that the
// configuration names, and every member's own.
func (s *Service) renderable() []string {
	c := s.Config
	accounts := slices.Collect(maps.Keys(c.Accounts))
	accounts = slices.AppendSeq(accounts, maps.Keys(c.Emergency))
	for _, slug := range c.Teams {
		t, _ := s.Cache.team(slug)
		for _, m := range t.Members {
			accounts = append(accounts, strings.ToLower(m.Login))
		}
	}
	slices.Sort(accounts)
	return slices.Compact(accounts)
}

// renderAccount returns the lines of an account; known is false when the cache
// can't tell whether there are any.
func (s *Service) renderAccount(account string) (text string, known bool) {
	if path, ok := s.Config.Emergency[account]; ok {
		lines, err := readEmergency(path)
		if err != nil {
			return "", false
		}
		for _, l := range lines {
			text += l.text + "\n"
		}
	}
	g, why := s.grantFor(account)
	if why != "" {
		return text, true
	}
	d := &Decision{Account: account}
	if !s.addStored(d, g, s.usable) {
		return "", false
	}
	expiry := s.Now().Add(s.Config.Cache.MaxStale - d.Age).UTC().Format("200601021504Z")
	for _, l := range d.Lines {
		text += withOption(l, `expiry-time="`+expiry+`"`)
	}
	return text, true
}

// withOption adds an option to a line of ours, which either starts with the
// key's type or with options. Of two expiry-times sshd takes the earlier.
func withOption(line, option string) string {
	typ, _, _ := strings.Cut(line, " ")
	if _, bare := shapes[typ]; bare {
		return option + " " + line
	}
	return option + "," + line
}

// writeIfNew leaves a file alone that says the same.
func (c *Cache) writeIfNew(name, text string) error {
	if old, err := c.root.ReadFile(name); err == nil && string(old) == text {
		return nil
	}
	return c.write(name, 0o644, []byte(text))
}

// prune removes the files we wrote for accounts that nobody may open now.
func (c *Cache) prune(wanted map[string]bool) error {
	names, err := c.list(".")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := c.root.ReadFile(name)
		if wanted[name] || err != nil || !strings.HasPrefix(string(text), marker) {
			continue
		}
		if err := c.remove(name); err != nil {
			return err
		}
	}
	return nil
}
