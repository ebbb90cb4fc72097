// SPDX-License-Identifier: AGPL-3.0-or-later

package github

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"castgate/keys/known"
	"castgate/keys/settings"
)

// A file that is missing has not expired, however often it is asked for.
func TestMissingTokenIsCalledMissing(t *testing.T) {
	conf := settings.Default()
	conf.Cache.Dir = t.TempDir()
	s := known.Open(conf)
	if s.Why != nil {
		t.Fatal(s.Why)
	}
	s.Note(&known.Fault{Class: known.BadToken, Op: "read the token", Err: unreadable("/etc/castgate/github-token", fs.ErrNotExist)})
	f := known.FaultOf(s.MayAsk(known.PauseWarm))
	if f == nil || !strings.Contains(f.Hint(), "write it there") {
		t.Fatalf("got %v, hint %q", f, f.Hint())
	}
	s.Note(&known.Fault{Class: known.BadToken, Op: "ask", Err: errors.New("401")})
	if f := known.FaultOf(s.MayAsk(known.PauseWarm)); f == nil || !strings.Contains(f.Hint(), "expired or was revoked") {
		t.Errorf("a token that GitHub did not take: %v", f)
	}
}
