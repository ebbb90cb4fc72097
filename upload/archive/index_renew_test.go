// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"castgate/upload/archive/archivetest"
)

// remembering is an index that knows the end of web1's chain, of which nothing
// is in the store any more.
func remembering(t *testing.T) (path, end string) {
	t.Helper()
	dir := t.TempDir()
	_, end, err := (&archivetest.Recording{User: "deploy", Host: "web1", Start: noon, Output: []string{"x"}}).Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "index.sqlite")
	ix, err := OpenIndex(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	if err := ix.Update(t.Context(), s, false, fails(t)); err != nil {
		t.Fatal(err)
	}
	return path, end
}

func remembers(t *testing.T, path, end string) {
	t.Helper()
	db, err := connect(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all, err := heads(db)
	if err != nil || len(all) == 0 || all[0].SHA256 != end {
		t.Errorf("it remembers %v, %v", all, err)
	}
}

// TestARenewalThatFailsLosesNothing has an old index that remembers what no new
// one takes.
func TestARenewalThatFailsLosesNothing(t *testing.T) {
	path, end := remembering(t)
	db, err := connect(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`ALTER TABLE heads RENAME TO old; CREATE TABLE heads AS SELECT * FROM old;
		INSERT INTO heads SELECT * FROM old; PRAGMA user_version = 1`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	for range 2 {
		if ix, err := OpenIndex(path, true); err == nil {
			ix.Close()
			t.Error("it was made anew")
		}
		remembers(t, path, end)
	}
}

// TestAnIndexThatCannotBeReadStays: who damages it must not have it forget.
func TestAnIndexThatCannotBeReadStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.sqlite")
	text := "SQLite format 3\x00" + strings.Repeat("damaged", 2000)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if ix, err := RenewIndex(path); err == nil {
		ix.Close()
		t.Error("it was made anew")
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != text {
		t.Errorf("%d bytes, %v", len(now), err)
	}
	// What is no index remembers nothing.
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ix, err := RenewIndex(path)
	if err != nil {
		t.Fatal(err)
	}
	ix.Close()
}

// TestRenewalsAtOnce: each waits for the other, and none forgets.
func TestRenewalsAtOnce(t *testing.T) {
	path, end := remembering(t)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			ix, err := RenewIndex(path)
			if err != nil {
				t.Error(fmt.Errorf("%d: %w", i, err))
				return
			}
			if err := ix.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	remembers(t, path, end)
}
