// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
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
		return nil, &hintError{fmt.Errorf("open the archive %q: %w", dir, fs.ErrPermission), "become root or a member of group castgate-archive"}
	case errors.Is(err, fs.ErrNotExist):
		return nil, &hintError{fmt.Errorf("open the archive %q: it is not there", dir), "key \"store\" of " + ConfigPath + " says where recordings are"}
	case err != nil:
		return nil, fmt.Errorf("open the archive: %w", err)
	}
	return &Store{root.FS(), dir}, nil
}

// hintError is an error with advice, which package cli prints.
type hintError struct {
	error
	hint string
}

func (e *hintError) Unwrap() error { return e.error }

// Hint returns the advice.
func (e *hintError) Hint() string { return e.hint }

// Entry is a recording of a Store.
type Entry struct {
	Path     string // of the manifest
	Manifest *manifest.Manifest
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
	return Entry{p, m}, text, nil
}

// Walk yields the recordings that the filter takes, directory by directory.
// What can't be read is yielded as an error, and the walk goes on.
func (s *Store) Walk(f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for dir, err := range s.days(f) {
			if err == nil {
				if !s.day(dir, f, yield) {
					return
				}
			} else if !yield(Entry{}, err) {
				return
			}
		}
	}
}

// day yields the recordings of one directory.
func (s *Store) day(dir string, f Filter, yield func(Entry, error) bool) bool {
	names, err := s.manifests(dir)
	if err != nil {
		return yield(Entry{}, err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, f.ID) {
			continue
		}
		e, _, err := s.ReadManifest(dir + "/" + name)
		if err == nil && !f.Takes(e.Manifest) {
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
func (s *Store) hosts(f Filter) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for user, err := range s.dirs(".", f.userDir()) {
			if err != nil {
				yield("", err)
				return
			}
			for host, err := range s.dirs(user, f.hostDir()) {
				if !yield(user+"/"+host, err) {
					return
				}
			}
		}
	}
}

// days yields the directories <user>/<host>/<YYYY>/<MM>/<DD> that the filter
// may take something from.
func (s *Store) days(f Filter) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for host, err := range s.hosts(f) {
			if err != nil {
				if !yield("", err) {
					return
				}
				continue
			}
			if !s.dates(host, f, yield) {
				return
			}
		}
	}
}

func (s *Store) dates(host string, f Filter, yield func(string, error) bool) bool {
	since, until := f.dates()
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

// Find returns the one recording whose id begins with prefix. An id begins with
// the time at which it was made; only when nothing is found thereabouts is the
// whole store gone through.
func (s *Store) Find(prefix string) (Entry, error) {
	if e, err := s.find(Filter{ID: prefix, near: true}); !errors.Is(err, errNotFound) {
		return e, err
	}
	e, err := s.find(Filter{ID: prefix})
	if errors.Is(err, errNotFound) {
		err = &hintError{fmt.Errorf("recording %q is not in the archive %q", prefix, s.Name), "castgate ls lists what is there"}
	}
	return e, err
}

var errNotFound = errors.New("not found")

func (s *Store) find(f Filter) (Entry, error) {
	prefix := f.ID
	var found []Entry
	var failed error
	for e, err := range s.Walk(f) {
		if err != nil {
			failed = err
			continue
		}
		if found = append(found, e); len(found) > 1 {
			return Entry{}, &hintError{
				fmt.Errorf("recording %q: more than one id begins so: %s, %s", prefix, found[0].Manifest.Session.ID, found[1].Manifest.Session.ID),
				"write more of the id",
			}
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if failed != nil {
		return Entry{}, fmt.Errorf("recording %q: %w", prefix, failed)
	}
	return Entry{}, errNotFound
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
