// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What sshd and PAM say of a login, at every level that people use (auth.c,
// auth_log; sshd.c; pam_unix). An account's name has no spaces.
var (
	acceptedLine  = regexp.MustCompile(`^Accepted \S+ for (\S+) from (\S+) port (\d+)`)
	connectedLine = regexp.MustCompile(`^Connection from (\S+) port (\d+) on `) // from VERBOSE on
	openedLine    = regexp.MustCompile(`^pam_unix\(sshd:session\): session opened for user ([^\s(]+)`)
)

// untold lists the logins of which the log could not have told whether a session
// began, and which no recording belongs to. A login without a session is nothing
// only where a session would have been told.
func (h *Host) untold(lines []entry, begun started, recorded map[connection]int) (all []string) {
	verbose := map[[2]string]bool{}
	var logins []connection
	accepted, opened := map[string]int{}, map[string]int{}
	for _, m := range lines {
		if !m.root {
			continue
		}
		if f := connectedLine.FindStringSubmatch(m.text); f != nil {
			verbose[[2]string{f[1], f[2]}] = true
		}
		if f := acceptedLine.FindStringSubmatch(m.text); f != nil {
			c := connection{f[1], f[2], f[3]}
			logins = append(logins, c)
			accepted[c.account]++
		}
		if f := openedLine.FindStringSubmatch(m.text); f != nil {
			opened[f[1]]++
		}
	}
	for _, c := range logins {
		told := verbose[[2]string{c.addr, c.port}] && h.tellsSessions(c.account)
		if begun.count[c] == 0 && recorded[c] == 0 && !told {
			all = append(all, fmt.Sprintf("can't know whether %s had a session: it came in, nothing is recorded, and sshd's log does not tell (below VERBOSE, or from within a ChrootDirectory)", c))
		}
	}
	for _, account := range sortedKeys(opened) {
		if more := opened[account] - accepted[account]; more > 0 {
			all = append(all, fmt.Sprintf("can't know of %d of %d logins of %q: PAM opened their sessions, and sshd's log says nothing of them", more, opened[account], account))
		}
	}
	return all
}

// tellsSessions says whether sshd's lines tell of an account's sessions. A Match
// block may have another level; and the process that would write the line is in
// the account's ChrootDirectory by then, where /dev/log is missing as a rule.
func (h *Host) tellsSessions(account string) bool {
	s, known := h.sshd[account]
	chroot := s.get("chrootdirectory")
	return known && verboseLevel(s.get("loglevel")) && (chroot == "" || chroot == "none")
}

func verboseLevel(level string) bool { return level == "VERBOSE" || strings.HasPrefix(level, "DEBUG") }

// silent names the time of which the journal has nothing, though castgate was in
// force, and the accounts of which sshd says too little now.
func (h *Host) silent(since time.Time) (all []Finding) {
	const what = "sessions that sshd started"
	if h.sshdErr != nil {
		all = append(all, failed(what, "can't know what is logged: "+h.sshdErr.Error(), "sshd -t")...)
	}
	var quiet []string
	for _, a := range h.Accounts {
		if s, asked := h.sshd[a.Name]; asked && !verboseLevel(s.get("loglevel")) {
			quiet = append(quiet, a.Name)
		}
	}
	if len(quiet) > 0 {
		all = append(all, Finding{Warn, what, "sshd's log is below VERBOSE for " + names(quiet) + ": from now on, too, no line says that a session began", "LogLevel VERBOSE; castgate enable"})
	}
	if enabled, err := time.Parse(time.RFC3339, noted("at")); err == nil && enabled.After(since) {
		since = enabled // before, nothing was promised
	}
	begins, err := journalBegins(h.ctx)
	switch {
	case err != nil:
		all = append(all, failed(what, "can't know since when the journal tells: "+err.Error(), "journalctl")...)
	case begins.After(since):
		all = append(all, Finding{
			Warn, what, fmt.Sprintf("can't know what was between %s and %s: the journal begins there", since.Local().Format(time.DateTime), begins.Format(time.DateTime)),
			"Storage=persistent and more room in journald.conf(5); castgate check -sessions more often",
		})
	}
	suppressed, err := h.journal(since, "SYSLOG_IDENTIFIER=systemd-journald")
	isLoss := func(m entry) bool { return m.root && lossLine.MatchString(m.text) }
	if err == nil && slices.ContainsFunc(suppressed, isLoss) {
		all = append(all, Finding{Warn, what, "can't know of everything: journald suppressed lines of sshd's", "RateLimitBurst in journald.conf(5)"})
	}
	return all
}

// lossLine is journald's own, of lines that it did not take.
var lossLine = regexp.MustCompile(`^Suppressed \d+ messages from .*sshd?\b`)

// journalBegins is the time of the oldest line.
func journalBegins(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // it would go on to the newest
	cmd := exec.CommandContext(ctx, "journalctl", "--quiet", "--no-pager", "--output=json", "--output-fields=_UID")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return time.Time{}, err
	}
	if err := cmd.Start(); err != nil {
		return time.Time{}, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	cancel()
	_ = cmd.Wait()
	var first struct {
		At string `json:"__REALTIME_TIMESTAMP"`
	}
	if err == nil {
		err = json.Unmarshal(line, &first)
	}
	micro, perr := strconv.ParseInt(first.At, 10, 64)
	if err == nil {
		err = perr
	}
	return time.UnixMicro(micro), err
}
