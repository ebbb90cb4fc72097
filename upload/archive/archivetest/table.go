// SPDX-License-Identifier: AGPL-3.0-or-later

package archivetest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// Measured logs how long something took and what came of it; and adds a row to
// the Markdown table in the file CASTGATE_BENCH_TABLE, when that is set.
func Measured(t *testing.T, what string, took time.Duration, got string) {
	t.Helper()
	took = took.Round(100 * time.Microsecond)
	t.Logf("%-58s %10v  %s", what, took, got)
	file := os.Getenv("CASTGATE_BENCH_TABLE")
	if file == "" {
		return
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "| %s | %v | %s |\n", what, took, got); err != nil {
		t.Fatal(err)
	}
}

// PeakMemory is the most that the process had.
func PeakMemory(t *testing.T) string {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if peak, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return "peak memory " + strings.TrimSpace(peak)
		}
	}
	t.Fatal("no peak memory in /proc/self/status")
	return ""
}
