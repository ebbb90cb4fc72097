// SPDX-License-Identifier: AGPL-3.0-or-later

// Package asciicast is castgate's recording format: asciicast v3
// (https://docs.asciinema.org/manual/asciicast/v3/) with a header object of
// our own and two comments. A recording is a header line and one line for each
// event, all of it valid UTF-8:
//
//	{"version":3,"term":{"cols":80,"rows":24},...,"castgate":{...}}
//	[0.012345, "o", "hello\r\n"]
//	#raw //79gA==
//	[0.000200, "o", "\ufffd\ufffd\ufffd"]
//
// The interval is in seconds since the event before. Readers of v3 ignore the
// header keys and the comments they don't know, so every player can play it:
//
//   - "#raw BASE64" carries the exact bytes of the event on the next line, when
//     these are not UTF-8. The text of such an event is for other players; it
//     may be empty when the bytes are mostly binary.
//   - "#tail BASE64" carries the first bytes of a UTF-8 sequence that a read cut
//     in two. They have been shown; the next output event begins with them. A
//     tail means something only when no output event follows it: then the
//     recorder was killed between the two reads.
package asciicast

import "encoding/json"

// Version is the asciicast version that castgate writes.
const Version = 3

// MaxCells is the largest width and height in a header or resize event.
// Players allocate cols x rows cells, and a pty can be set to 65535x65535.
const MaxCells = 1000

// Event codes of asciicast v3.
const (
	Output = "o"
	Input  = "i"
	Marker = "m"
	Resize = "r"
	Exit   = "x"
)

// Header is the first line of a recording.
type Header struct {
	Version       int               `json:"version"`
	Term          Term              `json:"term"`
	Timestamp     int64             `json:"timestamp,omitempty"` // unix time, seconds
	IdleTimeLimit float64           `json:"idle_time_limit,omitempty"`
	Command       string            `json:"command,omitempty"`
	Title         string            `json:"title,omitempty"`
	Env           map[string]string `json:"env,omitempty"` // upper-case keys only
	Tags          []string          `json:"tags,omitempty"`
	Session       *Session          `json:"castgate,omitempty"`
}

// Term is the terminal of a recording.
type Term struct {
	Cols  int    `json:"cols"`
	Rows  int    `json:"rows"`
	Type  string `json:"type,omitempty"` // $TERM
	Theme *Theme `json:"theme,omitempty"`
}

// Theme is the colours of a terminal, "#rrggbb"; Palette has 8 or 16 of them
// with colons between. castgate writes none; other recorders' are kept.
type Theme struct {
	Fg      string `json:"fg"`
	Bg      string `json:"bg"`
	Palette string `json:"palette"`
}

// Session says whose recording this is. What is unknown is absent.
type Session struct {
	ID     string `json:"id"`               // UUIDv7, the name of the recording
	Mode   string `json:"mode"`             // setgid | plain | once
	Host   string `json:"host"`             // gethostname(2)
	User   string `json:"user"`             // account
	UID    int    `json:"uid"`              //
	Gecos  string `json:"gecos,omitempty"`  // the account's full name, where a ttyspy client tells it
	Login  string `json:"login,omitempty"`  // GitHub login, from the session hook only
	Key    string `json:"key,omitempty"`    // SHA256 fingerprint of the accepted key
	Client string `json:"client,omitempty"` // "address port", from SSH_CONNECTION
	Server string `json:"server,omitempty"` // "address port"
	TTY    bool   `json:"tty"`              // a terminal session
	Kind   string `json:"kind"`             // shell | command | transfer | subsystem
	Asked  string `json:"asked,omitempty"`  // the client's command, where its key is restricted to another: Header.Command
	Shell  string `json:"shell,omitempty"`  // "before": a shell of the account's ran before the recorder, which was not its login shell
	Boot   string `json:"boot,omitempty"`   // /proc/sys/kernel/random/boot_id
	Audit  int64  `json:"audit,omitempty"`  // audit session, /proc/self/sessionid
	Parent string `json:"parent,omitempty"` // session in which this one was started by hand
	Nested bool   `json:"nested,omitempty"` // the peer was no child of root's sshd
	Guard  string `json:"guard,omitempty"`  // "", or why the guard did not help

	LoginID  int64    `json:"login_id,omitempty"` // GitHub's numeric id of who has Login; it stays theirs
	Standing string   `json:"standing,omitempty"` // where the guard found the recorder, unless sshd started it: behind | nested | outside
	Holders  []string `json:"holders,omitempty"`  // processes that had the terminal open before the session, "name pid uid"

	Version string `json:"version"` // of the recorder: "castgate 1.0.0"

	More map[string]json.RawMessage `json:"-"` // keys of a newer recorder, session_more.go
}

// Kinds of session, Session.Kind.
const (
	KindShell     = "shell"
	KindCommand   = "command"
	KindTransfer  = "transfer"
	KindSubsystem = "subsystem"
)

// Clamp returns a size that players survive: what a terminal that doesn't know
// its size (0x0) is taken for is 80x24, as by every terminal library.
func Clamp(cols, rows int) (int, int) {
	if cols <= 0 {
		cols = 80
	}
	if rows <= 0 {
		rows = 24
	}
	return min(cols, MaxCells), min(rows, MaxCells)
}
