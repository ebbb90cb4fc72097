// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"castgate/keys"
	"castgate/keys/settings"
	"castgate/packaging/hosttest"
)

// unasked is a service whose every call fails: with "asked".
func unasked(t *testing.T, conf *settings.Config) *keys.Service {
	t.Helper()
	conf.Cache.Dir, conf.State = t.TempDir(), t.TempDir()
	if err := conf.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := keys.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	s.Unreachable(errors.New("asked"))
	return s
}

// As it is shipped: no call, no fault, and nobody gets in but by an emergency file.
func TestNotConfigured(t *testing.T) {
	conf := settings.Default()
	s := unasked(t, conf)
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

// A file of an older version that was left with the organisation of the examples:
// the emergency file opens its account, and nobody asks that organisation.
func TestTheExampleConfigured(t *testing.T) {
	if os.Geteuid() != 0 {
		hosttest.Skip(t, "an emergency file belongs to root")
	}
	file := filepath.Join(t.TempDir(), "emergency")
	if err := os.WriteFile(file, []byte(testKey("rescue")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	conf := settings.Default()
	conf.GitHub.Org, conf.GitHub.TokenFile, conf.Teams = "acme", "/etc/castgate/github-token", []string{"developers", "operations"}
	conf.Accounts = map[string]settings.Account{"octocat": {Logins: []string{"octocat"}}}
	conf.Emergency = map[string]string{"breakglass": file}
	s := unasked(t, conf)
	if d, err := s.Decide(t.Context(), "breakglass", nil); err != nil || !d.Allowed() {
		t.Errorf("the emergency file: %v, %q", err, d.Why)
	}
	if d, err := s.Decide(t.Context(), "octocat", nil); err != nil || d.Allowed() || !strings.Contains(d.Why, "examples") {
		t.Errorf("a login: %v, %q", err, d.Why)
	}
}
