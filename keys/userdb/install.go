// SPDX-License-Identifier: AGPL-3.0-or-later

package userdb

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"castgate/keys/files"
)

// Install writes what is new and then removes what is ours and not wanted,
// except where undecided says that nothing is known of the account. A name that
// somebody else's record has is left to them.
func (r *Records) Install(d *files.Dir, undecided func(account string) bool) error {
	for _, name := range slices.Sorted(maps.Keys(r.texts)) {
		if old, err := d.Read(name); err == nil && !ours(name, old) {
			return fmt.Errorf("%q is there already, and not ours", name)
		}
		if err := d.WriteNew(name, 0o644, []byte(r.texts[name])); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.links)) {
		if err := d.Link(name, r.links[name]); err != nil {
			return err
		}
	}
	return r.removeOthers(d, undecided)
}

// ours reports whether a record says that it is ours; a membership is, by what
// we write into it.
func ours(name string, body []byte) bool {
	if strings.HasSuffix(name, ".membership") {
		return string(body) == "{}\n"
	}
	var r struct{ Service string }
	return json.Unmarshal(body, &r) == nil && r.Service == service
}

// removeOthers removes our records that are not wanted, and whatever points at
// them. A record goes after what points at it.
func (r *Records) removeOthers(d *files.Dir, undecided func(account string) bool) error {
	targets, err := d.Links()
	if err != nil {
		return err
	}
	names, err := d.List(".")
	if err != nil {
		return err
	}
	for _, name := range names {
		targets[name] = name
	}
	var gone []string
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		ext, target := path.Ext(name), targets[name]
		if r.texts[name] != "" || r.links[name] != "" || !slices.Contains([]string{".user", ".group", ".membership"}, ext) {
			continue
		}
		body, err := d.Read(target)
		account, _, _ := strings.Cut(strings.TrimSuffix(target, path.Ext(target)), ":")
		if err == nil && ours(target, body) && !undecided(account) {
			gone = append(gone, name)
		}
	}
	rank := func(name string) int { // memberships first, then numbers, then records
		switch {
		case strings.HasSuffix(name, ".membership"):
			return 0
		case targets[name] != name:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(gone, func(a, b string) int { return rank(a) - rank(b) })
	for _, name := range gone {
		if err := d.Remove(name); err != nil {
			return err
		}
	}
	return nil
}
