// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"fmt"
	"io"
)

// Explain writes how a decision came about, step by step, and one sentence at
// the end that says why. err is the fault that Decide returned.
func (d *Decision) Explain(w io.Writer, err error) {
	for i, step := range d.Steps {
		fmt.Fprintf(w, "%d. %s\n", i+1, step)
	}
	switch {
	case err != nil:
		fmt.Fprintf(w, "%q can't be decided: %v\n", d.Account, err)
	case d.Allowed():
		fmt.Fprintf(w, "%q is opened by %d key(s): %s\n", d.Account, len(d.Lines), d.Why)
	default:
		fmt.Fprintf(w, "%q is refused: %s\n", d.Account, d.Why)
	}
}
