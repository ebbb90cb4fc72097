// SPDX-License-Identifier: AGPL-3.0-or-later

package known

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"castgate/keys/settings"
)

func TestMembers(t *testing.T) {
	const good = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBERERERERERERERERERERERERERERERERERERERERER"
	active := map[string]Membership{"developers": {State: Active}}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "people"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Record{
		{Login: "alice", Teams: active, Keys: []Key{{Line: good}}},
		{Login: "bob", Teams: active},
		{Login: "Carol", Teams: active, Keys: []Key{{Line: "ssh-rsa nonsense"}}},
		{Login: "dave", Teams: map[string]Membership{"developers": {State: Pending}}},
	} {
		body, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, recordName(r.Login)), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		types []string
		want  []string
	}{
		{[]string{"ssh-ed25519"}, []string{"bob", "Carol"}},
		{[]string{"sk-ssh-ed25519@openssh.com"}, []string{"alice", "bob", "Carol"}},
	} {
		all, got, err := Members(dir, settings.Policy{Types: tt.types, MinRSABits: 2048})
		if err != nil || all != 3 || !slices.Equal(got, tt.want) {
			t.Errorf("types %v: got %d, %v, %v, want 3, %v", tt.types, all, got, err, tt.want)
		}
	}
	if all, got, err := Members(filepath.Join(dir, "none"), settings.Policy{}); err != nil || all != 0 || got != nil {
		t.Errorf("no cache: got %d, %v, %v", all, got, err)
	}
}
