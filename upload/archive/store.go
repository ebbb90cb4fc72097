// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"castgate/upload/hint"
	"castgate/upload/manifest"
)

// Store is the recordings, wherever they are: a directory, or a bucket that is
// read as one. Package manifest describes the layout.
type Store struct {
	FS   fs.FS
	Name string // for messages: a path or a URL
}

// OpenDir opens a directory. Links in it can't lead out of it.
func OpenDir(dir string) (*Store, error) {
	root, err := os.OpenRoot(dir)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, hint.Add(fmt.Errorf("open the archive %q: %w", dir, fs.ErrPermission), "become root or a member of group castgate-archive")
	case errors.Is(err, fs.ErrNotExist):
		return nil, hint.Add(fmt.Errorf("open the archive %q: it is not there", dir), "key \"store\" of "+ConfigPath+" says where recordings are")
	case err != nil:
		return nil, fmt.Errorf("open the archive: %w", err)
	}
	return &Store{root.FS(), dir}, nil
}

// Entry is a recording of a Store.
type Entry struct {
	Path     string // of the manifest
	Manifest *manifest.Manifest
	Hash     string // SHA-256 of the manifest

	State manifest.State // "": it is in the archive, and the manifest tells
}

// Status is the state of the recording.
func (e Entry) Status() manifest.State { return cmp.Or(e.State, e.Manifest.State()) }

// base is the path of its objects without their suffix.
func (e Entry) base() string { return strings.TrimSuffix(e.Path, manifest.JSONSuffix) }

// sameAs says that e and o are one recording, which came by two ways: the same
// manifest in two places of its host's. In another host's it is a copy, that may
// have nothing beside it.
func (e Entry) sameAs(o Entry) bool {
	return e.Hash == o.Hash && e.Manifest.Belongs(e.Path) && o.Manifest.Belongs(o.Path)
}

// Name is what it is called: by its place, never by what its manifest says.
func (e Entry) Name() Name {
	if e.Path == "" { // it is not delivered yet
		host, _ := manifest.Element(e.Manifest.Session.Host)
		return Name{ID: e.Manifest.Session.ID, Host: host}
	}
	n := NameAt(e.base())
	n.Place = ""
	return n
}

// Stored is the path of the recording itself.
func (e Entry) Stored() string { return path.Dir(e.Path) + "/" + e.Manifest.Stored.Name }

// ReadManifest reads a manifest and its bytes.
func (s *Store) ReadManifest(p string) (Entry, []byte, error) {
	f, err := s.FS.Open(p)
	if err != nil {
		return Entry{}, nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, manifest.MaxSize+1))
	if err != nil {
		return Entry{}, nil, err
	}
	m, err := manifest.Parse(text)
	if err != nil {
		return Entry{}, nil, fmt.Errorf("%q: %w", p, err)
	}
	return Entry{Path: p, Manifest: m, Hash: manifest.Hash(text)}, text, nil
}

// Walk yields the recordings that the query takes, directory by directory.
// What can't be read is yielded as an error, and the walk goes on.
func (s *Store) Walk(q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for dir, err := range s.days(q) {
			if err == nil {
				if !s.day(dir, q, yield) {
					return
				}
			} else if !yield(Entry{}, err) {
				return
			}
		}
	}
}

// day yields the recordings of one directory.
func (s *Store) day(dir string, q Query, yield func(Entry, error) bool) bool {
	names, err := s.manifests(dir)
	if err != nil {
		return yield(Entry{}, err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, q.ID) {
			continue
		}
		e, _, err := s.ReadManifest(dir + "/" + name)
		if err == nil && !q.Takes(e) {
			continue
		}
		if !yield(e, err) {
			return false
		}
	}
	return true
}

// manifests lists the manifests of a directory.
func (s *Store) manifests(dir string) ([]string, error) {
	entries, err := fs.ReadDir(s.FS, dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), manifest.JSONSuffix) && !strings.HasPrefix(e.Name(), ".") && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// hosts yields every <user>/<host>.
func (s *Store) hosts(q Query) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for user, err := range s.dirs(".", q.userDir()) {
			if err != nil {
				yield("", err)
				return
			}
			for host, err := range s.dirs(user, q.Dir) {
				if !yield(user+"/"+host, err) {
					return
				}
			}
		}
	}
}

// days yields the directories <user>/<host>/<YYYY>/<MM>/<DD> that the query
// may take something from.
func (s *Store) days(q Query) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for host, err := range s.hosts(q) {
			if err != nil {
				if !yield("", err) {
					return
				}
				continue
			}
			if !s.dates(host, q, yield) {
				return
			}
		}
	}
}

func (s *Store) dates(host string, q Query, yield func(string, error) bool) bool {
	since, until := q.dates()
	level := func(parent, low, high string) ([]string, error) {
		var names []string
		for name, err := range s.dirs(parent, "") {
			if err != nil {
				return nil, err
			}
			if date := strings.ReplaceAll(strings.TrimPrefix(parent+"/"+name, host+"/"), "/", "-"); date >= low[:min(len(date), len(low))] && date <= high {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names, nil
	}
	years, err := level(host, since, until)
	if err != nil {
		return yield("", err)
	}
	for _, y := range years {
		months, err := level(host+"/"+y, since, until)
		if err != nil && !yield("", err) {
			return false
		}
		for _, m := range months {
			days, err := level(host+"/"+y+"/"+m, since, until)
			if err != nil && !yield("", err) {
				return false
			}
			for _, d := range days {
				if !yield(host+"/"+y+"/"+m+"/"+d, nil) {
					return false
				}
			}
		}
	}
	return true
}

// dirs yields the directories in parent, or only the one named.
func (s *Store) dirs(parent, only string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if only != "" {
			if info, err := fs.Stat(s.FS, path.Join(parent, only)); err == nil && info.IsDir() {
				yield(only, nil)
			}
			return
		}
		entries, err := fs.ReadDir(s.FS, parent)
		if err != nil {
			yield("", err)
			return
		}
		for _, e := range entries {
			if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !yield(e.Name(), nil) {
				return
			}
		}
	}
}

// Find returns the one recording of that name.
func (s *Store) Find(name string) (Entry, error) {
	n, ok := ParseName(name)
	if !ok {
		return Entry{}, hint.Add(fmt.Errorf("%q is no recording's id", name), "castgate ls lists the ids")
	}
	found, err := s.named(n)
	switch all := found.entries; {
	case err != nil:
		return Entry{}, fmt.Errorf("recording %q: %w", name, err)
	case len(all) == 0:
		return Entry{}, hint.Add(fmt.Errorf("recording %q is not in the archive %q", name, s.Name), "castgate ls lists what is there")
	case len(all) == 1 && !found.more:
		return all[0], nil
	}
	return Entry{}, found.several(name)
}

// several is the error of a name that is not one recording's.
func (f *few) several(name string) error {
	one := f.entries[0].Manifest.Session.ID
	if !slices.ContainsFunc(f.entries, func(e Entry) bool { return e.Manifest.Session.ID != one }) {
		return f.claim(one)
	}
	return hint.Add(fmt.Errorf("recording %q: more than one id begins so: %s", name, listed(f.names(), f.more)), "write more of the id")
}

// named returns recordings of a name. An id begins with the time at which it
// was made; only when nothing is found thereabouts is the whole store gone
// through. The error is why nothing was found, where that is not all.
func (s *Store) named(n Name) (found few, err error) {
	for _, near := range []bool{true, false} {
		if found, err = s.search(n, near); len(found.entries) > 0 {
			return found, nil
		}
	}
	return found, err
}

// Named returns recordings of a name, two of each host at most: near are those
// that began when the time within the id says.
func (s *Store) Named(n Name, near bool) []Entry {
	found, _ := s.search(n, near)
	return found.entries
}

func (s *Store) search(n Name, near bool) (found few, err error) {
	for e, failed := range s.Walk(Query{ID: n.ID, Dir: n.Host, near: near}) {
		switch {
		case failed != nil:
			err = failed
		case n.Means(e.base()) && !slices.ContainsFunc(found.entries, e.sameAs):
			found.add(e)
		}
		if found.full() {
			break
		}
	}
	return found, err
}

// SameID returns the other recordings that have the id of e, wherever they are.
func (s *Store) SameID(e Entry) (others []Entry) {
	for o, err := range s.Walk(Query{ID: e.Manifest.Session.ID}) {
		if err == nil && o.Path != e.Path && !o.sameAs(e) {
			others = append(others, o)
		}
	}
	return others
}

// idDates returns the days on which a session with such an id began: a UUIDv7
// begins with 48 bits of milliseconds since 1970 (RFC 9562 section 5.7).
func idDates(prefix string) (since, until time.Time, ok bool) {
	digits := strings.ReplaceAll(prefix, "-", "")
	if len(digits) > 12 {
		digits = digits[:12]
	}
	low := digits + strings.Repeat("0", 12-len(digits))
	high := digits + strings.Repeat("f", 12-len(digits))
	var a, b int64
	if _, err := fmt.Sscanf(low+" "+high, "%x %x", &a, &b); err != nil || len(digits) == 0 {
		return time.Time{}, time.Time{}, false
	}
	return time.UnixMilli(a).UTC(), time.UnixMilli(b).UTC(), true
}
