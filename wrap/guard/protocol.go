// SPDX-License-Identifier: AGPL-3.0-or-later

// Package guard is what stands beside a recorder for the things that only a
// privileged process can see or do: who really started the recorder, taking its
// terminal away from everybody else, what a killed session leaves behind.
//
// The protocol begins with three packets on a SOCK_SEQPACKET connection. The recorder
// says Hello, with its outer terminal as an SCM_RIGHTS descriptor when it has
// one. The guard answers with Facts; to a recorder that wants its terminal
// revoked it first offers, in one byte, the terminal's master, and waits for the
// byte that says that the terminal is given up (secure.go). Then
// the recorder sends one byte more: from
// then on the connection stands for the session, and its end, however it
// comes, is the end of the session. A recorder that gave up waiting never
// sends that byte, so that a slow guard can't mistake an impatient recorder
// for a dead one and sweep a living session away. After it come the session's
// lines for the log, each a packet (Line), to a guard that takes them.
//
// Recordings never pass through the guard: one that is stopped, upgraded or
// absent costs no session.
//
// The recorder is set-id: this package links neither net nor os/exec.
package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Version of the protocol. Fields may be added without changing it: both ends
// ignore what they don't know.
const Version = 1

// Socket is where the guard listens.
const Socket = "/run/castgate/guard.sock"

// Limits of the protocol. A Hello is two short words; Facts carry at most
// maxHolders processes of bounded names.
const (
	maxHello   = 1 << 10
	maxFacts   = 16 << 10
	maxSession = 64 // a UUID has 36
	maxHolders = 32 // more than anybody reads in a log line
	maxBetween = 8
	maxComm    = 64 // TASK_COMM_LEN is 16; escaped it may be longer
)

// Packets of one byte.
const (
	offered = '~' // the guard's, with the terminal's master
	given   = '-' // the recorder's: it has given the terminal up
	kept    = '=' // the recorder's: it has not
	started = '+' // the third packet: the recorder has read the Facts and goes on
)

// Leftovers policies: what happens to processes that outlive their session.
const (
	Keep = "keep" // nothing, as with plain sshd
	List = "list" // they are named in the log
	End  = "end"  // they are ended, and named in the log
)

// Hello is what the recorder says of itself. None of it is believed further
// than for the recorder's own session.
type Hello struct {
	Session   string `json:"session"`   // the recording's id
	Leftovers string `json:"leftovers"` // Keep, List or End

	// Revoke: the recorder waits for the offer to have its terminal revoked.
	Revoke bool `json:"revoke,omitempty"`
}

// Standing says where a recorder stands in the tree of processes.
type Standing string

const (
	// Direct: sshd started it, nothing is between.
	Direct Standing = "direct"
	// Behind: sshd started it through a shell that stays (ForceCommand without
	// exec, or a person's own shell that was never recorded): see Facts.Between.
	Behind Standing = "behind"
	// Nested: run by hand inside a recorded session: see Facts.Nested.
	Nested Standing = "nested"
	// Outside: no session of root's sshd is among its ancestors (console, su, cron).
	Outside Standing = "outside"
)

// Holder is a process that took the outer terminal while it was being revoked.
type Holder struct {
	PID   int    `json:"pid"`
	UID   uint32 `json:"uid"`
	Comm  string `json:"comm"`
	Ended bool   `json:"ended,omitempty"` // the guard has ended it
}

// AuditUnset is the audit session id of a process that has none (audit(7)).
const AuditUnset = ^uint32(0)

// Facts is what the guard has found out by itself.
type Facts struct {
	Standing   Standing `json:"standing"`
	MonitorPID int      `json:"monitor_pid,omitempty"` // sshd's privileged process of this connection
	Key        string   `json:"key,omitempty"`         // fingerprint of the accepted key, "SHA256:…"
	Login      string   `json:"login,omitempty"`       // whose key that is on GitHub
	LoginID    int64    `json:"login_id,omitempty"`    // their numeric id there
	Audit      uint32   `json:"audit"`                 // audit session id, or AuditUnset
	Nested     string   `json:"nested,omitempty"`      // id of the session this one runs in
	Between    []string `json:"between,omitempty"`     // names of the processes between sshd and the recorder
	Holders    []Holder `json:"holders,omitempty"`     // who tried to take the outer terminal
	TTYTaken   bool     `json:"tty_taken,omitempty"`   // the outer terminal now belongs to root
	TTYRevoked bool     `json:"tty_revoked,omitempty"` // and every descriptor that was open on it is dead
	Refuse     string   `json:"refuse,omitempty"`      // why this session can't be kept unseen by others
	Doubt      string   `json:"doubt,omitempty"`       // what the guard could not do for it, and yet is no reason to refuse it
	Lines      bool     `json:"lines,omitempty"`       // the guard writes the session's lines into the log: see Line
}

type helloPacket struct {
	V int `json:"v"`
	Hello
}

type factsPacket struct {
	V int `json:"v"`
	Facts
}

var errVersion = errors.New("the other end speaks another version of the protocol")

func (h Hello) encode() ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	return json.Marshal(helloPacket{Version, h})
}

func decodeHello(b []byte) (Hello, error) {
	var p helloPacket
	if len(b) > maxHello {
		return Hello{}, fmt.Errorf("a hello of %d bytes", len(b))
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return Hello{}, err
	}
	if p.V != Version {
		return Hello{}, errVersion
	}
	return p.Hello, p.check()
}

func (h Hello) check() error {
	if !validSession(h.Session) {
		return fmt.Errorf("session id %q", clip(h.Session, maxSession))
	}
	switch h.Leftovers {
	case Keep, List, End:
		return nil
	}
	return fmt.Errorf("leftovers %q", clip(h.Leftovers, maxSession))
}

// validSession holds ids to characters that need no quoting in any log.
func validSession(id string) bool {
	if id == "" || len(id) > maxSession {
		return false
	}
	return strings.IndexFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
	}) < 0
}

// bound cuts the lists: the answer fits into one packet, and what is logged of
// it into a line, whatever the host looks like.
func (f *Facts) bound() {
	f.Holders = f.Holders[:min(len(f.Holders), maxHolders)]
	f.Between = f.Between[:min(len(f.Between), maxBetween)]
}

func (f Facts) encode() ([]byte, error) { return json.Marshal(factsPacket{Version, f}) }

func decodeFacts(b []byte) (Facts, error) {
	p := factsPacket{Facts: Facts{Audit: AuditUnset}}
	if len(b) > maxFacts {
		return Facts{}, fmt.Errorf("facts of %d bytes", len(b))
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return Facts{}, err
	}
	if p.V != Version {
		return Facts{}, errVersion
	}
	switch p.Standing {
	case Direct, Behind, Nested, Outside:
	default:
		return Facts{}, fmt.Errorf("standing %q", clip(string(p.Standing), maxSession))
	}
	if p.Nested != "" && !validSession(p.Nested) {
		return Facts{}, fmt.Errorf("session id %q", clip(p.Nested, maxSession))
	}
	if len(p.Holders) > maxHolders || len(p.Between) > maxBetween {
		return Facts{}, errors.New("too many processes")
	}
	for i := range p.Holders {
		p.Holders[i].Comm = clip(p.Holders[i].Comm, maxComm)
	}
	for i := range p.Between {
		p.Between[i] = clip(p.Between[i], maxComm)
	}
	return p.Facts, nil
}

// clip shortens s to n bytes. A rune that is cut shows as invalid UTF-8, which
// every user of these strings quotes.
func clip(s string, n int) string {
	return s[:min(len(s), n)]
}
