// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import "fmt"

// Exit statuses of castgate-once itself. A session's own status is passed on,
// so that these lie where programs seldom are: above sysexits(3), below the
// shell's 126. castgate-once(1) lists them.
const (
	StatusKeysMissing    = 81 // the authorized keys don't exist
	StatusKeysUnreadable = 82 // they can't be read
	StatusKeysUnparsable = 83 // a line of them can't be understood
	StatusKeysEmpty      = 84 // there is no key in them
	StatusAnnounceAbsent = 85 // the announce command isn't found or not executable
	StatusAnnounceFailed = 86 // the announce command has failed
	StatusPort           = 87 // the port can't be bound
	StatusGone           = 88 // the remote side went away before the session's end
	StatusLog            = 89 // the log can't be written
	StatusShell          = 90 // there is no shell to run
)

// Fault is a failure with an exit status of its own.
type Fault struct {
	Status int
	err    error
	hint   string
}

func (f *Fault) Error() string { return f.err.Error() }
func (f *Fault) Unwrap() error { return f.err }

// Hint is advice for the person who starts the container.
func (f *Fault) Hint() string { return f.hint }

func fault(status int, format string, args ...any) *Fault {
	return &Fault{Status: status, err: fmt.Errorf(format, args...)}
}

func (f *Fault) advise(hint string) *Fault {
	f.hint = hint
	return f
}
