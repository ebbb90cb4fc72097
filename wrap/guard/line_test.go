// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// said is a log that a test reads while it is written.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *said) has(words ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
next:
	for line := range strings.Lines(s.buf.String()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		return true
	}
	return false
}

// TestLines: what a recorder has to say is said whole or cut, never as another
// session or user, and nothing that is not a line is taken for one.
func TestLines(t *testing.T) {
	log := &said{}
	g, path := serveWith(t, slog.New(slog.NewTextHandler(log, nil)))
	c, err := Connect(path, patience)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := c.Hello(aHello, -1, nil)
	if err != nil || !facts.Lines {
		t.Fatalf("facts %+v, %v", facts, err)
	}
	long := strings.Repeat("\x01\xff", 10*maxField)
	for _, l := range []Line{
		{Level: slog.LevelWarn, Msg: "first", Fields: []string{"session", "other", "uid", "4711", "client", "a b\nmsg=x"}},
		{Msg: "second", Fields: slicesOf(4*maxFields, long)},
		{Msg: LineStart, Fields: []string{"account", "alice"}},
	} {
		if err := c.Say(l); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	wait := func(words ...string) {
		t.Helper()
		for end := time.Now().Add(patience); !log.has(words...); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no line with %q in\n%s", words, log.buf.String())
			}
		}
	}
	wait("level=WARN", "msg=first", "session="+aHello.Session, `client="a b\nmsg=x"`)
	wait("msg=second")
	wait(`msg="session start"`, "account=alice")
	if log.has("session=other") || log.has("uid=4711") {
		t.Error("the recorder chose who it was")
	}
	g.until(t, func() bool { return g.total == 0 })
}

// TestEndIsSaidOnce: a recorder that calls a guard anew while its session ends
// has said that it ended, in whichever order its lines come.
func TestEndIsSaidOnce(t *testing.T) {
	g := &Guard{Log: slog.New(slog.DiscardHandler)}
	s := &session{}
	say := func(msgs ...string) bool {
		for _, msg := range msgs {
			g.relay(s, Line{Msg: msg, Fields: []string{"account", "alice"}})
		}
		return s.goesOn()
	}
	if !say(LineStart) || say(LineEnd) || say(LineBack) {
		t.Errorf("who %v", s.who)
	}
	if s = (&session{}); say() || !say(LineBack) || say(LineEnd) {
		t.Errorf("who %v, called anew", s.who)
	}
}

// TestEndedWhileClosing is for the race detector.
func TestEndedWhileClosing(t *testing.T) {
	g, path := serve(t)
	c, err := Connect(path, patience)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Hello(aHello, -1, nil); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() { _ = c.Close() })
	all.Go(func() { c.Ended() })
	all.Wait()
	if !c.Ended() {
		t.Error("it goes on")
	}
	g.until(t, func() bool { return g.total == 0 })
}

func slicesOf(n int, s string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = s
	}
	return list
}

func TestNotALine(t *testing.T) {
	for _, b := range []string{"", "+", "{}", `{"msg":"x","fields":["a"]}`, `{"msg":"x","level":"loud"}`, strings.Repeat(" ", maxLine+1)} {
		if l, err := decodeLine([]byte(b)); err == nil {
			t.Errorf("%.40q is %+v", b, l)
		}
	}
}

// TestOldGuard: a guard that takes no lines is sent none, since it would take
// one for the end of the session.
func TestOldGuard(t *testing.T) {
	if err := (&Conn{fd: -1}).Say(Line{Msg: "x"}); err == nil {
		t.Error("it was sent one")
	}
}

// TestTurns: a user's work waits for their own, and for nobody else's.
func TestTurns(t *testing.T) {
	var u turns
	done := u.take(1)
	u.take(2)()
	second := make(chan struct{})
	go func() {
		defer close(second)
		u.take(1)()
	}()
	select {
	case <-second:
		t.Error("both had their turn")
	default:
	}
	done()
	<-second
	if len(u.users) != 0 {
		t.Errorf("%d users are remembered", len(u.users))
	}
}
