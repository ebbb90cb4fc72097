// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"path"
	"strings"

	"castgate/upload/manifest"
)

// Delivered returns what the journal in the directory state knows to have come
// into an archive: this host's last recordings, which nothing comes after. store
// is where receipts say that its objects are: a directory, or s3://BUCKET/PREFIX.
func Delivered(state, store string) ([]manifest.Known, error) {
	l, _, err := readNotes(state)
	if err != nil {
		return nil, err
	}
	var all []manifest.Known
	for _, d := range l.recent {
		for _, r := range d.Receipts {
			rel, ok := strings.CutPrefix(r.Where, strings.TrimSuffix(store, "/")+"/")
			elems := strings.Split(rel, "/")
			if !ok || len(elems) < 2 {
				continue // elsewhere, or not of this version
			}
			all = append(all, manifest.Known{
				Host: elems[1], ID: d.ID, Path: path.Join(path.Dir(rel), d.ID+manifest.JSONSuffix), At: d.At, By: "the uploader's journal",
			})
			break
		}
	}
	return all, nil
}
