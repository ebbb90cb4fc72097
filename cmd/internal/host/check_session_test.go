// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	wrapconfig "castgate/wrap/config"
)

// Thousands of accounts must not mean thousands of processes that tell nothing.
func TestGroupsAreAskedForWhereTheyCount(t *testing.T) {
	dir := t.TempDir()
	asked := filepath.Join(dir, "asked")
	if err := os.WriteFile(filepath.Join(dir, "id"), []byte("#!/bin/sh\necho \"$2\" >>"+asked+"\necho \"$2 staff\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	allow, deny := wrapconfig.Policy{OnFailure: "allow"}, wrapconfig.Policy{OnFailure: "deny"}
	for name, tt := range map[string]struct {
		policy wrapconfig.Policy
		rules  []wrapconfig.Rule
		asked  string
		want   string // the accounts that are named
	}{
		"nothing allows":       {deny, []wrapconfig.Rule{{Groups: []string{"staff"}, Policy: deny}}, "", ""},
		"everything allows":    {allow, nil, "", "alice, bob"},
		"users only":           {deny, []wrapconfig.Rule{{Users: []string{"bob"}, Policy: allow}}, "", "bob"},
		"a group's rule":       {deny, []wrapconfig.Rule{{Groups: []string{"staff"}, Policy: allow}}, "alice bob", "alice, bob"},
		"but a group's denies": {allow, []wrapconfig.Rule{{Groups: []string{"alice"}, Policy: deny}}, "alice bob", "bob"},
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(asked)
			h := &Host{ctx: t.Context(), Accounts: []Account{{Name: "root"}, {Name: "alice", UID: 1000}, {Name: "bob", UID: 1001}}}
			h.Wrap.Policy, h.Wrap.Rules = tt.policy, tt.rules
			found := h.unrecorded()
			want, why := OK, ""
			if tt.want != "" {
				want, why = Warn, "for "+tt.want+":"
			}
			if len(found) != 1 || found[0].Level != want || !strings.Contains(found[0].Why, why) {
				t.Errorf("got %v, want %q", found, tt.want)
			}
			text, _ := os.ReadFile(asked)
			if got := strings.Join(strings.Fields(string(text)), " "); got != tt.asked {
				t.Errorf("id was run for %q, want %q", got, tt.asked)
			}
		})
	}
}

func TestWhatDependsOnThePlace(t *testing.T) {
	for match, want := range map[string]bool{
		"Address 192.0.2.0/24":        true,
		"host *.example.org":          true,
		"User alice LocalPort 2222":   true,
		"User = alice Host = x":       true,
		"User=alice RDomain=x":        true,
		`Group "a b" Version x`:       true,
		"invalid-user LocalAddress x": true,
		"all":                         false,
		"":                            false,
		"Group sftp-host":             false,
		"User host,address":           false,
		"User host":                   false,
		`Group "a host b" User bob`:   false,
		"User bob # Host x":           false,
	} {
		if got := placed(match); got != want {
			t.Errorf("Match %s: %v", match, got)
		}
	}
}
