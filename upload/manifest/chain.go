// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// chain is the manifests of one host, which is a directory of the archive.
type chain struct {
	host  string
	links []*link
}

type link struct {
	sequence       int64
	hash, previous [32]byte
	id, path       string
}

// faults follows the chain. Who removes, replaces or inserts a recording would
// have to sign all those after it anew. The last recordings have none after
// them: that they are gone only a memory can tell (Known).
func (c *chain) faults() []Fault {
	slices.SortFunc(c.links, func(a, b *link) int { return cmp.Or(cmp.Compare(a.sequence, b.sequence), cmp.Compare(a.id, b.id)) })
	known := map[[32]byte]int{}
	next := map[[32]byte]string{} // id of the manifest made after the one with that hash
	for i, l := range c.links {
		known[l.hash] = i
	}
	var out []Fault
	fault := func(kind string, l *link, format string, args ...any) {
		out = append(out, Fault{kind, l.path, l.id, c.host, fmt.Sprintf(format, args...)})
	}
	starts := 0
	for i, l := range c.links {
		if l.sequence == 1 {
			if starts++; starts > 1 {
				fault(FaultRestart, l, "the chain of host %q begins anew here: its uploader lost its state, or somebody made this up", c.host)
			}
			continue
		}
		if other, ok := next[l.previous]; ok {
			fault(FaultFork, l, "recordings %s and %s were both made after the same one", other, l.id)
		}
		next[l.previous] = l.id
		if _, ok := known[l.previous]; !ok {
			c.broken(i, fault)
		}
	}
	return out
}

// broken explains why the manifest before link i is not known: it was replaced
// or it, and perhaps others before it, are gone.
func (c *chain) broken(i int, fault func(kind string, l *link, format string, args ...any)) {
	l := c.links[i]
	before := i - 1
	for before >= 0 && c.links[before].sequence >= l.sequence {
		before--
	}
	switch {
	case before < 0:
		fault(FaultHole, l, "%s before it %s gone", count(l.sequence-1), isAre(l.sequence-1))
	case c.links[before].sequence == l.sequence-1:
		p := c.links[before]
		fault(FaultReplaced, p, "it is not the manifest that recording %s was made after", l.id)
	default:
		p := c.links[before]
		n := l.sequence - p.sequence - 1
		fault(FaultHole, l, "%s between %s and %s %s gone", count(n), p.id, l.id, isAre(n))
	}
}

func count(n int64) string {
	if n == 1 {
		return "1 recording"
	}
	return fmt.Sprintf("%d recordings", n)
}

func isAre(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func sortedKeys(m map[string]*chain) []string { return slices.Sorted(maps.Keys(m)) }
