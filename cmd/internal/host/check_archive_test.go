// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"testing"

	"castgate/upload/archive"
)

// Whether a header can be forged depends on whose address may send it and on
// whether anybody but root logs in here.
func TestAuditors(t *testing.T) {
	root, person := Account{Name: "root"}, Account{Name: "alice", UID: 1000}
	for _, tt := range []struct {
		from     []string
		accounts []Account
		want     Level
	}{
		{nil, []Account{root, person}, OK},
		{[]string{"203.0.113.7"}, []Account{root, person}, OK},
		{[]string{"127.0.0.1"}, []Account{root}, OK},
		{[]string{"127.0.0.1"}, []Account{root, person}, Fail},
		{[]string{"203.0.113.7", "::1"}, []Account{person}, Fail},
		{[]string{"0.0.0.0/0"}, []Account{person}, Fail},
		{[]string{"the proxy"}, []Account{root}, Fail},
	} {
		h := &Host{Accounts: tt.accounts, Archive: archive.Defaults()}
		if tt.from != nil {
			h.Archive.Auditors.Header = &archive.HeaderAuditors{Name: "X-User", From: tt.from}
		}
		if found := h.auditors(); len(found) != 1 || found[0].Level != tt.want {
			t.Errorf("from %q with %v: %v, want %s", tt.from, tt.accounts, found, tt.want)
		}
	}
}
