// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"path"
	"strings"
	"testing"
)

func FuzzName(f *testing.F) {
	f.Add("alice", "2026", "11", "21", testID+".cast.zst")
	f.Add("%2E.", "2026", "02", "30", testID+".json")
	f.Add("..", "..", "..", "..", "..")
	f.Fuzz(func(t *testing.T, user, year, month, day, file string) {
		n, err := parseName("web1", user, year, month, day, file)
		if err != nil {
			return
		}
		p := n.path()
		if path.Clean(p) != p || strings.HasPrefix(p, ".") || strings.HasPrefix(p, "/") || strings.Count(p, "/") != 5 || !strings.Contains(p, "/web1/") {
			t.Errorf("%q", p)
		}
	})
}

func FuzzDigest(f *testing.F) {
	f.Add(digest([]byte("x")))
	f.Add("sha-512=:AA==:, sha-256=::")
	f.Add("sha-256=:0000000000000000000000000000000000000\r000000=:")
	f.Fuzz(func(t *testing.T, header string) {
		if sum, err := parseDigest(header); err == nil && !strings.Contains(header, strings.TrimPrefix(digestOf(sum), "sha-256=")) {
			t.Errorf("%q gives %x", header, sum)
		}
	})
}

func FuzzPart(f *testing.F) {
	for line := range strings.Lines(plainCast("web1", "alice")) {
		f.Add([]byte(line), int64(0))
		f.Add([]byte(line), int64(10))
	}
	f.Fuzz(func(_ *testing.T, part []byte, offset int64) { _ = checkPart("web1", testID, offset, part) })
}
