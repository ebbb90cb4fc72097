// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"castgate/upload/archive/archivetest"
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
		{"late in a chain begun anew", "a1 a2 a3 a4 a5 b1 b3 b2 b4", "b4 a5"},
		{"late in a short chain begun anew", "a1 a2 a3 a4 a5 b2 b1 b3", "b3 a5"},
		{"every second one late", "a1 a3 a5 a7 a9 a2 a4 a6 a8", "a9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "index.sqlite")
			ix, err := OpenIndex(path, true)
			if err != nil {
				t.Fatal(err)
			}
			note := func(name string) {
				t.Helper()
				m := &manifest.Manifest{Sequence: int64(name[1] - '0'), Start: time.Unix(1_700_000_000, 0)}
				host := map[byte]string{'x': "db1"}[name[0]]
				m.Session.ID = "id-" + name
				if m.Sequence > 1 {
					m.Previous = hash(fmt.Sprintf("%c%d", name[0], m.Sequence-1))
				}
				tx, err := ix.db.Begin()
				if err != nil {
					t.Fatal(err)
				}
				if err := noteHead(tx, Entry{Path: "deploy/" + host + "/2026/11/20/" + name, Manifest: m, Hash: hash(name)}); err != nil {
					t.Fatal(err)
				}
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
			}
			ends := func() (all []string) {
				t.Helper()
				heads, err := Heads(path)
				if err != nil {
					t.Fatal(err)
				}
				for _, h := range heads {
					name := strings.TrimPrefix(h.ID, "id-")
					if h.SHA256 != hash(name) {
						t.Errorf("%s has hash %s", name, h.SHA256)
					}
					all = append(all, name)
				}
				slices.Sort(all)
				return all
			}
			come, want := strings.Fields(tt.come), strings.Fields(tt.want)
			slices.Sort(want)
			for _, name := range come {
				note(name)
			}
			if got := ends(); !slices.Equal(got, want) {
				t.Errorf("ends: %q, want %q", got, want)
			}
			// What comes twice was there, too; it may stay.
			note(come[0])
			if got := slices.DeleteFunc(ends(), func(name string) bool { return name == come[0] }); !slices.Equal(got, slices.DeleteFunc(want, func(name string) bool { return name == come[0] })) {
				t.Errorf("ends after %s came again: %q", come[0], got)
			}
			ix.Close()
		})
	}
}

// TestAHostSpeaksForItselfOnly stores, in host evil's directory, a manifest that
// says it comes after web1's newest.
func TestAHostSpeaksForItselfOnly(t *testing.T) {
	dir := t.TempDir()
	web1 := archivetest.Recording{User: "deploy", Host: "web1", Start: noon, Output: []string{"x"}}
	_, newest, err := web1.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	forged := archivetest.Recording{User: "deploy", Host: "web1", Start: noon.Add(time.Hour), Command: "x", Seq: 2, Prev: newest}
	m, text, _ := forged.Objects()
	at := filepath.Join(dir, filepath.FromSlash(strings.Replace(m.Path(manifest.JSONSuffix), "/web1/", "/evil/", 1)))
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	s, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "index.sqlite")
	ix, err := OpenIndex(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := ix.Update(t.Context(), s, false, fails(t)); err != nil {
		t.Fatal(err)
	}
	ix.Close()
	if heads, err := Heads(path); err != nil || len(heads) != 1 || heads[0].SHA256 != newest {
		t.Errorf("%v, %v", heads, err)
	}
}
