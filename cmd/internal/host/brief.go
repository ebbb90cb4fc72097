// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"fmt"
	"strings"
)

// unread wraps a check of what castgate's lines in sshd's configuration set:
// where sshd does not read them, its findings follow from that.
func unread(check func(*Host) []Finding) func(*Host) []Finding {
	return func(h *Host) []Finding {
		off := h.notInForce().Level == Fail
		return h.following(check(h), func(Finding) bool { return off })
	}
}

// disabled wraps a check of what else `castgate enable` sets, as far as it does.
func disabled(check func(*Host) []Finding) func(*Host) []Finding {
	return func(h *Host) []Finding {
		off := h.notInForce().Fix == enableFix
		return h.following(check(h), func(f Finding) bool { return off && strings.HasPrefix(f.Fix, enableFix) })
	}
}

func (h *Host) following(found []Finding, follows func(Finding) bool) []Finding {
	for _, f := range found {
		if f.Level != OK && follows(f) {
			h.follows[f] = true
		}
	}
	return found
}

// Brief is a report for a person at the keyboard: what to do, each cause once.
// What is as it should be is only counted.
func (h *Host) Brief(all []Finding) []Finding {
	var brief []Finding
	good := 0
	for _, f := range all {
		switch {
		case f.Level == OK:
			good++
		case h.follows[f]:
		case f.What == inSshd && len(h.follows) > 0:
			f.Why += fmt.Sprintf(" (%d more findings follow from this)", len(h.follows))
			fallthrough
		default:
			brief = append(brief, f)
		}
	}
	return append(brief, ok(fmt.Sprintf("%d checks; -v lists everything", good))...)
}
