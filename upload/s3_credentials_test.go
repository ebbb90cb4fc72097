// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"strings"
	"testing"
)

func FuzzParseCredentials(f *testing.F) {
	f.Add("[default]\naws_access_key_id = a\naws_secret_access_key = b\n[other]\naws_access_key_id = c\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCredentials(strings.NewReader(text))
		if err == nil && (c.id == "" || c.secret == "" || !strings.Contains(text, c.secret)) {
			t.Errorf("%q is read as %+v", text, c)
		}
		if err != nil && c.secret != "" && strings.Contains(err.Error(), c.secret) && len(c.secret) > 8 {
			t.Errorf("the error tells the secret: %v", err)
		}
	})
}
