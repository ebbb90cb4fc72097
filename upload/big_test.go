// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// TestABigRecordingTakesConstantMemory packs and delivers a recording of 2 GiB
// (64 MiB unless CASTGATE_TEST_SLOW=1) and holds what the process has taken
// from the system to a bound that does not depend on the size.
func TestABigRecordingTakesConstantMemory(t *testing.T) {
	size := int64(64 << 20)
	if os.Getenv("CASTGATE_TEST_SLOW") == "1" {
		size = 2 << 30
	}
	b := newBench(t)
	f, err := os.Create(b.path("spool/incoming/" + testID(1) + ".cast"))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	fmt.Fprint(w, recording(header(1), ""))
	line := `[0.000100, "o", "` + strings.Repeat("all work and no play ", 3000) + "%d\"]\n"
	for n := int64(0); n < size; n += int64(len(line)) {
		fmt.Fprintf(w, line, n)
	}
	fmt.Fprint(w, `[0.1, "x", "0"]`+"\n")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if left := b.once(); left != 0 {
		t.Fatalf("%d left\n%s", left, b.log)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.Sys) - int64(before.Sys); grown > 64<<20 {
		t.Errorf("%d MiB took %d MiB of memory", size>>20, grown>>20)
	}
}

func FuzzParseCredentials(f *testing.F) {
	f.Add("[default]\naws_access_key_id = a\naws_secret_access_key = b\n[other]\naws_access_key_id = c\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCredentials(strings.NewReader(text))
		if err == nil && (c.id == "" || c.secret == "" || !strings.Contains(text, c.secret)) {
			t.Errorf("%q is read as %+v", text, c)
		}
		if err != nil && c.secret != "" && strings.Contains(err.Error(), c.secret) && len(c.secret) > 8 {
			t.Errorf("the error tells the secret: %v", err)
		}
	})
}
