// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build bench

package bench

import (
	"fmt"
	"math/rand/v2"
)

// workload is a kind of output; text is what the stricter target is for.
type workload struct {
	name string
	text bool
	make func(size int) []byte
}

var workloads = []workload{
	{"log lines", true, logLines},
	{"UTF-8 text", true, func(n int) []byte {
		return fill(n, func(i int) string {
			return fmt.Sprintf("%d größer als früher; 日本語のテキスト, ещё строка — naïve café\r\n", i)
		})
	}},
	{"full-screen ANSI", true, func(n int) []byte {
		return fill(n, func(i int) string {
			return fmt.Sprintf("\x1b[%d;%dH\x1b[1;3%dm%5d\x1b[0m root \x1b[32m%3d.%d\x1b[K", i%24+1, i%70+1, i%8, i%32768, i%100, i%10)
		})
	}},
	{"random bytes", false, func(n int) []byte {
		rnd := rand.NewChaCha8([32]byte{1})
		p := make([]byte, n)
		_, _ = rnd.Read(p)
		return p
	}},
}

func logLines(n int) []byte {
	return fill(n, func(i int) string {
		return fmt.Sprintf("Nov 21 10:%02d:%02d web1 sshd[%d]: Accepted publickey for deploy from 192.0.2.7 port %d ssh2\r\n", i/60%60, i%60, 1000+i%30000, 1024+i%60000)
	})
}

func fill(n int, line func(int) string) []byte {
	p := make([]byte, 0, n+200)
	for i := 0; len(p) < n; i++ {
		p = append(p, line(i)...)
	}
	return p[:n]
}
