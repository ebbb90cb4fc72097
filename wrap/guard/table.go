// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"os"
	"strconv"
)

// table is the process table as one pass over /proc saw it. Processes come and
// go during the pass: it is never the truth of one moment, and whoever acts on
// it looks again.
type table map[int]process

// pids lists the processes, in the order of their numbers: what is born during
// the pass has a higher number, and is mostly still seen.
func pids() ([]int, error) {
	names, err := readNames("/proc")
	if err != nil {
		return nil, err
	}
	list := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			list = append(list, pid)
		}
	}
	return list, nil
}

func snapshot() (table, error) {
	list, err := pids()
	if err != nil {
		return nil, err
	}
	t := make(table, len(list))
	for _, pid := range list {
		if p, err := readProcess(pid); err == nil {
			t[pid] = p
		}
	}
	return t, nil
}

// under says that p is root or has it among its ancestors.
func (t table) under(p, root process) bool {
	for range maxAncestors {
		if p.same(root) {
			return true
		}
		parent, ok := t[p.ppid]
		if !ok || p.ppid == 0 {
			return false
		}
		p = parent
	}
	return false
}

func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}
