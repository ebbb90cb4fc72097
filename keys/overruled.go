// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"strings"
	"time"
)

// overruled remembers of which people the cache says what is not true any more,
// where the cache itself can't be changed: somebody left, or took a key away,
// and the file system is full or read-only. A file that can't be written can
// often be removed; where it can't, its being wrong is written down elsewhere
// (/run is neither full nor read-only), for the next process to see.
type overruled struct{ dir *Cache }

// overruledIn opens the directory, which is castgate-keys's own; root, whose
// files castgate-keys could not replace, only looks.
func overruledIn(dir string) *overruled {
	c, err := openExisting(dir)
	if err != nil {
		return nil
	}
	return &overruled{c}
}

func overruledName(login string) string { return "overruled-" + strings.ToLower(login) }

// overrule makes everything that is stored of a login until now count as not
// there. The accounts' finished answers are at most cache.ttl old and end by
// themselves.
func (c *Cache) overrule(login string, now time.Time) {
	if err := c.root.Remove(recordName(login)); err == nil || c.overruled == nil {
		return
	}
	_ = c.overruled.dir.save(overruledName(login), 0o600, now)
}

// since reports whether what was stored at a time counts no more.
func (o *overruled) since(login string, at time.Time) bool {
	var when time.Time
	return o != nil && o.dir.load(overruledName(login), &when) && at.Before(when)
}
