// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"
)

// A file that is missing has not expired, however often it is asked for.
func TestMissingTokenIsCalledMissing(t *testing.T) {
	c, err := OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.heard(&Fault{Class: BadToken, Op: "read the token", Err: unreadable("/etc/castgate/github-token", fs.ErrNotExist)}, now)
	f := faultOf(c.mayAsk(now.Add(time.Second), restWarm))
	if f == nil || !strings.Contains(f.Hint(), "write it there") {
		t.Fatalf("got %v, hint %q", f, f.Hint())
	}
	c.heard(&Fault{Class: BadToken, Op: "ask", Err: errors.New("401")}, now)
	if f := faultOf(c.mayAsk(now.Add(time.Second), restWarm)); f == nil || !strings.Contains(f.Hint(), "expired or was revoked") {
		t.Errorf("a token that GitHub did not take: %v", f)
	}
}

// As it is shipped: no call, no fault, and nobody gets in but by an emergency file.
func TestNotConfigured(t *testing.T) {
	conf := Default()
	conf.Cache.Dir, conf.State = t.TempDir(), t.TempDir()
	if err := conf.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	s.Finder, s.Bulk = nowhere{errors.New("asked")}, []Directory{nowhere{errors.New("asked")}}
	if err := s.Refresh(t.Context()); err != nil {
		t.Errorf("a refresh: %v", err)
	}
	d, err := s.Decide(t.Context(), "octocat", nil)
	if err != nil || d.Allowed() || d.Why != NotConfigured {
		t.Errorf("a login: %v, %q", err, d.Why)
	}
	if a := d.Answer(err); a.Keys != 0 || a.Why != NotConfigured {
		t.Errorf("the answer: %+v", a)
	}
}
