// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"bufio"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen before it fails.
// Nothing is ever expected to take that long: no test asserts on time.
const Patience = 30 * time.Second

// WaitFor waits until cond holds and fails the test when it never does.
func WaitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Log collects lines and lets a test wait for one.
type Log struct {
	mu    sync.Mutex
	lines []string
}

func (l *Log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

// read adds every line of r until it ends.
func (l *Log) read(r io.Reader) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			l.add(strings.TrimRight(line, "\r\n"))
		}
		if err != nil {
			return
		}
	}
}

// Lines returns what was said so far.
func (l *Log) Lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// Find returns the first line that has all the words, "" when none has.
func (l *Log) Find(words ...string) string {
next:
	for _, line := range l.Lines() {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		return line
	}
	return ""
}

// Wait waits for a line that has all the words and returns it.
func (l *Log) Wait(t testing.TB, words ...string) string {
	t.Helper()
	var found string
	for end := time.Now().Add(Patience); ; time.Sleep(10 * time.Millisecond) {
		if found = l.Find(words...); found != "" {
			return found
		}
		if time.Now().After(end) {
			t.Fatalf("no line with %q in the log:\n%s", words, strings.Join(l.Lines(), "\n"))
		}
	}
}

// Forget drops what was said so far.
func (l *Log) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = nil
}

// StartSyslog listens on /dev/log, as a syslogd would, until the test ends.
func StartSyslog(t testing.TB) *Log {
	t.Helper()
	Need(t)
	const path = "/dev/log"
	_ = os.Remove(path)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); _ = os.Remove(path) })
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	l := &Log{}
	go func() {
		buf := make([]byte, 64<<10) // more than any program sends at once
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			l.add(strings.TrimRight(string(buf[:n]), "\n\x00"))
		}
	}()
	return l
}
