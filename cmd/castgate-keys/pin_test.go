// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"os"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// TestPin goes the way of an administrator: who may come in, pin them, another
// person instead, nobody any more; each counts at once.
func TestPin(t *testing.T) {
	if os.Geteuid() != 0 {
		hosttest.Skip(t, "whose an account is, is root's to say")
	}
	h := newHost(t)
	octo := strings.Fields(key("octocat"))
	opens := func(account string, want bool) {
		t.Helper()
		for range 2 { // the second may be a finished answer
			out, errs, status := h.run(account, octo[0], octo[1])
			if status != 0 || (out != "") != want {
				t.Errorf("%s: status %d, printed %q, said %q", account, status, out, errs)
			}
		}
	}
	opens("mona", false)
	for _, step := range []struct {
		args []string
		says string
	}{
		{[]string{"pin"}, "octocat opens to octocat (whoever has the login when they first log in), by the configuration's \"accounts\"\n"},
		{[]string{"pin", "mona", "octocat"}, "mona opens to OctoCat (id 583231), by root's pin\n"},
		{[]string{"refresh"}, ""},
		{[]string{"pin"}, "mona opens to OctoCat (id 583231), by root's pin\noctocat opens to octocat (id 583231, not pinned by root), by the configuration's \"accounts\"\n"},
		{[]string{"pin", "-all"}, "octocat opens to octocat (id 583231), by the configuration's \"accounts\"\n"},
		{[]string{"pin", "-all"}, ""},
	} {
		if out, errs, status := h.run(step.args...); out != step.says || status != 0 {
			t.Errorf("%q: status %d, printed %q, want %q; said %q", step.args, status, out, step.says, errs)
		}
	}
	opens("mona", true)
	opens("octocat", true)
	if _, errs, status := h.run("pin", "mona", "somebody:4242"); status != 0 {
		t.Errorf("status %d: %s", status, errs)
	}
	opens("mona", false)
	if _, errs, status := h.run("pin", "-remove", "octocat"); status != 0 {
		t.Errorf("status %d: %s", status, errs)
	}
	for _, args := range [][]string{{"pin", "root", "octocat"}, {"pin", "mona", "stranger"}, {"pin", "../x", "octocat"}, {"pin", "mona"}, {"pin", "a", "b", "c"}} {
		if out, _, status := h.run(args...); status == 0 || out != "" {
			t.Errorf("%q: status %d, printed %q", args, status, out)
		}
	}
}
