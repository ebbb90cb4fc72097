// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Step is one question on the way to a decision.
type Step struct {
	OK   bool
	Text string
}

func (d *Decision) step(format string, args ...any) {
	d.Steps = append(d.Steps, Step{true, fmt.Sprintf(format, args...)})
}

func (d *Decision) no(format string, args ...any) {
	d.Steps = append(d.Steps, Step{false, fmt.Sprintf(format, args...)})
}

// refuse is a step that may be the reason of the whole decision.
func (d *Decision) refuse(format string, args ...any) {
	d.no(format, args...)
	if !d.Allowed() {
		d.Why = d.Steps[len(d.Steps)-1].Text
	}
}

// remark adds to the last step what is for its reader alone.
func (d *Decision) remark(format string, args ...any) {
	d.Steps[len(d.Steps)-1].Text += fmt.Sprintf(format, args...)
}

// Explain writes how a decision came about: a line for each step with its
// verdict, and one sentence at the end that says why. err is the fault that
// Decide returned.
func (d *Decision) Explain(w io.Writer, err error) {
	for _, s := range d.Steps {
		verdict := "no"
		if s.OK {
			verdict = "ok"
		}
		fmt.Fprintf(w, "%s  %s\n", verdict, s.Text)
	}
	what := "any key"
	if d.Offered != "" {
		what = d.Offered
	}
	switch {
	case d.Allowed() && d.Offered != "":
		fmt.Fprintf(w, "%s opens %q: %s\n", what, d.Account, d.because())
	case d.Allowed():
		fmt.Fprintf(w, "%q is opened by %s: %s\n", d.Account, count(len(d.Lines), "key"), d.because())
	case err != nil:
		fmt.Fprintf(w, "%q is refused to %s: nobody can say who may open it: %v\n", d.Account, what, err)
	default:
		fmt.Fprintf(w, "%q is refused to %s: %s\n", d.Account, what, d.Why)
	}
}

// because says who was let in, and on whose word.
func (d *Decision) because() string {
	who := "their owners are members"
	if d.Login != "" {
		who = fmt.Sprintf("it belongs to %q (id %d), who is a member", d.Login, d.ID)
	}
	if d.First() {
		who += " and was never seen here: from the first login on the account is theirs alone"
	}
	switch d.Source {
	case "emergency":
		return d.Why
	case "github":
		return who + ", as GitHub says now"
	case "stale":
		return fmt.Sprintf("%s, as GitHub said %s ago; it does not answer now", who, d.Age.Truncate(time.Second))
	}
	return fmt.Sprintf("%s, as GitHub said %s ago", who, d.Age.Truncate(time.Second))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// explainGrant says whom the configuration lets in.
func (d *Decision) explainGrant(g grant) {
	var who []string
	for _, p := range g.logins {
		what := fmt.Sprintf("the GitHub login %q", p.login)
		if p.id != 0 {
			what = fmt.Sprintf("the GitHub id %d (%q)", p.id, p.login)
		}
		who = append(who, what+" as a member of "+strings.Join(g.need, " or "))
	}
	if len(g.teams) > 0 {
		who = append(who, "the members of "+strings.Join(g.teams, " and "))
	}
	d.step("%s: lets in %s", g.rule, strings.Join(who, ", and "))
}
