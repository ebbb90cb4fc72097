// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Members counts, from the cache in dir, the members of a team, and lists those
// of them none of whose keys the policy takes: they can't log in and only see
// "Permission denied". It only reads: the caller may be root, whose files
// castgate-keys could not replace.
func Members(dir string, p Policy) (all int, without []string, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, recordName("*")))
	if err != nil {
		return 0, nil, err
	}
	for _, path := range paths {
		if strings.HasSuffix(path, tmpSuffix) {
			continue
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return 0, nil, err
		}
		var r record
		if json.Unmarshal(body, &r) != nil || !r.member() {
			continue
		}
		all++
		if !slices.ContainsFunc(r.Keys, p.takes) {
			without = append(without, r.Login)
		}
	}
	return all, without, nil
}

func (p Policy) takes(g GitHubKey) bool {
	k, err := ParseLine(g.Line)
	return err == nil && p.Refuses(k) == ""
}
