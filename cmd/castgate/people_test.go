// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"os"
	"path/filepath"
	"testing"

	"castgate/cmd/internal/config"
	"castgate/upload/archive"
)

// TestAnEmptyMapOfPeopleListsNobody: it is not the same as none, with which
// everybody is the login that they are called.
func TestAnEmptyMapOfPeopleListsNobody(t *testing.T) {
	for name, tt := range map[string]struct {
		people string
		is     bool
	}{
		"none":       {"", false},
		"empty":      {", people: {}", true},
		"no value":   {", people: ", true},
		"one person": {", people: {ann@example.org: ann}", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := filepath.Join(t.TempDir(), "archive.yaml")
			if err := os.WriteFile(p, []byte("auditors: {header: {name: X, from: [127.0.0.1], everybody: yes"+tt.people+"}}"), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg := archive.Defaults()
			if err := config.Load(p, &cfg); err != nil {
				t.Fatal(err)
			}
			auth, err := authOf(cfg.Auditors)
			if err != nil || (auth.Header.People != nil) != tt.is {
				t.Errorf("%v, %v", auth.Header.People, err)
			}
		})
	}
}
