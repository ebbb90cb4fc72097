// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// sweep removes what processes that were killed have left, and answers to
// revalidate that no question has used for a week.
func (s *Service) sweep() {
	for _, dir := range []string{".", "people", "teams", "accounts", recipientsDir, etagDir} {
		entries, _ := fs.ReadDir(s.Cache.root.FS(), dir)
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			old := time.Since(info.ModTime())
			if strings.HasSuffix(e.Name(), tmpSuffix) && old > time.Hour || dir == etagDir && old > 7*24*time.Hour {
				_ = s.Cache.root.Remove(path.Join(dir, e.Name()))
			}
		}
	}
}

// list names the files of a directory of the cache.
func (c *Cache) list(dir string) ([]string, error) {
	entries, err := fs.ReadDir(c.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasSuffix(e.Name(), tmpSuffix) {
			names = append(names, e.Name())
		}
	}
	for name := range c.unwritten {
		if path.Dir(name) == dir && !slices.Contains(names, path.Base(name)) {
			names = append(names, path.Base(name))
		}
	}
	return names, err
}
