// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"castgate/upload/archive/screen"
)

// Recordings that other transcripts lose something of.
func TestRecordingsThatHide(t *testing.T) {
	want := map[string]string{
		"apc-open":      "visible before|control string AFTER-APC secret|control string G",
		"dcs-open":      "visible before|control string 1$r|control string AFTER-DCS secret",
		"pm-open":       "visible before|control string x|control string AFTER-PM secret",
		"sos-open":      "visible before|control string x|control string AFTER-SOS secret",
		"osc-open":      "visible before|control string 0;mkosi: Syncing package metadata|control string VISIBLE-IN-KONSOLE-AND-VTE rm -rf /srv|control string more output|control string $ ",
		"c1":            "visible 31mred0m C1-CSI",
		"resize-reflow": "visible 0123456789012345678901234567890123456789wrapped|visible after",
	}
	files, err := filepath.Glob("testdata/*.cast")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var got []string
		torn, err := Transcribe(t.Context(), f, func(l screen.Line) {
			how := l.Hidden.String()
			if l.Hidden == screen.Visible {
				how = "visible"
			}
			got = append(got, fmt.Sprintf("%s %s", how, l.Text))
		})
		name := strings.TrimSuffix(filepath.Base(file), ".cast")
		if s := strings.Join(got, "|"); torn || err != nil || s != want[name] {
			t.Errorf("%s: torn %v, %v\n got %s\nwant %s", name, torn, err, s, want[name])
		}
	}
}
