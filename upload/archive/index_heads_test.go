// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"castgate/upload/manifest"
)

// TestHeadsAreTheEnds puts manifests in as they may come: late, twice, of a
// chain that begins anew.
func TestHeadsAreTheEnds(t *testing.T) {
	hash := func(name string) string { return manifest.Hash([]byte(name)) }
	for _, tt := range []struct{ name, come, want string }{
		{"in order", "a1 a2 a3", "a3"},
		{"late", "a1 a3 a2 a4 a5", "a5"},
		{"backwards", "a3 a2", "a3"},
		{"anew", "a1 a2 a3 b1 b2", "b2 a3"},
		{"two hosts", "a1 x1 a2 x2", "a2 x2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "index.sqlite")
			ix, err := OpenIndex(path, true)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range append(strings.Fields(tt.come), strings.Fields(tt.come)[0]) {
				m := &manifest.Manifest{Sequence: int64(name[1] - '0'), Start: time.Unix(1_700_000_000, 0)}
				m.Session.ID, m.Session.Host = "id-"+name, map[byte]string{'x': "db1"}[name[0]]
				if m.Sequence > 1 {
					m.Previous = hash(fmt.Sprintf("%c%d", name[0], m.Sequence-1))
				}
				tx, err := ix.db.Begin()
				if err != nil {
					t.Fatal(err)
				}
				if err := noteHead(tx, Entry{"path-" + name, m}, hash(name)); err != nil {
					t.Fatal(err)
				}
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
			}
			ix.Close()
			heads, err := Heads(path)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]bool{}
			for _, h := range heads {
				got[strings.TrimPrefix(h.ID, "id-")] = h.SHA256 == hash(strings.TrimPrefix(h.ID, "id-"))
			}
			for _, name := range strings.Fields(tt.want) {
				if !got[name] {
					t.Errorf("%s is no end of %v", name, heads)
				}
			}
			// The first, which came twice, and one that came late were there as well.
			if extra := len(got) - len(strings.Fields(tt.want)); extra > 2 {
				t.Errorf("ends: %v", heads)
			}
		})
	}
}
