// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"castgate/wrap/account"
	"castgate/wrap/asciicast"
	"castgate/wrap/config"
	"castgate/wrap/guard"
	"castgate/wrap/hint"
	"castgate/wrap/record"
	"castgate/wrap/spool"
	"castgate/wrap/terminal"
	"castgate/wrap/transfer"
)

// Invocation is the process as castgate-wrap found it.
type Invocation struct {
	Argv    []string // with argv[0]
	Environ []string
	Version string
	Log     *slog.Logger
	Config  string // config.Path; another one only in tests
}

// Refused is a session that policy doesn't let begin or go on. Its text is for
// the person; the cause, with paths of this host, is in the log.
type Refused struct {
	Session string
	Ended   bool // it had begun
	cause   error
}

func (r *Refused) Error() string {
	if r.Ended {
		return "this session can't be recorded any longer and has been ended"
	}
	return "this session can't be recorded and is refused"
}

// Hint tells the person what to tell their administrator.
func (r *Refused) Hint() string {
	return "tell your administrator; the system log says why under session " + r.Session
}

func (r *Refused) Unwrap() error { return r.cause }

// session is one run of the recorder.
type session struct {
	inv     Invocation
	req     request
	account account.Account
	config  config.Config
	policy  config.Policy
	shell   string
	command terminal.Program
	moved   transfer.Transfer // what a transfer runs
	tty     bool
	id      string
	header  asciicast.Header
	log     *slog.Logger
	start   time.Time

	wake  *terminal.Waker
	dir   *spool.Dir
	file  *os.File
	rec   *record.Recorder
	guard atomic.Pointer[guard.Conn] // nil without one
	over  atomic.Bool                // the line of its end has been said
	facts string                     // of a transfer
}

func (s *session) lookupEnv(key string) (string, bool) {
	for _, kv := range s.inv.Environ {
		if v, ok := strings.CutPrefix(kv, key+"="); ok {
			return v, true
		}
	}
	return "", false
}

func (s *session) getenv(key string) string {
	v, _ := s.lookupEnv(key)
	return v
}

// groups are looked up only for rules that name some.
func (s *session) groups() []string {
	for _, r := range s.config.Rules {
		if len(r.Groups) > 0 {
			return account.Groups()
		}
	}
	return nil
}

// mayGoOn decides in one place between fail open and fail closed. Root is
// never locked out of a host whose disk they must empty.
func (s *session) mayGoOn() bool { return s.policy.OnFailure == "allow" || os.Getuid() == 0 }

func (s *session) refuse(err error) error {
	s.log.Error(guard.LineRefused, s.who("why", err.Error(), "hint", hint.Of(err))...)
	return &Refused{Session: s.id, cause: err}
}

// who is the fields that every line about a session has.
func (s *session) who(more ...any) []any {
	h := s.header.Session
	if h == nil {
		h = &asciicast.Session{}
	}
	fields := []any{
		"account", s.account.Name, "uid", os.Getuid(), "login", h.Login, "key", h.Key, "client", h.Client,
		"kind", h.Kind, "tty", s.tty, "mode", h.Mode, "nested", h.Nested, "parent", h.Parent,
	}
	return append(fields, more...)
}
