// SPDX-License-Identifier: AGPL-3.0-or-later

// Package userdb makes the user and group records by which nss-systemd(8) knows
// accounts that nobody has to create, and puts them into a directory. It leaves
// records that are not its own alone. Who should have one is for its caller.
package userdb

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"castgate/keys/settings"
)

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

// Records are the files of a userdb directory (nss-systemd(8)), as they should be.
type Records struct {
	conf  settings.Userdb
	texts map[string]string // by name
	links map[string]string // name to target
}

// New returns no records yet.
func New(c settings.Userdb) *Records {
	return &Records{c, map[string]string{}, map[string]string{}}
}

func (r *Records) add(name, ext string, number int64, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		return // strings and numbers always marshal
	}
	r.texts[name+ext] = string(body) + "\n"
	r.links[strconv.FormatInt(number, 10)+ext] = name + ext
}

// Group adds a team's group.
func (r *Records) Group(name string) {
	gid := r.conf.GID(name)
	r.add(name, ".group", gid, groupRecord{name, gid, "regular", service})
}

// Account adds a member's account, own group and places in the teams' groups.
func (r *Records) Account(login string, id int64, groups []string) error {
	uid, ok := r.conf.UID(id)
	if !ok {
		return fmt.Errorf("%q: uid %d is beyond last_uid less %d", login, r.conf.FirstUID+id, settings.TeamGIDs)
	}
	name := strings.ToLower(login)
	if strings.Trim(name, "0123456789") == "" {
		return fmt.Errorf("%q: an account's name can't be a number", login)
	}
	r.add(name, ".user", uid, userRecord{
		UserName: name, RealName: "GitHub " + login, UID: uid, GID: uid,
		HomeDirectory: r.conf.Home + "/" + name, Shell: r.conf.Shell, Disposition: "regular", Service: service,
	})
	r.add(name, ".group", uid, groupRecord{name, uid, "regular", service})
	for _, g := range groups {
		r.texts[name+":"+g+".membership"] = "{}\n"
	}
	return nil
}
