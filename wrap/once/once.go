// SPDX-License-Identifier: AGPL-3.0-or-later

// Package once serves one SSH session, records it and is done: the way into a
// container that has no sshd.
//
// Everything that the session depends on is taken before anybody can come in:
// the keys and the environment are copied, the log is open. The host key lives
// in memory only. The first client that proves a key closes the door behind
// it; there is no other session, no second channel and no forwarding. The
// recorder is castgate-wrap's (package wrap), so that here, too, each byte is
// in the recording before it is shown. Whoever gets in runs as the same user
// as castgate-once: in its own container the recording is as safe as the log
// driver makes it, and the header says "once".
package once

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// Config is what castgate-once was told.
type Config struct {
	AuthorizedKeys string // a file, or "-"
	Listen         string // address; "" for all
	Port           int    // 0: any free one
	Log            string // a file; "" for standard output
	LogFormat      string // FormatCast or FormatRaw
	LogPasswords   bool   // record what is typed while the terminal doesn't echo
	Announce       string // a program; "" for none
	Timeout        time.Duration

	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Environ []string
	Logger  *slog.Logger
	Version string
}

// Run serves one session and returns its exit status. The error of a failure
// that has a status of its own is a *Fault.
func Run(c Config) (int, error) {
	keys, err := LoadKeys(c.AuthorizedKeys, c.Stdin, c.Logger)
	if err != nil {
		return 0, err
	}
	place, err := findPlace(c.Environ)
	if err != nil {
		return 0, err
	}
	log, err := openLog(c.Log)
	if err != nil {
		return 0, err
	}
	defer log.close()
	// Whoever gets in is the same user as we are, but shall not reach into this
	// process: not by ptrace(2), not by /proc/PID/mem, and not by /proc/PID/fd to
	// write into the log. Only CAP_SYS_PTRACE can, which containers seldom have.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("protect the process: %w", err)
	}
	signer, line, err := newHostKey()
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintln(c.Stdout, line); err != nil {
		return 0, fmt.Errorf("print the host key: %w", err)
	}
	s := &server{Config: c, keys: keys, place: place, log: log, signer: signer, line: line, process: mindProcess()}
	return s.serve()
}

// server is castgate-once with all that it needs.
type server struct {
	Config
	keys    *Keys
	place   *place
	log     *logFile
	signer  ssh.Signer
	line    string // the host key's public line
	process *process
}

// newHostKey makes the key and its public line, as ssh-keyscan(1) prints it
// but for the host's name.
func newHostKey() (ssh.Signer, string, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, "", fmt.Errorf("make a host key: %w", err)
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		return nil, "", fmt.Errorf("make a host key: %w", err)
	}
	return signer, string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(signer.PublicKey()))), nil
}

// serve waits for the client that gets in and serves it.
func (s *server) serve() (int, error) {
	ctx, end := s.patience()
	v, err := s.receive(ctx)
	if sig := end(); sig != 0 {
		return 128 + int(sig), fmt.Errorf("stopped by a signal before the session: %s", sig)
	}
	switch {
	case err != nil:
		return 0, err
	case v == nil:
		fmt.Fprintf(s.Stderr, "castgate-once: no authenticated session within %s\n", s.Timeout)
		return 0, nil
	}
	return newSession(s, v).serve()
}

// receive opens the port, announces it and waits.
func (s *server) receive(ctx context.Context) (*visitor, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(s.Listen, strconv.Itoa(s.Port)))
	if err != nil {
		return nil, fault(StatusPort, "bind the port: %w", err)
	}
	defer listener.Close()
	s.Logger.Info("listening", "address", listener.Addr().String(), "timeout", s.Timeout.String())
	if s.Announce != "" {
		port := int(addrOf(listener.Addr()).Port())
		if err := s.process.whileOthersWait(func() error {
			return announce(ctx, s.Announce, s.line, port, s.place.environ, s.Stderr)
		}); err != nil {
			return nil, err
		}
	}
	return newDoor(listener, s.signer, s.keys, s.Logger).wait(ctx), nil
}

// patience is a context that ends with the timeout, or with a signal. end ends
// it and returns that signal, 0 when there was none.
func (s *server) patience() (ctx context.Context, end func() syscall.Signal) {
	ctx, cancel := context.WithTimeout(context.Background(), s.Timeout)
	got := make(chan syscall.Signal, 1)
	go func() {
		var sig syscall.Signal
		select {
		case sig = <-s.process.stop:
		case <-ctx.Done():
		}
		cancel()
		got <- sig
	}()
	return ctx, func() syscall.Signal {
		cancel()
		return <-got
	}
}
