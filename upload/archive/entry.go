// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"cmp"
	"path"
	"strings"

	"castgate/upload/manifest"
)

// Entry is a recording of a Store.
type Entry struct {
	Path     string // of the manifest
	Manifest *manifest.Manifest
	Hash     string // SHA-256 of the manifest

	State manifest.State // "": it is in the archive, and the manifest tells
}

// Status is the state of the recording.
func (e Entry) Status() manifest.State { return cmp.Or(e.State, e.Manifest.State()) }

// Base is the path of its objects without their suffix.
func (e Entry) Base() string { return strings.TrimSuffix(e.Path, manifest.JSONSuffix) }

// SameAs says that e and o are one recording, which may have come by two ways: the
// same manifest in two places of its host's. In another host's it is a copy, that
// may have nothing beside it.
func (e Entry) SameAs(o Entry) bool {
	return e.Path == o.Path || e.Hash != "" && e.Hash == o.Hash && e.Manifest.Belongs(e.Path) && o.Manifest.Belongs(o.Path)
}

// Name is what it is called: by its place, never by what its manifest says.
func (e Entry) Name() Name {
	if e.Path == "" { // it is not delivered yet
		host, _ := manifest.Element(e.Manifest.Session.Host)
		return Name{ID: e.Manifest.Session.ID, Host: host}
	}
	n := NameAt(e.Base())
	n.Place = ""
	return n
}

// Stored is the path of the recording itself.
func (e Entry) Stored() string { return path.Dir(e.Path) + "/" + e.Manifest.Stored.Name }
