// SPDX-License-Identifier: AGPL-3.0-or-later

package restrictions

import (
	"os"
	"strings"
	"testing"
)

// TestDocument holds docs/restrictions.md to the table that the tests try.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/restrictions.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), Table()) {
		t.Errorf("docs/restrictions.md does not have this table:\n%s", Table())
	}
}
