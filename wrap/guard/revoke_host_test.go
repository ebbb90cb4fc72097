// SPDX-License-Identifier: AGPL-3.0-or-later

package guard_test

import (
	"testing"

	"castgate/packaging/hosttest"
)

func TestRevoked(t *testing.T) {
	h := start(t, "/bin/bash", forced)
	x := hosttest.StartTerminal(t, h.Ssh(h.key, "alice", []string{"-tt"}), 80, 24)
	x.Expect("FACTS")
	x.Type("echo a''live\n")
	x.Expect("alive")
	if f := facts(t, x.Output(), 1); !f.TTYTaken || !f.TTYRevoked || f.Doubt != "" || f.Refuse != "" {
		t.Errorf("facts %+v", f)
	}
	x.Type("exit 7\n")
	if r := x.Wait(); r.Status != 7 {
		t.Errorf("status %d", r.Status)
	}
}
