// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"castgate/cmd/internal/cli"
)

// notePath is what castgate enable notes of itself: when and by whom, how it was
// tried, or why not, and what it wrote.
const notePath = "/etc/castgate/enabled"

func (s *Switch) note(p *plan, t *trial) (fileChange, error) {
	c, err := newChange(notePath, nil)
	trial := fmt.Sprintf("none: %q", s.NoTrial)
	if t != nil {
		trial = "a login of " + t.account.Name
	}
	c.after = fmt.Appendf(nil, "# castgate enable wrote this, and the next one reads it.\nat: %s\nby: %s\ntrial: %s\ndrop-in: %s\n",
		time.Now().UTC().Format(time.RFC3339), cmp.Or(behind(), "root"), trial, sum(p.text))
	return c, err
}

func sum(text []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(text)) }

// noted is a line of the note.
func noted(key string) string {
	text, _ := os.ReadFile(notePath)
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, key+": "); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// handEdited returns an error when somebody else than castgate enable has put
// lines into the drop-in that the new one does not have. Whoever is asked sees
// them in the diff.
func handEdited(text []byte) error {
	now, err := os.ReadFile(Snippet)
	if err != nil || sum(now) == noted("drop-in") {
		return nil
	}
	kept := directives(text)
	lost := slices.DeleteFunc(directives(now), func(l string) bool { return slices.Contains(kept, l) })
	if len(lost) == 0 {
		return nil
	}
	return cli.Hint(fmt.Errorf("%s has lines that castgate enable did not write and would take out: %s", Snippet, names(lost)),
		"put them into a file of their own that sorts after it; without -yes the change is shown and asked about; -force makes it")
}

// directives are the lines of an sshd_config that say something.
func directives(text []byte) (all []string) {
	for line := range strings.Lines(string(text)) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all
}
