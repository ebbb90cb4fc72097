// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"fmt"
	"path"
	"regexp"
	"slices"
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

// few stands for all the recordings that one name has: a host may give an id as
// often as it likes, and must neither take every place nor keep anybody waiting.
type few struct {
	entries []Entry
	more    bool // there are others
}

const (
	maxNamed   = 8
	maxPerHost = 2
)

func (f *few) add(e Entry) {
	n := 0
	for _, o := range f.entries {
		if manifest.HostOf(o.Path) == manifest.HostOf(e.Path) {
			n++
		}
	}
	if n == maxPerHost || len(f.entries) == maxNamed {
		f.more = true
		return
	}
	f.entries = append(f.entries, e)
}

// full says that to add anything changes nothing.
func (f *few) full() bool { return f.more && len(f.entries) == maxNamed }

func (f *few) claim(id string) *ClaimedError { return &ClaimedError{id, f.names(), f.more} }

// names are the shortest names that tell the entries apart.
func (f *few) names() (out []string) {
	all := f.entries
	for _, e := range all {
		n := e.Name()
		for _, o := range all {
			if o.Path != e.Path && n.Means(o.base()) {
				n = NameAt(e.base())
			}
		}
		out = append(out, n.String())
	}
	return out
}

// ClaimedError says that several recordings have one id: all but one of their
// hosts have made it up.
type ClaimedError struct {
	ID    string
	Names []string // two of each host at most
	More  bool     // there are others
}

func (e *ClaimedError) Error() string {
	return fmt.Sprintf("id %s is claimed by several recordings: %s", e.ID, listed(e.Names, e.More))
}

func listed(names []string, more bool) string {
	if more {
		names = append(slices.Clone(names), "and more")
	}
	return strings.Join(names, ", ")
}

// Hint returns the advice, which package cli prints.
func (e *ClaimedError) Hint() string {
	return "an id is its host's: ID@HOST means one of them; all but one host have made it up"
}
