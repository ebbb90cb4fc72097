// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// Sessions compares what sshd says it started with what was recorded: the only
// way to see a session whose recorder never ran. It needs the recordings on this
// host: in the spool, or in a dir target. Where the log can't tell, that is what
// is said: silence is no recording.
func (h *Host) Sessions(since time.Time) []Finding {
	const what = "sessions that sshd started"
	lines, err := h.journal(since, "SYSLOG_IDENTIFIER=sshd", "SYSLOG_IDENTIFIER=sshd-session")
	if err != nil {
		return failed(what, "the journal: "+err.Error(), "journalctl -t sshd -t sshd-session")
	}
	archive := h.archiveDir()
	if archive == "" {
		return warn(what, "no target in upload.yaml is a directory of this host: what was delivered can't be compared", "run it where the archive is, or add a dir target")
	}
	guard, err := h.guardLog(since)
	if err != nil {
		return failed(what, "the guard's journal: "+err.Error(), "journalctl -u castgate-guard")
	}
	recorded := h.recordings(archive, since, guard.byHand)
	begun := starts(lines)
	all := h.silent(since)
	for _, key := range begun.order {
		missing := begun.count[key] - recorded[key]
		if missing <= 0 {
			continue
		}
		f := Finding{
			Fail, what, fmt.Sprintf("%d of %d sessions of %s are not recorded", missing, begun.count[key], key),
			"journalctl -t sshd -t sshd-session and the account's start-up files tell more; castgate check finds what is open; what castgate-wrap refused without its guard is in journalctl -t castgate-wrap, where users can write, too",
		}
		if guard.refused[key] >= missing {
			f.Level, f.Fix = Warn, "castgate-wrap refused them: journalctl -u castgate-guard says why"
		}
		all = append(all, f)
	}
	for _, why := range h.untold(lines, begun, recorded) {
		all = append(all, Finding{Fail, what, why, "LogLevel VERBOSE, as castgate enable sets it, makes sshd tell of every session"})
	}
	if all == nil {
		return ok(fmt.Sprintf("%s since %s: %d, each recorded", what, since.Format(time.DateTime), begun.total))
	}
	return all
}

// connection is what sshd's line and a recording's header both name.
type connection struct{ account, addr, port string }

func (c connection) String() string {
	return fmt.Sprintf("%q from %s port %s", c.account, c.addr, c.port)
}

// started counts sessions by connection: a connection may have several.
type started struct {
	order []connection
	count map[connection]int
	total int
}

// startLine is sshd's, at VERBOSE (session.c, do_exec). An account's name has
// no spaces.
var startLine = regexp.MustCompile(`^Starting session: .* for (\S+) from (\S+) port (\d+) id \d+$`)

func starts(messages []entry) started {
	s := started{count: map[connection]int{}}
	for _, m := range messages {
		f := startLine.FindStringSubmatch(m.text)
		if f == nil {
			continue
		}
		c := connection{f[1], f[2], f[3]}
		if s.count[c] == 0 {
			s.order = append(s.order, c)
		}
		s.count[c]++
		s.total++
	}
	return s
}

// entry is a line of the journal. root says that root's process wrote it, which
// nobody else can make it say.
type entry struct {
	text string
	root bool
}

// journal returns messages that match one of the fields. sshd writes its line
// as the user whose session begins, so that the line can't be missing but could
// be invented: then it shows here as a session without a recording.
func (h *Host) journal(since time.Time, fields ...string) ([]entry, error) {
	// Without --all a field of more than 4096 bytes comes as null: somebody's
	// long line would be no line.
	args := []string{"--quiet", "--no-pager", "--all", "--output=json", "--output-fields=MESSAGE,_UID", "--since=@" + strconv.FormatInt(since.Unix(), 10)}
	for i, f := range fields {
		if i > 0 {
			args = append(args, "+")
		}
		args = append(args, f)
	}
	out, err := output(h.ctx, "journalctl", args...)
	if err != nil {
		return nil, fmt.Errorf("%s", said(out, err))
	}
	var messages []entry
	for text := range strings.Lines(out) {
		var line struct {
			Message any
			UID     string `json:"_UID"`
		}
		if json.Unmarshal([]byte(text), &line) == nil {
			if text, is := line.Message.(string); is { // else bytes that are not UTF-8
				messages = append(messages, entry{text, line.UID == "0"})
			}
		}
	}
	return messages, nil
}

// archiveDir is the first target that is a directory, "" when none is.
func (h *Host) archiveDir() string {
	for _, t := range h.Upload.Targets {
		if t.Dir != nil {
			return t.Dir.Path
		}
	}
	return ""
}

// recordings counts by connection what is in the spool and in the archive. A
// recording that somebody started by hand inside a session does not count: it
// could be made to look like the one that is missing.
func (h *Host) recordings(archive string, since time.Time, byHand map[string]bool) map[connection]int {
	found := map[connection]int{}
	add := func(s *asciicast.Session) {
		if s == nil || s.Nested || s.Standing != "" || byHand[s.ID] {
			return
		}
		if addr, port, is := strings.Cut(s.Client, " "); is {
			found[connection{s.User, addr, port}]++
		}
	}
	seen := map[string]bool{} // kept in the spool and in the archive, too
	for _, dir := range []string{"live", "incoming", "kept", "bad"} {
		casts, _ := filepath.Glob(filepath.Join(h.Wrap.Spool, dir, "*.cast"))
		for _, path := range casts {
			seen[strings.TrimSuffix(filepath.Base(path), ".cast")] = true
			add(header(path))
		}
	}
	name, _ := os.Hostname()
	// A session that began just before may have been logged just after.
	first := since.UTC().Add(-24 * time.Hour).Format("2006/01/02")
	days, _ := filepath.Glob(filepath.Join(archive, "*", name, "[0-9]*", "[0-9]*", "[0-9]*"))
	for _, dir := range days {
		if day := dir[len(dir)-len(first):]; day < first {
			continue
		}
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			id, is := strings.CutSuffix(filepath.Base(path), ".json")
			if err == nil && is && d.Type().IsRegular() && !seen[id] {
				if text, err := os.ReadFile(path); err == nil {
					if m, err := manifest.Parse(text); err == nil {
						add((*asciicast.Session)(&m.Session))
					}
				}
			}
			return nil
		})
	}
	return found
}
