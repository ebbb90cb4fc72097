// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"castgate/keys/files"
	"castgate/keys/owners"
	"castgate/keys/pubkey"
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
// Each account, team and person stands for itself. Of whom the cache knows
// nothing, the line stays until it ends: a wiped cache locks nobody out.
func (s *Service) Render(dir string) error {
	d, err := s.rootDir(dir, 0o755)
	if err != nil {
		return err
	}
	defer d.Close()
	old, err := rendered(d)
	faults := []error{err}
	accounts := slices.AppendSeq(s.renderable(), maps.Keys(old))
	slices.Sort(accounts)
	for _, account := range slices.Compact(accounts) {
		text, err := s.renderAccount(account, old[account])
		faults = append(faults, err)
		if text != "" {
			faults = append(faults, d.WriteNew(account, 0o644, []byte(marker+text)))
		} else if _, ours := old[account]; ours {
			faults = append(faults, d.Remove(account))
		}
	}
	return errors.Join(faults...)
}

// rendered are the files that an earlier Render wrote, without their marker.
func rendered(d *files.Dir) (map[string]string, error) {
	names, err := d.List(".")
	old := map[string]string{}
	for _, name := range names {
		text, rerr := d.Read(name)
		if rest, ours := strings.CutPrefix(string(text), marker); ours && rerr == nil {
			old[name] = rest
		}
	}
	return old, err
}

// renderable lists the accounts there is something to say about: those that the
// configuration names, and every member's own.
func (s *Service) renderable() []string {
	c := s.Config
	accounts := slices.Collect(maps.Keys(c.Accounts))
	accounts = slices.AppendSeq(accounts, maps.Keys(c.Emergency))
	for _, slug := range c.Teams {
		t, _ := s.Known.Team(slug)
		for _, m := range t.Members {
			accounts = append(accounts, strings.ToLower(m.Login))
		}
	}
	slices.Sort(accounts)
	return slices.Compact(accounts)
}

// renderAccount returns the lines of an account, of which old are those of the
// last time. The error is about a part of them.
func (s *Service) renderAccount(account, old string) (text string, err error) {
	emergency, err := s.renderEmergency(account)
	g, why, gerr := s.Owners.Grant(account)
	switch {
	case gerr != nil:
		return emergency + s.undecided(owners.Grant{}, old, ""), errors.Join(err, gerr)
	case why != "":
		return emergency, err
	}
	people, whole := s.stored(g, s.Known.Lately)
	for _, f := range people {
		d := s.decision(account, g)
		d.add(f)
		expiry := s.Known.Now().Add(s.Config.Cache.MaxStale - f.how.Age).UTC().Format("200601021504Z")
		for _, l := range d.Lines {
			if l = withOption(l, expiryOption+`"`+expiry+`"`); !strings.Contains(text, keyOf(l)) {
				text += l
			}
		}
	}
	if !whole {
		text += s.undecided(g, old, text)
	}
	return emergency + text, err
}

const expiryOption = "expiry-time="

func (s *Service) renderEmergency(account string) (text string, err error) {
	path, ok := s.Config.Emergency[account]
	if !ok {
		return "", nil
	}
	lines, err := readEmergency(path)
	if err != nil {
		err = fmt.Errorf("emergency file of %q: %w", account, err)
	}
	for _, l := range lines {
		text += l.Text + "\n"
	}
	return text, err
}

// undecided are the lines of the last time whose owners nothing is known of now.
// They end by themselves.
func (s *Service) undecided(g owners.Grant, old, text string) (kept string) {
	for line := range strings.Lines(old) {
		_, login, ours := strings.Cut(strings.TrimSpace(line), " github:")
		if !ours || !strings.HasPrefix(line, expiryOption) || strings.Contains(text, keyOf(line)) {
			continue
		}
		if _, _, decided := s.Known.Lately(login, slices.Concat(g.Need, g.Teams)); !decided {
			kept += line
		}
	}
	return kept
}

// keyOf is the key of a line of ours with the comment that follows it.
func keyOf(line string) string {
	fields := strings.Fields(line)
	return strings.Join(fields[max(len(fields)-2, 0):], " ")
}

// withOption adds an option to a line of ours, which either starts with the
// key's type or with options. Of two expiry-times sshd takes the earlier.
func withOption(line, option string) string {
	typ, _, _ := strings.Cut(line, " ")
	if pubkey.Known(typ) {
		return option + " " + line
	}
	return option + "," + line
}
