// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"errors"
	"testing"

	"castgate/keys"
	"castgate/keys/settings"
)

// As it is shipped: no call, no fault, and nobody gets in but by an emergency file.
func TestNotConfigured(t *testing.T) {
	conf := settings.Default()
	conf.Cache.Dir, conf.State = t.TempDir(), t.TempDir()
	if err := conf.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := keys.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	s.Unreachable(errors.New("asked"))
	if err := s.Refresh(t.Context()); err != nil {
		t.Errorf("a refresh: %v", err)
	}
	d, err := s.Decide(t.Context(), "octocat", nil)
	if err != nil || d.Allowed() || d.Why != settings.NotConfigured {
		t.Errorf("a login: %v, %q", err, d.Why)
	}
	if a := d.Answer(err); a.Keys != 0 || a.Why != settings.NotConfigured {
		t.Errorf("the answer: %+v", a)
	}
}
