// SPDX-License-Identifier: AGPL-3.0-or-later

package known

import (
	"errors"
	"io/fs"
	"slices"

	"castgate/keys/files"
	"castgate/keys/pubkey"
	"castgate/keys/settings"
)

// Members counts, from the cache in dir, the members of a team, and lists those
// of them none of whose keys the policy takes: they can't log in and only see
// "Permission denied". It only reads: the caller may be root, whose files
// castgate-keys could not replace.
func Members(dir string, p settings.Policy) (all int, without []string, err error) {
	d, err := files.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	defer d.Close()
	names, err := d.List(people)
	for _, name := range names {
		var r Record
		if !d.Load(people+"/"+name, &r) || !r.Member() {
			continue
		}
		all++
		if !slices.ContainsFunc(r.Keys, func(k Key) bool { return k.passes(p) }) {
			without = append(without, r.Login)
		}
	}
	return all, without, err
}

// passes reports whether the policy takes the key.
func (k Key) passes(p settings.Policy) bool {
	key, err := pubkey.ParseLine(k.Line)
	return err == nil && p.Refuses(key) == ""
}
