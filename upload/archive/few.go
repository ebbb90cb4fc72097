// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"fmt"
	"slices"
	"strings"

	"castgate/upload/manifest"
	"castgate/wrap/hint"
)

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
			if o.Path != e.Path && n.Means(o.Base()) {
				n = NameAt(e.Base())
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

// several is the error of a name that is not one recording's.
func (f *few) several(name string) error {
	one := f.entries[0].Manifest.Session.ID
	if !slices.ContainsFunc(f.entries, func(e Entry) bool { return e.Manifest.Session.ID != one }) {
		return f.claim(one)
	}
	return hint.Add(fmt.Errorf("recording %q: more than one id begins so: %s", name, listed(f.names(), f.more)), "write more of the id")
}
