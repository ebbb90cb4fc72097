// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	keyconf "castgate/keys/settings"
)

// What a host can get wrong is tried on a whole host, in packaging/host. Here
// is what needs another GitHub, or no host at all.

func TestFinding(t *testing.T) {
	for _, tt := range []struct {
		f    Finding
		want string
	}{
		{Finding{Level: OK, What: "a"}, "ok   a"},
		{Finding{Warn, "a", "b", "c"}, "warn a - b - c"},
		{Finding{Fail, "a\nb", "\x1b[31mred\x7f", ""}, "FAIL a b - ?[31mred?"},
	} {
		if got := tt.f.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	var out bytes.Buffer
	if err := WriteJSON(&out, []Finding{{Warn, "a", "b<c", "d"}}); err != nil {
		t.Fatal(err)
	}
	var got []map[string]string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got[0]["level"] != "warn" || got[0]["why"] != "b<c" {
		t.Errorf("got %s, %v", out.String(), err)
	}
	if Failed(two(Warn)) || !Failed(two(Fail)) {
		t.Error("only FAIL fails")
	}
}

func two(l Level) []Finding { return []Finding{{Level: OK}, {Level: l}} }

func TestNames(t *testing.T) {
	if got := names(strings.Fields("a b c d e f g")); got != "a, b, c, d, e and 2 more" {
		t.Errorf("got %q", got)
	}
}

func TestParseAccount(t *testing.T) {
	for line, person := range map[string]bool{
		"root:x:0:0:root:/root:/bin/bash":                    true,
		"alice:x:1000:1000::/home/alice:/bin/bash":           true,
		"www-data:x:33:33::/var/www:/bin/sh":                 false,
		"bob:x:1001:1001::/home/bob:/usr/sbin/nologin":       false,
		"nobody:x:65534:65534::/nonexistent:/usr/bin/false":  false,
		"carol:x:1002:1002::/home/c:/usr/bin/castgate-wrap":  true,
		"not a line of passwd":                               false,
		"dave:x:many:1002::/home/d:/bin/sh":                  false,
		"user@realm:x:90000:90000:An:Ä:/home/user:/bin/bash": false,
	} {
		a, ok := parseAccount(line)
		if got := ok && a.person(); got != person {
			t.Errorf("%s: %v", line, got)
		}
	}
}

func TestConfigured(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"main":      "# x\nInclude " + dir + "/d/*.conf\nForceCommand last\nUsePAM=yes\n",
		"d/20.conf": "ForceCommand second\n",
		"d/10.conf": "\n  forcecommand   first one\n",
		"d/1.other": "ForceCommand never\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, s := range configured(filepath.Join(dir, "main")) {
		got = append(got, s.key+"="+s.value)
	}
	want := []string{"forcecommand=first one", "forcecommand=second", "forcecommand=last", "usepam=yes"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := from(configured(filepath.Join(dir, "main")), "forcecommand"); got != dir+"/d/10.conf:2" {
		t.Errorf("got %s", got)
	}
}

func TestOverridden(t *testing.T) {
	for line, want := range map[string]bool{
		"sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups":                                     false,
		"/usr/sbin/sshd\x00-D\x00-oAuthorizedKeysCommand=/x\x00":                                      true,
		"/usr/sbin/sshd\x00-D\x00-o\x00authorizedkeyscommand /x\x00":                                  true,
		"sshd: /usr/sbin/sshd -D -o ForceCommand=/bin/true [listener] 0 of 10-100 startups":           true,
		`ExecStart=-/usr/sbin/sshd -i $SSHD_OPTS -o "AuthorizedKeysFile ${X}/y .ssh/authorized_keys"`: true,
		"/usr/sbin/sshd\x00-D\x00-o\x00Port=2222\x00":                                                 false,
		"sshd: /usr/sbin/sshd -D -o PidFile=/run/ForceCommand [listener] 0 of 10-100 startups":        false,
	} {
		if got := overridden.MatchString(line); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestStarts(t *testing.T) {
	s := starts([]string{
		"Accepted publickey for alice from 192.0.2.1 port 5 ssh2: ED25519 SHA256:x",
		"Starting session: shell on pts/0 for alice from 192.0.2.1 port 5 id 0",
		"Starting session: forced-command (config) 'exec /usr/bin/castgate-wrap' on pts/1 for alice from 192.0.2.1 port 5 id 1",
		"Starting session: subsystem 'sftp' for bob from 2001:db8::1 port 6 id 0",
		"Starting session: command for x for bob from 2001:db8::1 port 6 id 0 and more",
	})
	if s.total != 3 || s.count[connection{"alice", "192.0.2.1", "5"}] != 2 || s.count[connection{"bob", "2001:db8::1", "6"}] != 1 {
		t.Errorf("got %+v", s)
	}
}

func FuzzStarts(f *testing.F) {
	f.Add("Starting session: shell on pts/0 for alice from 192.0.2.1 port 5 id 0")
	f.Add("Starting session:  for a for b from c from d port 1 port 2 id 3")
	f.Fuzz(func(t *testing.T, line string) {
		s := starts([]string{line})
		for c := range s.count {
			if c.account == "" || strings.ContainsAny(c.account+c.addr, " \n") || !strings.HasSuffix(line, c.port+" id "+line[strings.LastIndex(line, " ")+1:]) {
				t.Errorf("%q: %+v", line, c)
			}
		}
	})
}

// rateServer answers GET /rate_limit as told.
func rateServer(t *testing.T, header http.Header, body string) *Host {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" || r.URL.Path != "/api/rate_limit" {
			t.Errorf("asked %s with %v", r.URL, r.Header)
		}
		for k, v := range header {
			w.Header()[k] = v
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(srv.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &Host{ctx: context.Background(), Keys: keyconf.Default()}
	h.Keys.GitHub.URL, h.Keys.GitHub.TokenFile = srv.URL+"/api/", token
	return h
}

func TestRate(t *testing.T) {
	const plenty = `{"resources":{"core":{"limit":5000,"remaining":4000}}}`
	end := func(in time.Duration) http.Header {
		return http.Header{"Github-Authentication-Token-Expiration": {time.Now().Add(in).UTC().Format("2006-01-02 15:04:05 MST")}}
	}
	for name, tt := range map[string]struct {
		header http.Header
		body   string
		want   string // words of the warning, "" for ok
	}{
		"well":             {nil, plenty, ""},
		"token ends late":  {end(90 * 24 * time.Hour), plenty, ""},
		"token ends soon":  {end(5 * 24 * time.Hour), plenty, "the token ends on"},
		"token may read":   {http.Header{"X-Oauth-Scopes": {"read:org, read:user"}}, plenty, ""},
		"token may write":  {http.Header{"X-Oauth-Scopes": {"admin:org, read:user, repo"}}, plenty, "admin:org, repo"},
		"clock":            {http.Header{"Date": {time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}}, plenty, "the clock is 1h"},
		"budget":           {nil, `{"resources":{"core":{"limit":5000,"remaining":499}}}`, "499 of 5000"},
		"no limit at all":  {nil, `{"resources":{}}`, ""},
		"not the API":      {nil, `<html>`, "nothing"},
		"endless nonsense": {nil, `"` + strings.Repeat("x", 2<<20) + `"`, "nothing"},
	} {
		found := rateServer(t, tt.header, tt.body).rate()
		switch {
		case tt.want == "nothing":
			if found != nil {
				t.Errorf("%s: %v", name, found)
			}
		case len(found) != 1 || (tt.want == "") != (found[0].Level == OK) || !strings.Contains(found[0].Why, tt.want):
			t.Errorf("%s: %v", name, found)
		}
	}
}

func TestChangesAreMadeTogether(t *testing.T) {
	dir := t.TempDir()
	old, fresh := filepath.Join(dir, "old"), filepath.Join(dir, "fresh")
	if err := os.WriteFile(old, []byte("before\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	all := changes{
		fileChange{old, []byte("before\n"), []byte("after\n")},
		fileChange{fresh, nil, []byte("new\n")},
		fileChange{filepath.Join(dir, "missing", "x"), nil, []byte("can't be\n")},
	}
	if err := all.apply(); err == nil {
		t.Error("a change that can't be made was made")
	}
	if text, _ := os.ReadFile(old); string(text) != "before\n" {
		t.Errorf("the first change stayed: %q", text)
	}
	if _, err := os.Stat(fresh); err == nil {
		t.Error("the second change stayed")
	}
	if err := all[:2].apply(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := all[0].show(&out); err != nil || !strings.Contains(out.String(), "-before\n+after\n") {
		t.Errorf("%s, %v", out.String(), err)
	}
}

// A host that is not enabled has one fault, not nine.
func TestBriefTellsACauseOnce(t *testing.T) {
	cause := Finding{Fail, inSshd, "no drop-in", enableFix}
	h := &Host{follows: map[Finding]bool{}}
	all := append(h.following([]Finding{{Fail, "forced", "x", "y"}, {Warn, "log", "x", "y"}, {Level: OK, What: "a"}}, func(Finding) bool { return true }),
		cause, Finding{Fail, "secrets", "x", "y"}, Finding{Level: OK, What: "b"})
	var out bytes.Buffer
	if err := WriteText(&out, h.Brief(all)); err != nil {
		t.Fatal(err)
	}
	want := `FAIL castgate in sshd's configuration - no drop-in (2 more findings follow from this) - castgate enable
FAIL secrets - x - y
ok   2 checks; -v lists everything
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
