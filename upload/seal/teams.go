// SPDX-License-Identifier: AGPL-3.0-or-later

package seal

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"syscall"

	"castgate/wrap/hint"
)

// teamPrefix begins a recipient that stands for the keys of a GitHub team's
// members. castgate-keys writes them to recipients/<team> in its cache, for the
// teams of its seal_teams.
const teamPrefix = "github-team:"

const recipientsDir = "recipients"

// maxRecipients bounds the file: 10,000 RSA keys of 4096 bits are some 7 MB.
const maxRecipients = 16 << 20

var teamSlug = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,254}$`)

// teamName reads what follows teamPrefix.
func teamName(text string) (string, error) {
	slug := strings.ToLower(strings.TrimSpace(text))
	if !teamSlug.MatchString(slug) {
		return "", fmt.Errorf("%q is not the slug of a team", text)
	}
	return slug, nil
}

// WithTeams returns the seal with the teams' keys of this moment in it. It
// fails when a team has none: nothing leaves the spool otherwise than sealed.
func (s Seal) WithTeams(cache string) (Seal, error) {
	var out Seal
	for _, l := range s {
		full := layer{to: l.to[:len(l.to):len(l.to)], names: l.names[:len(l.names):len(l.names)]}
		for _, team := range l.teams {
			if err := full.addTeam(cache, team); err != nil {
				// Not wrapped: a file that is missing here says nothing about the spool's.
				return nil, hint.Add(
					fmt.Errorf("seal: team %q: %v", team, err),
					fmt.Sprintf("list %q under seal_teams in keys.yaml and run castgate-keys refresh; until then recordings stay in the spool", team),
				)
			}
		}
		out = append(out, full)
	}
	return out, nil
}

func (l *layer) addTeam(cache, team string) error {
	f, err := openRecipients(cache, team)
	if err != nil {
		return err
	}
	defer f.Close()
	before := len(l.to)
	in := bufio.NewScanner(io.LimitReader(f, maxRecipients))
	for in.Scan() {
		line := strings.TrimSpace(in.Text())
		if !strings.HasPrefix(line, "ssh-") {
			return fmt.Errorf("%.40q is not an SSH key", line)
		}
		if err := l.add(line); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	if len(l.to) == before {
		return fmt.Errorf("%q has no key", f.Name())
	}
	return nil
}

// openRecipients opens a team's file, if nobody but root and the cache's owner,
// to whom root gave it, can have written it: whoever writes it reads what is
// sealed from then on.
func openRecipients(cache, team string) (*os.File, error) {
	root, err := os.OpenRoot(cache)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	top, err := root.Stat(".")
	if err != nil {
		return nil, err
	}
	owner := int(top.Sys().(*syscall.Stat_t).Uid)
	dir, err := root.Lstat(recipientsDir)
	if err != nil {
		return nil, err
	}
	name := recipientsDir + "/" + team
	link, err := root.Lstat(name) // O_NOFOLLOW is nothing to os.Root
	if err != nil {
		return nil, err
	}
	if !link.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is no file", name)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is no file", name)
	}
	for _, one := range []fs.FileInfo{top, dir, link, info} {
		if err == nil {
			err = ownedBy(one, owner)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func ownedBy(info fs.FileInfo, owner int) error {
	uid := int(info.Sys().(*syscall.Stat_t).Uid)
	switch {
	case uid != 0 && uid != owner:
		return fmt.Errorf("%q belongs to uid %d, neither root nor the cache's owner", info.Name(), uid)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%q is a symbolic link", info.Name())
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%q may be written by others (mode %04o)", info.Name(), info.Mode().Perm())
	}
	return nil
}
