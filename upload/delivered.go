// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"path/filepath"
	"strings"

	"castgate/upload/manifest"
	"castgate/upload/target"
)

// Delivered returns what the journal in the directory state knows to have come
// into the local archive: this host's last recordings, which nothing comes after.
func Delivered(state, archive string) ([]manifest.Known, error) {
	l, _, err := readNotes(state)
	if err != nil {
		return nil, err
	}
	var all []manifest.Known
	for _, d := range l.recent {
		r, ok := d.Receipts[target.DirName(archive)]
		if !ok {
			continue
		}
		rel, err := filepath.Rel(archive, r.Where)
		elems := strings.Split(rel, "/")
		if err != nil || len(elems) < 2 {
			continue // not of this version
		}
		all = append(all, manifest.Known{
			Host: elems[1], ID: d.ID, Path: filepath.Join(filepath.Dir(rel), d.ID+manifest.JSONSuffix), At: d.At, By: "the uploader's journal",
		})
	}
	return all, nil
}
