// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"castgate/upload/archive"
	"castgate/upload/archive/archivetest"
)

// TestClaims has host evil deliver a recording with the id of one of web1.
func TestClaims(t *testing.T) {
	dir := t.TempDir()
	h := &Host{Archive: archive.Config{Index: filepath.Join(t.TempDir(), "index.sqlite")}}
	if found := h.claims(); len(found) != 1 || found[0].Level != OK {
		t.Errorf("without an index: %v", found)
	}
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	web1 := archivetest.Recording{User: "deploy", Host: "web1", Start: at, Output: []string{"x"}}
	evil := archivetest.Recording{User: "deploy", Host: "evil", Start: at, Output: []string{"y"}, As: web1.ID()}
	for _, tt := range []struct {
		r    archivetest.Recording
		want Level
	}{{web1, OK}, {evil, Fail}} {
		if _, _, err := tt.r.Write(dir); err != nil {
			t.Fatal(err)
		}
		store, err := archive.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		ix, err := archive.OpenIndex(h.Archive.Index, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := ix.Update(t.Context(), store, false, func(error) {}); err != nil {
			t.Fatal(err)
		}
		ix.Close()
		found := h.claims()
		if len(found) != 1 || found[0].Level != tt.want || tt.want == Fail && !strings.Contains(found[0].Why, web1.ID()+"@web1") {
			t.Errorf("%s: %v", tt.r.Host, found)
		}
	}
}
