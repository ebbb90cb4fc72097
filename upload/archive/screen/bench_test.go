// SPDX-License-Identifier: AGPL-3.0-or-later

package screen

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkScreen is what a transcript costs of ordinary output.
func BenchmarkScreen(b *testing.B) {
	var log, colours, pages strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&log, "Nov 21 10:00:%02d web1 sshd[%d]: Accepted publickey for deploy from 192.0.2.%d port 5%d\r\n", i%60, i, i%256, i)
		fmt.Fprintf(&colours, "\x1b[1;32m-rw-r--r--\x1b[0m 1 root \x1b[34mroot\x1b[0m %6d \x1b[38;5;%dmfile-%d\x1b[0m größer\r\n", i*37, i%256, i)
		fmt.Fprintf(&pages, "\x1b[%d;1H\x1b[K%5d  %5.1f  \x1b[7mprocess-%d\x1b[27m\x1b[K", 1+i%24, i, float64(i)/7, i%40)
	}
	for _, bb := range []struct{ name, out string }{
		{"log", log.String()},
		{"colours", colours.String()},
		{"pages", "\x1b[?1049h" + pages.String()},
		{"typed", strings.Repeat("$ ls -l\b\b\b\x1b[Kcat /etc/hosts\r\n127.0.0.1 localhost\r\n", 500)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.out)))
			for b.Loop() {
				s := New(120, 40)
				s.Lines = func(Line) {}
				_, _ = s.Write([]byte(bb.out))
				s.Close()
			}
		})
	}
}
