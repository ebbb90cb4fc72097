// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"encoding/base64"
	"encoding/json"
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

func FuzzOrder(f *testing.F) {
	part := strings.Repeat("A", 43) + "="
	f.Add([]byte(`{"sha256":"` + strings.Repeat("ab", 32) + `","bytes":7,"parts":["` + part + `"]}`))
	f.Add([]byte(`{"sha256":"` + strings.Repeat("ab", 32) + `","bytes":7,"parts":["` + part[:4] + `\n` + part[4:] + `"]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var o order
		if json.Unmarshal(text, &o) != nil || o.check(100) != nil {
			return
		}
		if len(o.SHA256) != 64 || strings.Trim(o.SHA256, "0123456789abcdef") != "" || o.Bytes < 1 || o.Bytes > 100 && len(o.Parts) == 0 || len(o.Parts) > maxParts {
			t.Errorf("%+v is taken", o)
		}
		for _, p := range o.Parts { // it ends in a header of the bucket's
			if sum, err := base64.StdEncoding.DecodeString(p); err != nil || base64.StdEncoding.EncodeToString(sum) != p || len(sum) != 32 {
				t.Errorf("part %q is taken", p)
			}
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
