// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"castgate/upload/manifest"
)

// Event is one look into the archive. It is kept before the answer is sent: in
// audit.log, in the system's log, and for a recording in a file of its own,
// which its page shows.
type Event struct {
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`
	Role   string    `json:"role,omitempty"`
	What   string    `json:"what"` // sign-in, sign-in refused, sign-out, list, search, view, play, read, follow, download
	ID     string    `json:"id,omitempty"`
	Host   string    `json:"host,omitempty"`   // whose the id is
	Path   string    `json:"path,omitempty"`   // the recording's, without its suffix: its host may have given the id twice
	Detail string    `json:"detail,omitempty"` // words, filters, a file's kind
	Client string    `json:"client"`

	Login   string `json:"login,omitempty"` // GitHub login of who looked, where it is known
	LoginID int64  `json:"login_id,omitempty"`
}

// by is the event with who it was.
func (ev Event) by(a Auditor) Event {
	ev.Who, ev.Role = a.Name, a.Role
	if a.Person.Known() {
		ev.Login, ev.LoginID = a.Person.Login(), a.Person.ID()
	}
	return ev
}

// Audit is the log of looks into the archive.
type Audit struct {
	mu   sync.Mutex
	root *os.Root
	log  *slog.Logger
}

const (
	auditLog   = "audit.log"
	watchedDir = "watched"
)

// OpenAudit keeps the log in dir.
func OpenAudit(dir string, log *slog.Logger) (*Audit, error) {
	if err := os.MkdirAll(dir, 0o770); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if err := root.MkdirAll(watchedDir, 0o770); err != nil {
		return nil, err
	}
	return &Audit{root: root, log: log}, nil
}

// Write keeps ev durably. Its caller must not go on when it fails: who looks
// unseen is what the log is there to prevent.
func (a *Audit) Write(ev Event) error {
	line, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	a.log.Info("audit", "what", ev.What, "who", ev.Who, "role", ev.Role, "login", ev.Login, "login_id", ev.LoginID, "id", ev.ID, "host", ev.Host, "path", ev.Path, "detail", ev.Detail, "client", ev.Client)
	a.mu.Lock()
	defer a.mu.Unlock()
	files := []string{auditLog}
	if ev.ID != "" {
		files = append(files, watchedFile(ev.ID, ev.Path))
	}
	for _, name := range files {
		if err := a.append(name, line); err != nil {
			return fmt.Errorf("write the audit log: %v", err) // not %w: to the page, it is no file that is missing
		}
	}
	return nil
}

// watchedFile is the file of the recording at base. An id tells nobody's, and a
// path may be longer than a file's name.
func watchedFile(id, base string) string {
	return watchedDir + "/" + id + "~" + manifest.Hash([]byte(base))
}

func (a *Audit) append(name string, line []byte) error {
	f, err := a.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	return errors.Join(err, f.Sync(), f.Close())
}

// maxWatched is how many of the latest events a recording's page shows.
const maxWatched = 50

// Watched returns the latest events of a recording, newest first. Those of
// before hosts were noted are kept by the id alone: of an id that others have,
// too, nobody knows which of the recordings was looked at.
func (a *Audit) Watched(r Recording) ([]Event, error) {
	all, err := a.watched(watchedFile(r.ID(), r.Base()))
	if err != nil || r.Claimed {
		return all, err
	}
	older, err := a.watched(watchedDir + "/" + r.ID())
	all = append(all, older...)
	return all[:min(len(all), maxWatched)], err
}

func (a *Audit) watched(name string) ([]Event, error) {
	f, err := a.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Event
	for in := bufio.NewScanner(f); in.Scan(); {
		var ev Event
		if json.Unmarshal(in.Bytes(), &ev) == nil { // a power cut may have torn a line
			all = append([]Event{ev}, all[:min(len(all), maxWatched-1)]...)
		}
	}
	return all, nil
}
