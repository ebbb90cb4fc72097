// SPDX-License-Identifier: AGPL-3.0-or-later

package settings

import (
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"path/filepath"
	"slices"

	"castgate/wrap/hint"
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

const (
	// maxUID is the last that is a uid for every program: above are the nobody
	// of 32 bits and numbers that some take for negative (systemd, UIDS-GIDS.md).
	maxUID = 1<<31 - 3
	// TeamGIDs numbers at the end of the range are for the groups of teams.
	TeamGIDs = 1 << 16
)

// Off reports whether nobody gets an account.
func (u Userdb) Off() bool { return u.FirstUID == 0 && u.LastUID == 0 }

func (u Userdb) validate() error {
	if u.Off() {
		return nil
	}
	switch {
	case u.FirstUID < 60_000 || u.LastUID > maxUID || u.LastUID-u.FirstUID < 2*TeamGIDs:
		return hint.Add(fmt.Errorf("userdb: uids %d to %d are not a range of some size between 60000 and %d", u.FirstUID, u.LastUID, maxUID),
			"an account's uid is first_uid plus the GitHub id: 1879048192 to 2147352575 is free on a systemd host")
	case !filepath.IsAbs(u.Dir) || !filepath.IsAbs(u.Home) || !filepath.IsAbs(u.Shell):
		return errors.New("userdb: dir, home and shell are absolute paths")
	}
	gids := map[int64]string{}
	for _, slug := range slices.Sorted(maps.Keys(u.Groups)) {
		group := u.Groups[slug]
		if err := CheckSlug(slug); err != nil {
			return fmt.Errorf("userdb: groups: %w", err)
		}
		if !ValidAccount(group) {
			return fmt.Errorf("userdb: groups: %q is not a name of a group", group)
		}
		if other, taken := gids[u.GID(group)]; taken && other != group {
			return fmt.Errorf("userdb: groups: %q and %q would have the same gid: rename one", group, other)
		}
		gids[u.GID(group)] = group
	}
	return nil
}

// UID is first_uid plus the GitHub id: the same on every host, for as long as
// the person exists, and never given twice.
func (u Userdb) UID(id int64) (int64, bool) {
	uid := u.FirstUID + id
	return uid, id > 0 && uid <= u.LastUID-TeamGIDs
}

// GID of a team's group depends on nothing but its name.
func (u Userdb) GID(group string) int64 {
	return u.LastUID - int64(crc32.ChecksumIEEE([]byte(group))%TeamGIDs)
}
