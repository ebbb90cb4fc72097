// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// recipients/<team> has the keys of a team's members, for castgate-upload to
// seal recordings to: authorized_keys lines, world-readable, replaced whole by
// rename. Only the teams of seal_teams are there: who is in another team is
// not for others to know. A team without a key has an empty file.
const recipientsDir = "recipients"

// sealBits is the least that age takes of an RSA key (agessh.ParseRecipient).
const sealBits = 2048

// writeRecipients writes the files of the teams that were just seen whole, and
// removes those of teams that are no longer asked for. The file of a team that
// could not be seen stays as it was, as everything in the cache does.
func (c *Cache) writeRecipients(teams, whole []string) error {
	if c == nil {
		return nil
	}
	there, err := c.list(recipientsDir)
	if err != nil {
		return err
	}
	for _, name := range there {
		if !slices.Contains(teams, name) {
			if err := c.remove(recipientsDir + "/" + name); err != nil {
				return err
			}
		}
	}
	for _, slug := range teams {
		if !slices.Contains(whole, slug) {
			continue
		}
		if err := c.publicDir(recipientsDir); err != nil {
			return fmt.Errorf("write the cache: %w", err)
		}
		if err := c.write(recipientsDir+"/"+slug, 0o644, []byte(c.recipients(slug))); err != nil {
			return err
		}
	}
	return nil
}

// recipients are the lines of a team: each key once, sorted.
func (c *Cache) recipients(slug string) string {
	var lines []string
	t, _ := c.team(slug)
	for _, m := range t.Members {
		r, ok := c.record(m.Login)
		if !ok || r.ID != m.ID || r.Suspended || r.Teams[slug].State != Active {
			continue
		}
		for _, gk := range r.Keys {
			if k, err := ParseLine(gk.Line); err == nil && k.seals() {
				lines = append(lines, k.String()+" github:"+r.Login+"\n")
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "")
}

// seals reports whether age can encrypt to the key: hardware keys and ECDSA
// can only sign.
func (k Key) seals() bool {
	return k.Type == "ssh-ed25519" || k.Type == "ssh-rsa" && k.Bits() >= sealBits
}

// publicDir makes a directory that others may read, whatever the umask says.
func (c *Cache) publicDir(dir string) error {
	if err := c.root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := c.root.Chmod(dir, 0o755); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		return c.root.Lchown(dir, c.uid, c.gid)
	}
	return nil
}
