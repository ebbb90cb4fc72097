// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// TestDelivery follows two recordings, a finished one and one whose recorder
// was killed, through the uploader into the archive and back to a terminal.
func TestDelivery(t *testing.T) {
	m := newMatrix(t)
	m.as("/bin/bash")
	forget(t)
	forced := m.ways[1]
	whole := hosttest.Do(t, m.ssh(forced, []string{"-tt"}, "printf '\\033[1;31mred\\033[0m \\377 done'; exit 3"), nil)
	torn := m.talk(t, forced, true, func(t *testing.T, v victims) { kill(t, v.recorder) })
	hosttest.WaitFor(t, "the killed recorder to be gone", func() bool { return len(hosttest.Processes(t, "castgate-wrap")) == 0 })

	hosttest.WaitFor(t, "the orphan to be taken over and all of the spool delivered", func() bool {
		got := hosttest.Do(t, exec.Command("runuser", "-u", "castgate-upload", "--", "castgate-upload"), nil)
		if got.Status != 0 {
			t.Fatalf("castgate-upload: %s", show(got))
		}
		return len(in(t, "live"))+len(in(t, "incoming")) == 0
	})

	shown := map[string]string{} // by exit status; "" for the killed one
	for line := range strings.Lines(hosttest.Run(t, "castgate", "ls", "-json")) {
		var entry struct {
			ID, User string
			Exit     *int
			Complete bool
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if entry.User != account || entry.Complete != (entry.Exit != nil) {
			t.Errorf("the archive says %s", line)
		}
		exit := ""
		if entry.Exit != nil && *entry.Exit == 3 {
			exit = "3"
		}
		shown[exit] = hosttest.Run(t, "castgate", "play", "-raw", entry.ID)
	}
	if len(shown) != 2 || shown["3"] != whole.Stdout {
		t.Errorf("%d recordings; the whole one plays %q, shown was %q", len(shown), shown["3"], whole.Stdout)
	}
	if !strings.HasPrefix(shown[""], string(torn)) {
		t.Errorf("the killed one plays %d bytes, shown were %d; they part at %d", len(shown[""]), len(torn), common([]byte(shown[""]), torn))
	}
	// The account itself sees nothing of it.
	for _, path := range []string{spoolDir, "/var/lib/castgate/archive"} {
		if got := hosttest.Do(t, m.user.Command("ls", path), nil); got.Status == 0 {
			t.Errorf("the account can list %s", path)
		}
	}
	if err := os.RemoveAll("/var/lib/castgate/archive/" + account); err != nil {
		t.Fatal(err)
	}
}
