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

	"castgate/upload/manifest"
	"castgate/wrap/hint"
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
