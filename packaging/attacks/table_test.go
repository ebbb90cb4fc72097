// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// row is an attack and what came of it at each door.
type row struct {
	attack
	verdicts [4]verdict // in the order of doors
}

// same stands where the guard has no part.
const same verdict = "-"

const tableDoc = "../../docs/attacks.md"

// update writes the table anew; a throwaway host can't write to the source
// tree, so that `make docs` copies it from there.
var update = flag.Bool("update", false, "write the table to .build/hosttest/attacks.md")

const head = `# What a recorded user may try, and what comes of it

Made by ` + "`make docs`" + ` from the results of packaging/attacks: every row is a test
that tries the attack on a throwaway host with a stock sshd. The naive recorder
runs as the user behind a ForceCommand, keeps its recording in a directory that
everybody may write to, and records terminals only: it shows that the attack,
as it is tried, does work. The other columns are castgate as shipped, with
` + "`leftovers: end`" + `: behind the snippet for sshd; as the login shell as well;
and, where the guard has a part in it, behind the snippet while no guard runs.

ForceCommand alone is what is left for root and for accounts that are not in
/etc/passwd; castgate enable makes the recorder the login shell of all others.

**works**: done, and neither a recording nor the log shows it. **seen**: done,
and shown there. **refused**: could not be done. **told**: done, but the header
of every recording says that the guard was away. The numbers are those of the
cases in the tests.

| | attack | naive recorder | castgate, ForceCommand | castgate, login shell | no guard | what closes it |
|---|---|---|---|---|---|---|
`

// tail is what no recorder on the host can close.
const tail = `
Three more have tests of their own, since nothing is done that a naive recorder
could be compared in: a session that no recording belongs to is found by the
client's port in sshd's log (103, TestSessionsCanBeMatched and
` + "`castgate check -sessions`" + `); one account's connections don't take all of the guard (525,
TestLimitPerUID); and ^C, ^\ and ^Z before the recorder has the terminal leave
no shell that isn't recorded (534, TestKeysBeforeTheRecorder). A unit of the
user's own systemd (` + "`systemd-run --user`" + `) needs a booted host: ` + "`castgate check`" + `
warns of it there, and a masked user@.service closes it.

Open by nature: what a program does that the session only starts (a script
that was fetched, a connection to somewhere else); during the session, a server
of one's own that the firewall lets others reach, and which is no recorded
session unless castgate-wrap is the login shell; what cron, at and the user's
systemd start; what a program of another session writes to a terminal that it
has opened before the recorder, in the fraction of a second between sshd's making
that terminal and the guard's revoking it, which is before any shell: that is
shown and not recorded; and whoever is root. auditd, a firewall, cron.deny and
at.deny are the tools for that.
`

func (r row) String() string {
	bold := func(v verdict) string {
		if v == works {
			return "**works**"
		}
		return string(v)
	}
	v := r.verdicts
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n", r.id, r.what, bold(v[0]), bold(v[1]), bold(v[2]), bold(v[3]), r.by)
}

// compare holds docs/attacks.md to what has just been found. A run of some of
// the attacks only looks at their rows.
func compare(t *testing.T, rows []row) {
	t.Helper()
	rows = slices.DeleteFunc(rows, func(r row) bool { return slices.Contains(r.verdicts[:], "") })
	var table strings.Builder
	table.WriteString(head)
	for _, r := range rows {
		table.WriteString(r.String())
	}
	table.WriteString(tail)
	if *update {
		if err := os.WriteFile("../../.build/hosttest/attacks.md", []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	doc, err := os.ReadFile(tableDoc)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !strings.Contains(string(doc), r.String()) {
			t.Errorf("docs/attacks.md does not have (make docs):\n%s", r)
		}
	}
	if len(rows) == len(attacks()) && string(doc) != table.String() {
		t.Error("docs/attacks.md has more than the tests found: make docs")
	}
}
