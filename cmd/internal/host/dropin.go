// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"castgate/cmd/internal/cli"
	"castgate/wrap/guard"
)

// dropIn is castgate's part of sshd's configuration for this host: the shipped
// one, which keeps what the host had narrower already.
func dropIn(ctx context.Context, args []string) ([]byte, error) {
	text, err := os.ReadFile(Example)
	if err != nil {
		return nil, cli.Hint(err, "install the package again, or take the file from /usr/share/doc/castgate/examples")
	}
	global, err := asked(ctx, args)
	if err != nil {
		return nil, err
	}
	root, err := effective(ctx, args, []Account{{Name: "root"}})
	if err != nil {
		return nil, err
	}
	return narrowed(text, global, root["root"]), nil
}

// narrower are the keywords whose values castgate enable takes over from the host.
var narrower = []string{"AuthorizedKeysFile", "SetEnv", "UnusedConnectionTimeout"}

// narrowed writes into the shipped drop-in what is in force now and opens less.
func narrowed(text []byte, global, root settings) []byte {
	// The file that stays root's way in is opened only where it was read until now.
	if files := root.get("authorizedkeysfile"); !slices.ContainsFunc(strings.Fields(files), usualFile) {
		// Since OpenSSH 10.6 none is not printed.
		text = replaceValue(text, `(?m)^    AuthorizedKeysFile .*$`, "    AuthorizedKeysFile "+cmp.Or(files, "none"))
	}
	// sshd reads one SetEnv line only.
	var env []string
	for _, value := range global["setenv"] {
		if !strings.HasPrefix(value, "HOME=") {
			env = append(env, ` "`+value+`"`)
		}
	}
	text = replaceValue(text, `(?m)^SetEnv .*$`, "SetEnv HOME="+homePath+strings.Join(env, ""))
	if seconds, err := strconv.Atoi(global.get("unusedconnectiontimeout")); err == nil && seconds > 0 && seconds < 30 {
		text = replaceValue(text, `(?m)^UnusedConnectionTimeout .*$`, "UnusedConnectionTimeout "+strconv.Itoa(seconds))
	}
	return text
}

func replaceValue(text []byte, pattern, line string) []byte {
	return regexp.MustCompile(pattern).ReplaceAllLiteral(text, []byte(line))
}

func usualFile(name string) bool {
	return slices.Contains([]string{".ssh/authorized_keys", "%h/.ssh/authorized_keys", "/root/.ssh/authorized_keys"}, name)
}

// sessionHookLine is what enable adds to PAM's stack of sshd.
const sessionHookLine = "session optional pam_exec.so quiet /usr/lib/castgate/castgate-guard session-hook # castgate enable\n"

// pamWanted is PAM's file for sshd as castgate wants it: ~/.pam_environment is
// left unread, and the session hook tells who came in, and with which key. hooked
// says that another file of the stack has the hook already.
func pamWanted(pam []byte, hooked bool) []byte {
	pam = regexp.MustCompile(`(?m)^([^#\n]*pam_env\.so.*?)[ \t]+user_readenv=1`).ReplaceAll(pam, []byte("$1"))
	if hooked || bytes.Contains(pam, []byte(sessionHookLine)) {
		return pam
	}
	if at := sessionStart.FindIndex(pam); at != nil {
		return slices.Concat(pam[:at[0]], []byte(sessionHookLine), pam[at[0]:])
	}
	if len(pam) > 0 && pam[len(pam)-1] != '\n' {
		pam = append(pam, '\n')
	}
	return append(pam, sessionHookLine...)
}

// sessionStart is the first line after which a module may set variables that
// the hook would read in the place of sshd's.
var sessionStart = regexp.MustCompile(`(?m)^(session\b.*\bpam_env\.so|@include[ \t]+common-session|session[ \t]+(include|substack)[ \t])`)

// pamEnabled lists the changes to PAM's file, with a copy of it for disable.
// Where sshd does not use PAM a hook would be one that never speaks.
func pamEnabled(used bool) (changes, error) {
	now, err := newChange(pamSshd, nil)
	if err != nil || now.before == nil {
		return nil, err // no PAM
	}
	now.after = pamWanted(now.before, !used || guard.Hooked(guard.PAMStack(pamSshd)))
	kept, err := newChange(pamKept, nil)
	if err != nil {
		return nil, err
	}
	kept.after = now.before
	// The copy of an earlier enable, after which castgate alone has changed the file, stays.
	if kept.before != nil && bytes.Equal(pamWanted(kept.before, false), now.after) {
		kept.after = kept.before
	}
	if !now.needed() {
		kept.after = kept.before
	}
	return changes{kept, now}, nil // the copy first: without it nothing could be put back
}

// pamDisabled puts PAM's file back. What somebody changed since stays, but the
// hook goes.
func pamDisabled() (changes, error) {
	now, err := newChange(pamSshd, nil)
	if err != nil || now.before == nil {
		return nil, err
	}
	now.after = bytes.ReplaceAll(now.before, []byte(sessionHookLine), nil)
	kept, err := newChange(pamKept, nil)
	if err != nil {
		return nil, err
	}
	for _, hooked := range []bool{true, false} {
		if kept.before != nil && bytes.Equal(now.before, pamWanted(kept.before, hooked)) {
			now.after = kept.before
		}
	}
	return changes{now, kept}, nil
}
