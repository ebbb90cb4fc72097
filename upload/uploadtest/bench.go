// SPDX-License-Identifier: AGPL-3.0-or-later

// Package uploadtest has what the tests of the uploader, its targets and buckets
// stand on: recordings, a server behind every kind of target, and what breaks it.
package uploadtest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// Bench is a directory for a test, with an archive in it.
type Bench struct {
	T      testing.TB
	Dir    string
	Served Log              // of the archive's servers
	Signer *manifest.Signer // of deliveries; may be nil
}

// New makes one.
func New(t testing.TB) *Bench {
	t.Helper()
	b := &Bench{T: t, Dir: t.TempDir()}
	if err := os.Mkdir(b.Path("archive"), 0o755); err != nil {
		t.Fatal(err)
	}
	return b
}

// Signing has deliveries signed.
func (b *Bench) Signing() *Bench {
	b.T.Helper()
	NewKey(b.T, b.Path("key"))
	text, err := os.ReadFile(b.Path("key"))
	if err == nil {
		b.Signer, err = manifest.NewSigner(text)
	}
	if err != nil {
		b.T.Fatal(err)
	}
	return b
}

// Path is a path below the bench's directory.
func (b *Bench) Path(name string) string { return filepath.Join(b.Dir, name) }

// Put writes a file there.
func (b *Bench) Put(name, text string) {
	b.T.Helper()
	if err := os.WriteFile(b.Path(name), []byte(text), 0o640); err != nil {
		b.T.Fatal(err)
	}
}

// ID is the id of recording n.
func ID(n int) string { return fmt.Sprintf("01a1ee56-5e00-7000-8000-%012x", n) }

// Header returns the header of recording n as castgate-wrap writes it.
func Header(n int) asciicast.Header {
	return asciicast.Header{
		Term: asciicast.Term{Cols: 80, Rows: 24, Type: "xterm"}, Timestamp: 1795000000,
		Session: &asciicast.Session{
			ID: ID(n), Mode: "plain", Host: "web1", User: "nobody-of-this-host", UID: os.Getuid(),
			TTY: true, Kind: asciicast.KindShell, Version: "castgate 1.0.0",
		},
	}
}

// Body is some output.
const Body = `[0.500000, "o", "hello\r\n"]` + "\n"

// Recording is the text of a recording.
func Recording(h asciicast.Header, events string) string {
	return string(asciicast.AppendHeader(nil, h)) + events
}

// Whole is recording n, which ended with status 3.
func Whole(n int) string { return Recording(Header(n), Body+`[0.250000, "x", "3"]`+"\n") }

// NewKey writes a signing key.
func NewKey(t testing.TB, path string) ssh.PublicKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "castgate")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Log is what several servers log to.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// MemoryFile opens some bytes as a recording's object.
type MemoryFile struct{ *bytes.Reader }

// Close does nothing.
func (MemoryFile) Close() error { return nil }
