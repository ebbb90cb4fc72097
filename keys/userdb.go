// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	// lastUID is the last that is a uid for every program: above are the nobody
	// of 32 bits and numbers that some take for negative (systemd, UIDS-GIDS.md).
	lastUID = 1<<31 - 3
	// teamGIDs at the end of the range are for the groups of teams.
	teamGIDs = 1 << 16
)

func (u Userdb) off() bool { return u.FirstUID == 0 && u.LastUID == 0 }

func (u Userdb) validate() error {
	if u.off() {
		return nil
	}
	switch {
	case u.FirstUID < 60_000 || u.LastUID > lastUID || u.LastUID-u.FirstUID < 2*teamGIDs:
		return advise(fmt.Errorf("userdb: uids %d to %d are not a range of some size between 60000 and %d", u.FirstUID, u.LastUID, lastUID),
			"an account's uid is first_uid plus the GitHub id: 1879048192 to 2147352575 is free on a systemd host")
	case !filepath.IsAbs(u.Dir) || !filepath.IsAbs(u.Home) || !filepath.IsAbs(u.Shell):
		return errors.New("userdb: dir, home and shell are absolute paths")
	}
	gids := map[int64]string{}
	for _, slug := range slices.Sorted(maps.Keys(u.Groups)) {
		group := u.Groups[slug]
		if err := checkSlug(slug); err != nil {
			return fmt.Errorf("userdb: groups: %w", err)
		}
		if !validAccount(group) {
			return fmt.Errorf("userdb: groups: %q is not a name of a group", group)
		}
		if other, taken := gids[u.gid(group)]; taken && other != group {
			return fmt.Errorf("userdb: groups: %q and %q would have the same gid: rename one", group, other)
		}
		gids[u.gid(group)] = group
	}
	return nil
}

// uid is first_uid plus the GitHub id: the same on every host, for as long as
// the person exists, and never given twice.
func (u Userdb) uid(id int64) (int64, bool) {
	uid := u.FirstUID + id
	return uid, id > 0 && uid <= u.LastUID-teamGIDs
}

// gid of a team's group depends on nothing but its name.
func (u Userdb) gid(group string) int64 {
	return u.LastUID - int64(crc32.ChecksumIEEE([]byte(group))%teamGIDs)
}

// service marks the records as ours (systemd, USER_RECORD.md, "service").
const service = "castgate.keys"

// userRecord and groupRecord have the fields of systemd's USER_RECORD.md and
// GROUP_RECORD.md that an account without a password needs.
type userRecord struct {
	UserName      string `json:"userName"`
	RealName      string `json:"realName"`
	UID           int64  `json:"uid"`
	GID           int64  `json:"gid"`
	HomeDirectory string `json:"homeDirectory"`
	Shell         string `json:"shell"`
	Disposition   string `json:"disposition"`
	Service       string `json:"service"`
}

type groupRecord struct {
	GroupName   string `json:"groupName"`
	GID         int64  `json:"gid"`
	Disposition string `json:"disposition"`
	Service     string `json:"service"`
}

// drop are the files of a userdb directory (nss-systemd(8)): name to content,
// or for a link, name to "-> target".
type drop map[string]string

const link = "-> "

func (d drop) record(name, ext string, number int64, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		return // strings and numbers always marshal
	}
	d[name+ext] = string(body) + "\n"
	d[strconv.FormatInt(number, 10)+ext] = link + name + ext
}

// account adds a member's account, own group and places in the teams' groups.
func (u Userdb) account(d drop, r record, groups []string) error {
	uid, ok := u.uid(r.ID)
	if !ok {
		return fmt.Errorf("%q: uid %d is beyond last_uid less %d", r.Login, u.FirstUID+r.ID, teamGIDs)
	}
	name := strings.ToLower(r.Login)
	if strings.Trim(name, "0123456789") == "" {
		return fmt.Errorf("%q: an account's name can't be a number", r.Login)
	}
	d.record(name, ".user", uid, userRecord{
		UserName: name, RealName: "GitHub " + r.Login, UID: uid, GID: uid,
		HomeDirectory: u.Home + "/" + name, Shell: u.Shell, Disposition: "regular", Service: service,
	})
	d.record(name, ".group", uid, groupRecord{name, uid, "regular", service})
	for _, g := range groups {
		d[name+":"+g+".membership"] = "{}\n"
	}
	return nil
}
