// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"castgate/cmd/internal/cli"
	keyconf "castgate/keys/settings"
	"castgate/packaging/hosttest"
)

// The file of a trial opens the account to the trial's key alone, and castgate-keys
// can read it whatever root's umask is. An emergency file that castgate-keys refuses,
// because others may write it, must not come to be one of root's.
func TestTrialFile(t *testing.T) {
	hosttest.Need(t)
	theirs := filepath.Join(t.TempDir(), "keys")
	put(t, theirs, aKey+"\n", 0o666)
	p := &plan{keys: keyconf.Default()}
	p.keys.Emergency = map[string]string{"octocat": theirs}
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	_, done, err := (&Switch{Out: io.Discard}).newTrial(t.Context(), p, Account{Name: "octocat"})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	file := filepath.Join(keyconf.TrialDir, "octocat")
	for path, want := range map[string]os.FileMode{filepath.Dir(keyconf.TrialDir): 0o755, keyconf.TrialDir: 0o755, file: 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "\n") != 1 || strings.Contains(string(text), strings.Fields(aKey)[1]) {
		t.Errorf("%q, %v", text, err)
	}
	done()
	if _, err := os.Stat(keyconf.TrialDir); err == nil {
		t.Error("it is left")
	}
}

// Of two at a time, the one that fails would take back what the other has put in.
func TestOneSwitchAtATime(t *testing.T) {
	hosttest.Need(t)
	unlock, err := alone()
	if err != nil {
		t.Fatal(err)
	}
	s := &Switch{Out: io.Discard, Yes: true}
	for what, do := range map[string]func() error{
		"enable":  func() error { return s.Enable(t.Context()) },
		"disable": func() error { return s.Disable(t.Context()) },
	} {
		var status *cli.Status
		if err := do(); !errors.As(err, &status) || status.Code != cli.StatusRefusedChange || !errors.Is(err, errNotAlone) {
			t.Errorf("%s beside another: %v", what, err)
		}
	}
	unlock()
	if err := s.Disable(t.Context()); errors.Is(err, errNotAlone) {
		t.Error("refused although the other has ended")
	}
}
