// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"castgate/upload/store"
)

// metricsEvery spaces out the counting: it looks at every waiting file.
const metricsEvery = 10 * time.Second

// metricsName is where the counters go unless upload.yaml says otherwise.
const metricsName = "metrics.prom"

// noteMetrics writes the counters as a textfile for node_exporter.
func (u *Uploader) noteMetrics(now time.Time, force bool) {
	if !force && now.Sub(u.counted) < metricsEvery {
		return
	}
	u.counted = now
	path := u.Config.Metrics
	if path == "" {
		path = filepath.Join(u.Config.State, metricsName)
	}
	if err := writeMetrics(path, u.metrics(now)); err != nil {
		u.complainOnce("can't write the metrics", path, err)
	}
}

// writeMetrics replaces the file at once: node_exporter reads *.prom whenever it
// likes.
func writeMetrics(path, text string) error {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer root.Close()
	return store.Replace(root, filepath.Base(path), 0o644, []byte(text), store.Fleeting)
}

func (u *Uploader) metrics(now time.Time) string {
	var b strings.Builder
	family := func(name, kind, help string) {
		fmt.Fprintf(&b, "# HELP castgate_upload_%s %s\n# TYPE castgate_upload_%s %s\n", name, help, name, kind)
	}
	waiting, oldest := u.waiting()
	family("waiting", "gauge", "Recordings in the spool that are not delivered to every target.")
	fmt.Fprintf(&b, "castgate_upload_waiting %d\n", waiting)
	family("oldest_waiting_seconds", "gauge", "How long the oldest of them has waited.")
	age := 0.0
	if waiting > 0 {
		age = max(0, now.Sub(oldest).Seconds())
	}
	fmt.Fprintf(&b, "castgate_upload_oldest_waiting_seconds %.0f\n", age)
	family("last_run_timestamp_seconds", "gauge", "When the uploader last looked.")
	fmt.Fprintf(&b, "castgate_upload_last_run_timestamp_seconds %d\n", now.Unix())
	by := u.tally.copy()
	for _, f := range []struct {
		name, help string
		value      func(counters) int64
	}{
		{"delivered_total", "Receipts of the target.", func(c counters) int64 { return c.Delivered }},
		{"delivered_bytes_total", "Bytes that the target has confirmed.", func(c counters) int64 { return c.Bytes }},
		{"failed_total", "Tries that failed and are repeated.", func(c counters) int64 { return c.Failed }},
		{"refused_total", "Recordings that the target will never take.", func(c counters) int64 { return c.Refused }},
	} {
		family(f.name, "counter", f.help)
		for _, t := range u.names {
			fmt.Fprintf(&b, "castgate_upload_%s{target=%s} %d\n", f.name, label(t), f.value(by[t]))
		}
	}
	return b.String()
}

// label quotes a label's value: backslash, quote and newline are escaped.
func label(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// waiting counts the recordings in incoming/ and finds the oldest.
func (u *Uploader) waiting() (n int, oldest time.Time) {
	_ = u.spool.Names(spoolIncoming, func(id string) error {
		info, err := u.spool.Stat(spoolIncoming, id)
		if err != nil {
			return nil // delivered meanwhile
		}
		n++
		if oldest.IsZero() || info.ModTime().Before(oldest) {
			oldest = info.ModTime()
		}
		return nil
	}, nil)
	return n, oldest
}
