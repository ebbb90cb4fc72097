// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"castgate/keys/owners"
)

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
		var h interface{ Hint() string }
		if errors.As(err, &h) && h.Hint() != "" {
			fmt.Fprintf(w, "hint: %s\n", h.Hint())
		}
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
func (d *Decision) explainGrant(g owners.Grant) {
	var who []string
	for _, p := range g.Logins {
		what := fmt.Sprintf("the GitHub login %q", p.Login)
		if p.ID != 0 {
			what = fmt.Sprintf("the GitHub id %d (%q)", p.ID, p.Login)
		}
		who = append(who, what+" as a member of "+strings.Join(g.Need, " or "))
	}
	if len(g.Teams) > 0 {
		who = append(who, "the members of "+strings.Join(g.Teams, " and "))
	}
	d.step("%s: lets in %s", g.Rule, strings.Join(who, ", and "))
}
