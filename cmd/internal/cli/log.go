// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Syslog facility and severities, RFC 5424 section 6.2.1.
const (
	authpriv = 10 << 3
	sevError = 3
	sevWarn  = 4
	sevInfo  = 6
	sevDebug = 7
)

// NewLog returns the program's log: text on stderr when that is a terminal,
// else syslog AUTHPRIV, so that what is said under sshd reaches the
// administrator and not the person who logs in.
func NewLog(name string, stderr *os.File) *slog.Logger {
	if term.IsTerminal(int(stderr.Fd())) {
		return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{ReplaceAttr: dropTime}))
	}
	return Syslog(name)
}

// Syslog returns a log that goes to /dev/log whatever stderr is. It speaks to
// the socket with bare system calls: log/syslog would link package net into
// the setgid castgate-wrap. A message that can't be delivered is dropped: a
// full or absent syslog must never stop a login.
func Syslog(name string) *slog.Logger {
	return slog.New(newSyslogHandler(name, "/dev/log"))
}

func dropTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func dropTimeAndLevel(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.LevelKey {
		return slog.Attr{}
	}
	return dropTime(groups, a)
}

// syslogHandler formats with slog's text handler and sends one datagram a
// record: "<PRI>Mmm dd hh:mm:ss name[pid]: key=value ..." (RFC 3164, what
// glibc's syslog(3) writes to /dev/log).
type syslogHandler struct {
	slog.Handler
	out *datagram
}

// datagram collects one record and sends it.
type datagram struct {
	mu   sync.Mutex
	name string
	path string
	fd   int // -1 while there is no syslogd
	line bytes.Buffer
	wait bool // for room
}

func newSyslogHandler(name, path string) *syslogHandler {
	d := &datagram{name: name, path: path, fd: -1}
	_ = d.dial() // now: who runs out of descriptors later can still say so
	return &syslogHandler{slog.NewTextHandler(&d.line, &slog.HandlerOptions{ReplaceAttr: dropTimeAndLevel}), d}
}

func (h *syslogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &syslogHandler{h.Handler.WithAttrs(attrs), h.out}
}

func (h *syslogHandler) WithGroup(name string) slog.Handler {
	return &syslogHandler{h.Handler.WithGroup(name), h.out}
}

func (h *syslogHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.begin(severity(r.Level), r.Time)
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	return h.out.send()
}

func severity(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return sevError
	case l >= slog.LevelWarn:
		return sevWarn
	case l >= slog.LevelInfo:
		return sevInfo
	}
	return sevDebug
}

func (d *datagram) begin(sev int, at time.Time) {
	d.line.Reset()
	d.line.WriteString("<" + strconv.Itoa(authpriv|sev) + ">")
	d.line.WriteString(at.Format(time.Stamp))
	d.line.WriteString(" " + d.name + "[" + strconv.Itoa(os.Getpid()) + "]: ")
}

func (d *datagram) send() error {
	msg := bytes.TrimRight(d.line.Bytes(), "\n")
	for range 2 { // the second try is for a syslogd that was restarted
		if d.fd < 0 && d.dial() != nil {
			return io.ErrClosedPipe
		}
		if d.sendto(msg) == nil {
			return nil
		}
		_ = unix.Close(d.fd)
		d.fd = -1
	}
	return io.ErrClosedPipe
}

func (d *datagram) sendto(msg []byte) error {
	for {
		// With a timeout a signal ends the call, and Go's scheduler sends some.
		if err := unix.Sendto(d.fd, msg, unix.MSG_NOSIGNAL, nil); err != unix.EINTR {
			return err
		}
	}
}

// logPatience is how long a line of a daemon's waits for room.
const logPatience = time.Second

// PatientLog is for a daemon, which nobody waits for when it logs: where the
// syslog's socket is full, its lines wait for room. Else any user could have
// them dropped, by sending many.
func (e *Env) PatientLog() {
	h, is := e.Log.Handler().(*syslogHandler)
	if !is {
		return
	}
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	_ = unix.Close(h.out.fd)
	h.out.fd, h.out.wait = -1, true
	_ = h.out.dial()
}

func (d *datagram) dial() error {
	kind := unix.SOCK_DGRAM | unix.SOCK_CLOEXEC
	if !d.wait {
		kind |= unix.SOCK_NONBLOCK
	}
	fd, err := unix.Socket(unix.AF_UNIX, kind, 0)
	if err != nil {
		return err
	}
	patience := unix.NsecToTimeval(int64(logPatience))
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &patience)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: d.path}); err != nil {
		_ = unix.Close(fd)
		return err
	}
	d.fd = fd
	return nil
}
