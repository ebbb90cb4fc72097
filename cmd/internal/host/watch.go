// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// WatchDir is where castgate check -watch keeps its last answer and the metrics.
const WatchDir = "/var/lib/castgate-check"

// answer is what a look at the host found: which findings, without the figures
// in them, and what they were about.
type answer struct {
	SSHD     string            `json:"sshd"`
	Findings map[string]string `json:"findings"` // by level and what: the whole line
	Changes  int               `json:"changes"`  // since it began
}

// Watch compares findings with those of the last time, tells what has changed
// and writes the metrics. Nobody reads a report that says the same every time.
func (h *Host) Watch(all []Finding, dir string, log *slog.Logger) error {
	last, err := lastAnswer(dir)
	if err != nil {
		return err
	}
	now := answer{SSHD: h.version.text, Findings: map[string]string{}, Changes: last.Changes}
	for _, f := range all {
		if f.Level != OK {
			now.Findings[string(f.Level)+" "+f.What] = f.String()
		}
	}
	if last.Findings != nil && last.SSHD != now.SSHD {
		now.Changes++
		log.Warn("check: sshd has changed", "was", last.SSHD, "is", now.SSHD)
	}
	for _, key := range sortedKeys(now.Findings) {
		if _, known := last.Findings[key]; !known {
			now.Changes++
			level := slog.LevelWarn
			if strings.HasPrefix(key, string(Fail)) {
				level = slog.LevelError
			}
			log.Log(h.ctx, level, "check: new", "finding", now.Findings[key])
		}
	}
	for _, key := range sortedKeys(last.Findings) {
		if _, still := now.Findings[key]; !still {
			now.Changes++
			log.Info("check: gone", "finding", key)
		}
	}
	text, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(write(filepath.Join(dir, "last.json"), text, 0o644), write(filepath.Join(dir, "metrics.prom"), now.metrics(time.Now()), 0o644))
}

func lastAnswer(dir string) (a answer, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "last.json"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return a, nil
	case err != nil:
		return a, err
	}
	if json.Unmarshal(text, &a) != nil {
		a = answer{} // half a file: everything is told once more
	}
	return a, nil
}

// metrics is a textfile for node_exporter.
func (a answer) metrics(now time.Time) []byte {
	var b strings.Builder
	b.WriteString("# HELP castgate_check_findings What castgate check found, by level.\n# TYPE castgate_check_findings gauge\n")
	for _, level := range []Level{Warn, Fail} {
		n := 0
		for key := range a.Findings {
			if strings.HasPrefix(key, string(level)+" ") {
				n++
			}
		}
		fmt.Fprintf(&b, "castgate_check_findings{level=%q} %d\n", strings.ToLower(string(level)), n)
	}
	fmt.Fprintf(&b, "# HELP castgate_check_changes_total How often a finding came or went.\n# TYPE castgate_check_changes_total counter\ncastgate_check_changes_total %d\n", a.Changes)
	fmt.Fprintf(&b, "# HELP castgate_check_last_run_timestamp_seconds When castgate check last looked.\n# TYPE castgate_check_last_run_timestamp_seconds gauge\ncastgate_check_last_run_timestamp_seconds %d\n", now.Unix())
	return []byte(b.String())
}
