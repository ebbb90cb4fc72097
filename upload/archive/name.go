// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"path"
	"regexp"
	"strings"

	"castgate/upload/manifest"
)

// Name is what a recording is called. An id is its host's only: another host
// may give the same, so that the host belongs to the name. It is written
// ID@HOST, or ID alone where there is but one.
type Name struct {
	ID    string // or its beginning
	Host  string // of the host's directory; "" for any
	Place string // account and day, "deploy~2026-11-20", where a host has given an id twice
}

var namePattern = regexp.MustCompile(`^([0-9a-f-]+)(?:@([A-Za-z0-9._@+%-]+)(?:~([A-Za-z0-9._@+%-]+~\d{4}-\d\d-\d\d))?)?$`)

// ParseName reads what a person, or a link, calls a recording.
func ParseName(s string) (n Name, ok bool) {
	m := namePattern.FindStringSubmatch(s)
	if m == nil || !IsID(m[1]) {
		return n, false
	}
	return Name{m[1], m[2], m[3]}, true
}

// String is the name as ParseName reads it.
func (n Name) String() string {
	s := n.ID
	if n.Host != "" {
		s += "@" + n.Host
	}
	if n.Place != "" {
		s += "~" + n.Place
	}
	return s
}

// NameAt is the name, with its place, of the recording whose objects begin with
// base: <user>/<host>/<YYYY>/<MM>/<DD>/<id>.
func NameAt(base string) Name {
	n := Name{ID: path.Base(base), Host: manifest.HostOf(base)}
	if elems := strings.Split(base, "/"); len(elems) == 6 {
		n.Place = elems[0] + "~" + strings.Join(elems[2:5], "-")
	}
	return n
}

// Means says whether n, which may say less, is a name of the recording at base.
func (n Name) Means(base string) bool {
	at := NameAt(base)
	return strings.HasPrefix(at.ID, n.ID) && (n.Host == "" || n.Host == at.Host) && (n.Place == "" || n.Place == at.Place)
}

// base is where the objects of the one recording that n means begin; "" where n
// has no place.
func (n Name) base() string {
	i := strings.LastIndex(n.Place, "~")
	if i < 0 {
		return ""
	}
	return path.Join(n.Place[:i], n.Host, strings.ReplaceAll(n.Place[i+1:], "-", "/"), n.ID)
}
