// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWatchTellsChangesOnly(t *testing.T) {
	dir := t.TempDir()
	h := &Host{ctx: t.Context(), version: version{9, 2, "OpenSSH_9.2p1"}}
	look := func(all ...Finding) string {
		t.Helper()
		var out bytes.Buffer
		if err := h.Watch(all, dir, slog.New(slog.NewTextHandler(&out, nil))); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	good, rate, guard := Finding{Level: OK, What: "a"}, Finding{Warn, "the rate", "499 left", "x"}, Finding{Fail, "castgate-guard", "it does not listen", "x"}
	if got := look(good); got != "" {
		t.Errorf("a host that is well: %s", got)
	}
	if got := look(good, rate, guard); strings.Count(got, "\n") != 2 || !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "FAIL castgate-guard - it does not listen") {
		t.Errorf("new: %s", got)
	}
	rate.Why = "498 left"
	if got := look(good, rate, guard); got != "" {
		t.Errorf("another figure: %s", got)
	}
	if got := look(good, rate); !strings.Contains(got, "check: gone") || !strings.Contains(got, "castgate-guard") {
		t.Errorf("gone: %s", got)
	}
	h.version.text = "OpenSSH_10.0p1"
	if got := look(good, rate); !strings.Contains(got, "sshd has changed") {
		t.Errorf("another sshd: %s", got)
	}
	text, err := os.ReadFile(filepath.Join(dir, "metrics.prom"))
	for _, want := range []string{`castgate_check_findings{level="warn"} 1`, `castgate_check_findings{level="fail"} 0`, "castgate_check_changes_total 4", "castgate_check_last_run_timestamp_seconds "} {
		if err != nil || !strings.Contains(string(text), want+"\n") && !strings.Contains(string(text), "\n"+want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "last.json"), []byte(`{"find`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := look(rate); !strings.Contains(got, "check: new") {
		t.Errorf("after half a file: %s", got)
	}
}
