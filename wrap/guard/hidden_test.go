// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"strings"
	"testing"
)

func TestFilesOfARing(t *testing.T) {
	for _, tt := range []struct{ name, fdinfo, want string }{
		{"an eventfd", "pos:\t0\nflags:\t02\neventfd-count: 0\n", ""},
		{"none", "SqHead:\t0\nUserFiles:\t0\nUserBufs:\t0\nPollList:\nCqOverflowList:\n", ""},
		{"terminals, and one twice", "CQEs:\t1\n    7: user_data:0, res:8, flag:0\nUserFiles:\t4\n    0: /dev/pts/3\n    1: <none>\n    2: /12\n    3: /dev/pts/3\nUserBufs:\t0\n", "3\n12\n"},
		{"other files", "UserFiles:\t2\n    0: /srv/3\n    1: /dev/ptsx/3\n", ""},
		{"buffers are no files", "UserFiles:\t0\nUserBufs:\t1\n    0: 3\n", ""},
	} {
		var out strings.Builder
		if err := terminalsOf(strings.NewReader(tt.fdinfo), &out); err != nil || out.String() != tt.want {
			t.Errorf("%s: %q, %v", tt.name, out.String(), err)
		}
	}
}

func TestInFlight(t *testing.T) {
	for fdinfo, want := range map[string]int{
		"pos:\t0\nino:\t1\nscm_fds: 0\n": 0, "pos:\t0\nino:\t1\nscm_fds: 3\n": 3, "pos:\t0\nino:\t1\n": 0,
	} {
		if got := inFlight(fdinfo); got != want {
			t.Errorf("%q: %d", fdinfo, got)
		}
	}
}
