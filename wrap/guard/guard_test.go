// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serve runs a guard that talks to anybody.
func serve(t testing.TB) (*Guard, string) { return serveWith(t, slog.New(slog.DiscardHandler)) }

func serveWith(t testing.TB, log *slog.Logger) (*Guard, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "guard.sock")
	l, err := Listen(path, os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	g := &Guard{RunDir: t.TempDir(), Log: log, testOnlyAnyPeer: true, testOnlyLastWords: time.Millisecond}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return g, path
}

const patience = 30 * time.Second

var aHello = Hello{Session: "0197a5e2", Leftovers: Keep}

func TestHelloAndEnd(t *testing.T) {
	g, path := serve(t)
	c, err := Connect(path, patience)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := c.Hello(aHello, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if facts.Standing != Outside && facts.Standing != Behind && facts.Standing != Nested {
		t.Errorf("facts %+v", facts)
	}
	if flags, err := unix.FcntlInt(uintptr(c.FD()), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the connection is inherited: %#x, %v", flags, err)
	}
	_ = c.Close()
	_ = c.Close()
	g.until(t, func() bool { return g.total == 0 })
}

// until polls what the guard holds, under its lock.
func (g *Guard) until(t *testing.T, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		g.mu.Lock()
		ok := cond()
		g.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}

func TestAbsentGuard(t *testing.T) {
	if _, err := Connect(filepath.Join(t.TempDir(), "guard.sock"), patience); err == nil {
		t.Fatal("connected to nobody")
	}
}

// TestStoppedGuard: the socket is there, as systemd's would be, and nobody
// answers; then the backlog is full, too.
func TestStoppedGuard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "guard.sock")
	l, err := Listen(path, os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	full := false
	for range backlog + 3 {
		c, err := Connect(path, 20*time.Millisecond)
		if err != nil {
			full = true
			break
		}
		defer c.Close()
		if _, err := c.Hello(aHello, -1, nil); err == nil || !strings.Contains(err.Error(), "does not answer") {
			t.Fatalf("got %v", err)
		}
	}
	if !full {
		t.Error("the backlog never filled")
	}
}

// TestImpatientRecorder: a recorder that gave up before the facts came is
// forgotten, and nothing is swept for it.
func TestImpatientRecorder(t *testing.T) {
	g, path := serve(t)
	c, err := Connect(path, patience)
	if err != nil {
		t.Fatal(err)
	}
	b, err := aHello.encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendmsg(c.FD(), b, nil, nil, 0); err != nil {
		t.Fatal(err)
	}
	g.until(t, func() bool { return len(g.sessions) == 1 })
	_ = c.Close()
	g.until(t, func() bool { return len(g.sessions) == 0 && g.total == 0 })
}

func TestStrangePeers(t *testing.T) {
	g, path := serve(t)
	for name, say := range map[string]func(fd int) error{
		"nothing":   func(int) error { return nil },
		"junk":      func(fd int) error { return unix.Sendmsg(fd, []byte("junk"), nil, nil, 0) },
		"too much":  func(fd int) error { return unix.Sendmsg(fd, make([]byte, 100<<10), nil, nil, 0) },
		"many fds":  func(fd int) error { return unix.Sendmsg(fd, []byte("x"), unix.UnixRights(make([]int, 200)...), nil, 0) },
		"not a tty": func(fd int) error { b, _ := aHello.encode(); return unix.Sendmsg(fd, b, unix.UnixRights(fd), nil, 0) },
	} {
		c, err := Connect(path, patience)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := say(c.FD()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		buf := make([]byte, maxFacts)
		if name != "nothing" {
			_ = c.wait(unix.POLLIN, func() error { _, _, err := unix.Recvfrom(c.FD(), buf, 0); return err })
		}
		_ = c.Close()
	}
	before := openFiles(t)
	g.until(t, func() bool { return g.total == 0 && len(g.sessions) == 0 })
	if after := openFiles(t); after > before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	names, err := readNames("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// TestLimitPerUID: one account can't take all of the guard.
func TestLimitPerUID(t *testing.T) {
	g, path := serve(t)
	for range maxPerUID {
		c, err := Connect(path, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Hello(aHello, -1, nil); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Connect(path, patience)
	if err == nil {
		defer c.Close()
		_, err = c.Hello(aHello, -1, nil)
	}
	if err == nil {
		t.Fatal("one more was served")
	}
	g.until(t, func() bool { return g.total == maxPerUID })
}

// TestServeWaits: it does not return while a connection is still seen to, whose
// sweep would be lost.
func TestServeWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "guard.sock")
	l, err := Listen(path, os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	g := &Guard{RunDir: t.TempDir(), Log: slog.New(slog.DiscardHandler), testOnlyAnyPeer: true, testOnlyLastWords: 100 * time.Millisecond}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, l) }()
	c, err := Connect(path, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	hello, err := aHello.encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendmsg(c.FD(), hello, nil, nil, 0); err != nil {
		t.Fatal(err)
	}
	g.until(t, func() bool { return len(g.sessions) == 1 }) // and the guard waits for the last packet
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total != 0 {
		t.Errorf("%d connections are still served", g.total)
	}
}

func TestTakeOnlyTerminals(t *testing.T) {
	for _, path := range []string{"/dev/null", "/dev/zero", t.TempDir()} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := take(int(f.Fd()), uint32(os.Getuid())); err == nil {
			t.Errorf("%s was given away", path)
		}
	}
}

func TestParseCgroup(t *testing.T) {
	for text, want := range map[string]string{
		"0::/user.slice/user-1000.slice/session-3.scope\n":                         "user-1000.slice/session-3.scope",
		"12:pids:/x\n0::/user.slice/user-0.slice/session-c1.scope/sub\n":           "user-0.slice/session-c1.scope",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n": "",
		"0::/system.slice/ssh.service\n":                                           "",
		"0::/\n":                                                                   "",
		"":                                                                         "",
	} {
		if got := parseCgroup(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestUnder(t *testing.T) {
	p := func(pid, ppid int) process { return process{procID: procID{pid, 1}, ppid: ppid} }
	tree := table{1: p(1, 0), 2: p(2, 1), 3: p(3, 2), 4: p(4, 5), 5: p(5, 4)}
	if !tree.under(p(3, 2), p(1, 0)) || tree.under(p(2, 1), p(3, 2)) || tree.under(p(4, 5), p(1, 0)) {
		t.Error("the tree is not read right")
	}
	if tree.under(p(3, 2), process{procID: procID{2, 9}}) {
		t.Error("another process with that pid counts as an ancestor")
	}
	if tree.under(p(3, 2), process{}) {
		t.Error("nobody counts as an ancestor")
	}
}

// BenchmarkHello is what a login waits for, without the look at descriptors.
func BenchmarkHello(b *testing.B) {
	_, path := serve(b)
	for b.Loop() {
		c, err := Connect(path, patience)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Hello(aHello, -1, nil); err != nil {
			b.Fatal(err)
		}
		_ = c.Close()
	}
}
