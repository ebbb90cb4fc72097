// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"path/filepath"
)

// Userdb configures "refresh -accounts": accounts for members that nobody has
// to create. It is off until a range of uids is set.
type Userdb struct {
	Dir      string            `yaml:"dir"`
	FirstUID int64             `yaml:"first_uid"`
	LastUID  int64             `yaml:"last_uid"`
	Home     string            `yaml:"home"`
	Shell    string            `yaml:"shell"`
	Groups   map[string]string `yaml:"groups"` // team: group
}

// lastUID is the last that is a uid for every program: above are the nobody of
// 32 bits and the numbers that are negative for some (systemd, UIDS-GIDS.md).
const lastUID = 1<<31 - 3

func (u Userdb) validate() error {
	if u.FirstUID == 0 && u.LastUID == 0 {
		return nil
	}
	switch {
	case u.FirstUID < 60_000 || u.LastUID > lastUID || u.FirstUID > u.LastUID:
		return advise(fmt.Errorf("userdb: uids %d to %d are not a range between 60000 and %d", u.FirstUID, u.LastUID, lastUID),
			"an account's uid is first_uid plus the GitHub id: leave room for 300 million")
	case !filepath.IsAbs(u.Dir) || !filepath.IsAbs(u.Home) || !filepath.IsAbs(u.Shell):
		return errors.New("userdb: dir, home and shell are absolute paths")
	}
	for slug, group := range u.Groups {
		if err := checkSlug(slug); err != nil {
			return fmt.Errorf("userdb: groups: %w", err)
		}
		if !validAccount(group) {
			return fmt.Errorf("userdb: groups: %q is not a name of a group", group)
		}
	}
	return nil
}
