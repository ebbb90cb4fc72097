// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

func env() (*Env, *bytes.Buffer, *bytes.Buffer) {
	var out, errs bytes.Buffer
	return &Env{Name: "castgate-x", Stdout: &out, Stderr: &errs}, &out, &errs
}

func TestFinish(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"success", nil, 0, ""},
		{"failure", errors.New("open door: jammed"), 1, "castgate-x: open door: jammed\n"},
		{"status alone", Exit(7), 7, ""},
		{"usage", Usage("no USER"), 2, "castgate-x: no USER\n"},
		{
			"hint through a wrap", fmt.Errorf("keys: %w", Hint(errors.New("no token"), "write %s", "it")), 1,
			"castgate-x: keys: no token\ncastgate-x: hint: write it\n",
		},
		{"two lines", errors.New("a\nb"), 1, "castgate-x: a\ncastgate-x: b\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, _, errs := env()
			if got := e.Finish(tt.err); got != tt.code || errs.String() != tt.want {
				t.Errorf("got %d %q, want %d %q", got, errs, tt.code, tt.want)
			}
		})
	}
}

func TestHelpAndVersionGoToStdout(t *testing.T) {
	for _, arg := range []string{"-h", "--help", "-help", "-version", "--version"} {
		e, out, errs := env()
		err := e.Parse(e.Flags("castgate-x [flags]", "Does x."), []string{arg})
		if e.Finish(err) != 0 || out.Len() == 0 || errs.Len() != 0 {
			t.Errorf("%s: stdout %q, stderr %q", arg, out, errs)
		}
	}
	e, out, errs := env()
	if code := e.Finish(e.Parse(e.Flags("castgate-x", ""), []string{"-nope"})); code != StatusUsage || out.Len() != 0 {
		t.Errorf("unknown flag: status %d, stdout %q, stderr %q", code, out, errs)
	}
}

func TestSyslogSendsOneQuotedDatagram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h := newSyslogHandler("castgate-x", path)
	d := &Env{Log: slog.New(h)}
	d.Log.With("session", "s1").Warn("refused", "account", "a\nb")
	buf := make([]byte, 1024)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`^<84>\w{3} [ \d]\d \d\d:\d\d:\d\d castgate-x\[\d+\]: msg=refused session=s1 account="a\\nb"$`)
	if !want.Match(buf[:n]) {
		t.Errorf("got %q", buf[:n])
	}
}

// TestPatientLog: a daemon's line waits for room in a syslog's socket that
// somebody else has filled; others' lines are dropped there.
func TestPatientLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hasty, patient := slog.New(newSyslogHandler("castgate-x", path)), &Env{Log: slog.New(newSyslogHandler("castgate-y", path))}
	patient.PatientLog()
	flood := slog.NewRecord(time.Now(), slog.LevelInfo, "flood", 0)
	for hasty.Handler().Handle(t.Context(), flood) == nil { // until it is full
	}
	sent := make(chan error)
	go func() {
		sent <- patient.Log.Handler().Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelInfo, "waits", 0))
	}()
	buf := make([]byte, 1024)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(buf[:n], []byte("msg=waits")) {
			break
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
