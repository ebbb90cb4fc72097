// SPDX-License-Identifier: AGPL-3.0-or-later

package record

import (
	"errors"
	"os"
	"syscall"
)

// End is how a session ended.
type End struct {
	Status int            // exit status; 128+n after signal n
	Signal syscall.Signal // 0 when the program exited by itself
	Hangup bool           // the client went away first
	Ended  bool           // the program has ended; else it was left behind
}

// ClientGone is the usual reason for a hang-up.
const ClientGone = "the client went away"

// StatusRefused is that of a session which can't be recorded, or not any longer.
const StatusRefused = 254

// Exited is the end of a program that wait(2) has told of.
func Exited(ws syscall.WaitStatus) End {
	if ws.Signaled() {
		return End{Status: 128 + int(ws.Signal()), Signal: ws.Signal(), Ended: true}
	}
	return End{Status: ws.ExitStatus(), Ended: true}
}

// NotRun is the end of a session whose program can't be run, with the status
// that a shell has for it.
func NotRun(err error) End {
	if errors.Is(err, os.ErrNotExist) {
		return End{Status: 127, Ended: true}
	}
	return End{Status: 126, Ended: true}
}
