// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"castgate/keys"
)

// recorded reports whether a session of the account runs under the recorder,
// by ForceCommand or because the recorder is its shell.
func recorded(_ Account, s settings) bool {
	// Without exec some shells stay between sshd and the recorder, where the
	// user can stop them (docs/attacks.md, 512).
	return s.get("forcecommand") == "exec "+wrapPath
}

func (h *Host) forced() []Finding {
	return h.each("every session runs under the recorder",
		"ForceCommand is not \"exec "+wrapPath+"\": "+from(configured(sshdMain), "forcecommand")+" comes first",
		"castgate enable, and no other ForceCommand above it", Fail, recorded)
}

// decisive are the options that castgate's drop-in sets for everybody.
var decisive = []string{
	"forcecommand", "setenv", "disableforwarding", "permittunnel", "permituserrc", "permituserenvironment",
	"authorizedkeyscommand", "authorizedkeysfile", "acceptenv",
}

// byPlace are Match criteria that depend on where a client comes from: no
// question to sshd -T tries every address.
var byPlace = []string{"address", "host", "localaddress", "localport", "rdomain", "version"}

var (
	equals = regexp.MustCompile(`\s*=\s*`)
	words  = regexp.MustCompile(`("[^"]*"|[^\s"])+`)
)

// placed reports whether a Match line has one of them. A criterion is followed
// by its patterns, which may be called as they like.
func placed(match string) bool {
	line := words.FindAllString(equals.ReplaceAllString(match, "="), -1)
	for len(line) > 0 && !strings.HasPrefix(line[0], "#") {
		criterion, _, whole := strings.Cut(strings.ToLower(line[0]), "=")
		if slices.Contains(byPlace, criterion) {
			return true
		}
		if line = line[1:]; !whole && criterion != "all" && criterion != "invalid-user" {
			line = line[min(1, len(line)):]
		}
	}
	return false
}

// elsewhere finds, above castgate's own lines, what holds for some clients only.
func (h *Host) elsewhere() []Finding {
	const what = "the same for clients from everywhere"
	match, file := "", ""
	for _, s := range configured(sshdMain) {
		if s.file != file {
			match, file = "", s.file // a Match ends with its file
		}
		switch {
		case s.file == Snippet:
			return ok(what)
		case s.key == "match":
			match = s.value
		case placed(match) && slices.Contains(decisive, s.key):
			return failed(what, fmt.Sprintf("%s:%d decides otherwise under \"Match %s\"", s.file, s.line, match), "move it into a file that sorts after "+filepath.Base(Snippet))
		}
	}
	return ok(what)
}

func (h *Host) emptyHome() []Finding {
	return h.each("no start-up file runs before the recorder",
		"SetEnv HOME="+homePath+" is not in force: ~/.bashrc, ~/.zshenv and others run unrecorded",
		"one SetEnv line with all variables, HOME first: sshd ignores a second line", Fail,
		func(a Account, s settings) bool {
			return a.Shell == wrapPath || slices.Contains(s["setenv"], "HOME="+homePath)
		})
}

// forwarding: DisableForwarding says nothing of tunnels and, before OpenSSH
// 10.0, forgets X11 and the agent (CVE-2025-32728).
func (h *Host) forwarding() []Finding {
	return h.each("forwarding", "connections through the host pass the recorder by, and no log shows them",
		"DisableForwarding yes, X11Forwarding no, AllowAgentForwarding no and PermitTunnel no, as in "+Example, Fail,
		func(_ Account, s settings) bool {
			return s.get("disableforwarding") == "yes" && s.get("permittunnel") == "no" &&
				(!h.version.before(10, 0) || s.get("x11forwarding") == "no" && s.get("allowagentforwarding") == "no")
		})
}

func (h *Host) userRC() []Finding {
	return h.each("~/.ssh/rc", "sshd runs it before the recorder where a key carries a command", "PermitUserRC no", Fail,
		func(_ Account, s settings) bool { return s.get("permituserrc") == "no" })
}

func (h *Host) userEnvironment() []Finding {
	return h.each("~/.ssh/environment", "LD_PRELOAD and BASH_ENV from there run before the recorder", "PermitUserEnvironment no", Fail,
		func(_ Account, s settings) bool { return s.get("permituserenvironment") == "no" })
}

// harmless are the names that clients may send: the locale, as Debian ships it.
var harmless = regexp.MustCompile(`^(LANG|LANGUAGE|LC_[A-Z_*]*|COLORTERM|NO_COLOR)$`)

func (h *Host) clientEnvironment() []Finding {
	return h.each("variables that clients may send", "AcceptEnv takes more than the locale: LD_PRELOAD or BASH_ENV could come with a login", "AcceptEnv LANG LC_*", Fail,
		func(_ Account, s settings) bool {
			for _, line := range s["acceptenv"] {
				for _, name := range strings.Fields(line) {
					if !harmless.MatchString(name) {
						return false
					}
				}
			}
			return true
		})
}

func (h *Host) pam() []Finding {
	return h.each("UsePAM", "without PAM a session has no audit id: what it leaves behind can't be told from other people's", "UsePAM yes", Warn,
		func(_ Account, s settings) bool { return s.get("usepam") == "yes" })
}

// pamStack is the text of a PAM service with what it includes, without its
// comments (pam.conf(5)).
func pamStack(path string) []byte {
	var all []byte
	seen := map[string]bool{}
	var read func(path string)
	read = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		text, _ := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			line, _, _ = strings.Cut(strings.TrimRight(line, "\n"), "#")
			f := strings.Fields(line)
			switch {
			case len(f) == 2 && f[0] == "@include":
				read(filepath.Join(filepath.Dir(path), f[1]))
			case len(f) == 3 && (f[1] == "include" || f[1] == "substack"):
				read(filepath.Join(filepath.Dir(path), f[2]))
			default:
				all = append(append(all, line...), '\n')
			}
		}
	}
	read(path)
	return all
}

var readenv = regexp.MustCompile(`(?m)^.*pam_env\.so.*\buser_readenv=1`)

// readenv: LD_PRELOAD from ~/.pam_environment is in force before the shell that
// starts the recorder, and SSH_AUTH_INFO_0 before the session hook reads it.
func (h *Host) readenv() []Finding {
	const what = "~/.pam_environment"
	line := readenv.Find(pamStack(pamSshd))
	if line == nil {
		return ok(what)
	}
	return failed(what, fmt.Sprintf("%q in PAM's files for sshd lets people set variables for what runs before the recorder", line),
		"castgate enable takes it out of "+pamSshd+"; take it out of what that includes by hand")
}

// sessionHook tells who came in.
func (h *Host) sessionHook() []Finding {
	const what = "who it was"
	if hasHook(pamStack(pamSshd)) {
		return ok(what)
	}
	return warn(what, "recordings will not name the person, nor the key: the PAM session hook is off", "castgate enable")
}

// beforeRecorder: a shell that sshd starts before it is the recorder can be
// taken, or its pipes, by another process of the same account.
func (h *Host) beforeRecorder() []Finding {
	const what = "nothing of the account's runs before the recorder"
	local, err := localAccounts()
	if err != nil {
		return failed(what, err.Error(), "castgate enable")
	}
	if h.keysErr != nil {
		return nil // keysYAML has said it
	}
	svc, _ := keys.New(h.Keys) // without a cache the configuration says who gets in
	var here, elsewhere []string
	for _, a := range h.Accounts {
		switch {
		case !a.wantsRecorder(svc.Owners.Opens):
		case slices.Contains(local, a):
			here = append(here, a.Name)
		default:
			elsewhere = append(elsewhere, a.Name)
		}
	}
	var all []Finding
	if len(here) > 0 {
		all = append(all, Finding{Fail, what, "sshd starts the shell of " + names(here) + " first, and another process of theirs can take it", "castgate enable makes the recorder their login shell"})
	}
	if len(elsewhere) > 0 {
		all = append(all, Finding{Warn, what, "sshd starts the shell of " + names(elsewhere) + " first, and another process of theirs can take it; they are not in /etc/passwd", "set their shell to " + wrapPath + " where they come from (sssd.conf(5), override_shell), with their own under shells in wrap.yaml"})
	}
	if all == nil {
		return ok(what)
	}
	return all
}

func (h *Host) idleConnections() []Finding {
	// The option came with OpenSSH 9.2.
	return h.each("connections without a session, and dead ones", "they stay for ever, unseen", "UnusedConnectionTimeout 30 and ClientAliveInterval 15", Warn,
		func(_ Account, s settings) bool {
			alive, _ := strconv.Atoi(s.get("clientaliveinterval"))
			unused := s.get("unusedconnectiontimeout")
			return alive > 0 && (h.version.before(9, 2) || unused != "" && unused != "none" && unused != "0")
		})
}

func (h *Host) logLevel() []Finding {
	return h.each("sshd's log", "below VERBOSE no line says that a session began: castgate check -sessions can't compare", "LogLevel VERBOSE", Warn,
		func(_ Account, s settings) bool {
			level := s.get("loglevel")
			return level == "VERBOSE" || strings.HasPrefix(level, "DEBUG")
		})
}

// otherDoors are ways to start processes that no recorder sees and that a
// person can open from inside a session.
func (h *Host) otherDoors() []Finding {
	const what = "ways to start processes outside sessions"
	var found []string
	for _, a := range h.Accounts {
		if a.UID == 0 {
			continue
		}
		for path, name := range map[string]string{"/var/lib/systemd/linger/": "lingering services", "/var/spool/cron/crontabs/": "a crontab"} {
			if _, err := os.Stat(path + a.Name); err == nil {
				found = append(found, fmt.Sprintf("%s has %s", a.Name, name))
			}
		}
	}
	jobs, _ := filepath.Glob("/var/spool/cron/atjobs/a*")
	if len(jobs) > 0 {
		found = append(found, fmt.Sprintf("%d at jobs wait", len(jobs)))
	}
	slices.Sort(found)
	var all []Finding
	if len(found) > 0 {
		all = append(all, Finding{Warn, what, "what runs there is not recorded: " + names(found), "look at them; cron.deny, at.deny and `loginctl disable-linger` close these doors"})
	}
	if ways := h.lasting(); h.Wrap.Leftovers == "end" && len(ways) > 0 {
		all = append(all, Finding{
			Warn, what, "people can start some that \"leftovers: end\" does not end, with " + names(ways),
			"systemctl mask user@.service; name in /etc/cron.allow and /etc/at.allow who may (an empty file: root)",
		})
	}
	if all == nil {
		return ok(what)
	}
	return all
}

// lasting lists the ways by which people start processes that are no session's.
// Where there is a list of who may, somebody has thought of it.
func (h *Host) lasting() []string {
	var ways []string
	for _, p := range []struct{ program, list string }{{"crontab", "/etc/cron.allow"}, {"at", "/etc/at.allow"}} {
		_, missing := os.Stat("/usr/bin/" + p.program)
		_, anybody := os.Stat(p.list)
		if missing == nil && anybody != nil {
			ways = append(ways, p.program)
		}
	}
	if out, err := output(h.ctx, "systemctl", "is-enabled", "user@.service"); err == nil || out != "masked" {
		ways = append(ways, "systemd-run --user")
	}
	return ways
}

// unrecorded: what wrap.yaml lets pass on purpose, in case it was not meant.
func (h *Host) unrecorded() []Finding {
	const what = "what wrap.yaml lets pass unrecorded"
	if h.wrapErr != nil {
		return nil // wrapYAML has said it
	}
	var all []Finding
	if allowed := h.allowed(); len(allowed) > 0 {
		all = append(all, Finding{Warn, what, `"on_failure: allow" for ` + names(allowed) + ": whoever fills the spool's file system goes on without a recording", "on_failure: deny"})
	}
	if h.Wrap.Record.Commands == "metadata" {
		all = append(all, Finding{Warn, what, `"commands: metadata" for everybody: of "ssh host bash -i" nothing is kept that it showed`, "commands: yes, and metadata in a rule for the accounts that need it"})
	}
	if all == nil {
		return ok(what)
	}
	return all
}

// allowed are the accounts with "on_failure: allow". Their groups are a process
// for each account: they are asked for only where a rule depends on them.
func (h *Host) allowed() (all []string) {
	allow, byGroup := h.Wrap.OnFailure == "allow", false
	for _, r := range h.Wrap.Rules {
		allow, byGroup = allow || r.OnFailure == "allow", byGroup || len(r.Groups) > 0
	}
	if !allow {
		return nil
	}
	for _, a := range h.Accounts {
		if a.UID == 0 {
			continue
		}
		groups := ""
		if byGroup {
			groups, _ = output(h.ctx, "id", "-nG", a.Name)
		}
		if h.Wrap.For(a.Name, strings.Fields(groups)).OnFailure == "allow" {
			all = append(all, a.Name)
		}
	}
	return all
}

func (h *Host) selinux() []Finding {
	const what = "SELinux"
	if text, err := os.ReadFile("/sys/fs/selinux/enforce"); err == nil && strings.TrimSpace(string(text)) == "1" {
		return warn(what, "it is enforcing, and castgate ships no policy module: it may keep sshd from running castgate-keys", "ausearch -m avc -c castgate-keys shows refusals")
	}
	return ok(what)
}
