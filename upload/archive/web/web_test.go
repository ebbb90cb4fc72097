// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"castgate/packaging/hosttest"
	"castgate/upload/archive"
	"castgate/upload/archive/screen"
	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// visitor is a browser without a screen.
type visitor struct {
	t    *testing.T
	base string
	http *http.Client

	always []string // headers of every request
}

func newVisitor(t *testing.T, srv *httptest.Server) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, base: srv.URL, http: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (v *visitor) do(method, path, body string, header ...string) (*http.Response, string) {
	v.t.Helper()
	r, err := http.NewRequest(method, v.base+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	header = append(header, v.always...)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp, string(text)
}

func (v *visitor) get(path string, header ...string) (int, string) {
	v.t.Helper()
	resp, text := v.do(http.MethodGet, path, "", header...)
	return resp.StatusCode, text
}

// tryGet is get where the answer may be cut off.
func (v *visitor) tryGet(path string) (int, string) {
	v.t.Helper()
	resp, err := v.http.Get(v.base + path)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, string(text)
	}
	return resp.StatusCode, string(text)
}

func (v *visitor) signIn(token string) *visitor {
	v.t.Helper()
	resp, _ := v.do(http.MethodPost, "/login", "token="+token)
	if resp.StatusCode != http.StatusSeeOther {
		v.t.Fatalf("sign in: %s", resp.Status)
	}
	return v
}

func (s *sample) auditLog() string {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, ".castgate/audit/audit.log"))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return string(data)
}

func TestNobodyLooksWithoutSigningIn(t *testing.T) {
	s := newSample(t)
	id := s.keep(s.story())
	v := newVisitor(t, s.page(tokenAuth(t, testToken)))
	for _, p := range []string{
		"/", "/search?q=nginx", "/r/" + id, "/r/" + id + "/cast", "/r/" + id + "/play/index.json", "/r/" + id + "/play/outline.json",
		"/r/" + id + "/play/s0.json", "/r/" + id + "/live", "/r/" + id + "/verify", "/r/" + id + "/download/cast", "/r/" + id + "/download/html",
	} {
		if status, text := v.get(p); status != http.StatusSeeOther || strings.Contains(text, "sever_name") {
			t.Errorf("%s as a person: %d", p, status)
		}
		if status, _ := v.get(p, "Accept", "*/*"); status != http.StatusUnauthorized {
			t.Errorf("%s as a program: %d", p, status)
		}
		if status, _ := v.get(p, "Cookie", "castgate=guess"); status != http.StatusSeeOther {
			t.Errorf("%s with a made-up cookie: %d", p, status)
		}
	}
	if log := s.auditLog(); log != "" {
		t.Errorf("audit log: %s", log)
	}
}

func TestEveryPageKeepsThePolicy(t *testing.T) {
	s := newSample(t)
	ids := s.fill()
	v := newVisitor(t, s.page(tokenAuth(t, testToken))).signIn(testToken)
	inline := regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|<style|\sstyle=|\son[a-z]+=["']|href="javascript:`)
	for _, p := range []string{"/", "/login", "/search", "/search?q=alert", "/r/" + ids["hostile"], "/r/" + ids["sealed"], "/nowhere", "/?user=" + url.QueryEscape(hostile)} {
		resp, text := v.do(http.MethodGet, p, "")
		if got := resp.Header.Get("Content-Security-Policy"); got != policy {
			t.Errorf("%s: policy %q", p, got)
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", p, resp.Header)
		}
		if m := inline.FindString(text); m != "" {
			t.Errorf("%s has %q", p, m)
		}
		if strings.Contains(text, "<img") || strings.Contains(text, "<script>alert") {
			t.Errorf("%s has markup of a recording", p)
		}
	}
}

// Whoever may name something must not thereby write the page.
func TestNamesAreText(t *testing.T) {
	s := newSample(t)
	const markup = `<i onclick="x">'"&`
	k := s.take("u"+markup, "h"+markup, "l"+markup)
	k.header.Command, k.header.Session.Key, k.header.Session.Client = "c"+markup, "k"+markup, "192.0.2.7"+markup
	k.header.Session.Kind = "kind" + markup
	id := s.keep(k.typed("x", markup+"\n").mark("m" + markup).end(0))
	v := newVisitor(t, s.page(tokenAuth(t, "auditor "+testToken))).signIn(testToken)
	for _, p := range []string{"/", "/search?q=onclick", "/r/" + id, "/?host=" + url.QueryEscape(markup), "/search?q=" + url.QueryEscape(markup), "/login?next=" + url.QueryEscape(markup), "/r/" + url.PathEscape(markup)} {
		status, text := v.get(p)
		if strings.Contains(text, "<i onclick") || status >= http.StatusInternalServerError {
			t.Errorf("%s: %d, with markup that somebody chose", p, status)
		}
		if seen := strings.Contains(text, "&lt;i onclick"); !seen && !strings.HasPrefix(p, "/login") && !strings.HasPrefix(p, "/r/%") {
			t.Errorf("%s doesn't show it", p)
		}
	}
}

func TestTokenSignIn(t *testing.T) {
	s := newSample(t)
	srv := s.page(tokenAuth(t, testToken))
	v := newVisitor(t, srv)
	if resp, text := v.do(http.MethodPost, "/login", "token=wrong-token-wrong-token"); resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) != 0 || !strings.Contains(text, "not known") {
		t.Errorf("a wrong token: %s", resp.Status)
	}
	resp, _ := v.do(http.MethodPost, "/login", "token="+testToken+"&next=%2Fsearch", "X-Forwarded-Proto", "https")
	c := resp.Cookies()[0]
	if c.Name != "__Host-castgate" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || resp.Header.Get("Location") != "/search" {
		t.Errorf("cookie %v, to %q", c, resp.Header.Get("Location"))
	}
	v = newVisitor(t, srv).signIn(testToken)
	if status, _ := v.get("/"); status != http.StatusOK {
		t.Errorf("signed in: %d", status)
	}
	old, _ := url.Parse(v.base)
	stolen := v.http.Jar.Cookies(old)[0].Value
	if resp, _ := v.do(http.MethodPost, "/logout", "x=y"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("sign out: %s", resp.Status)
	}
	if status, _ := v.get("/", "Cookie", "castgate="+stolen); status != http.StatusSeeOther {
		t.Errorf("the cookie works after signing out: %d", status)
	}
	for _, want := range []string{`"what":"sign-in refused"`, `"who":"local","role":"all","what":"sign-in"`, `"what":"sign-out"`} {
		if !strings.Contains(s.auditLog(), want) {
			t.Errorf("%s is not in the audit log: %s", want, s.auditLog())
		}
	}
	if strings.Contains(s.auditLog(), "token-wrong") {
		t.Error("the audit log has a token")
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	s := newSample(t)
	v := newVisitor(t, s.page(tokenAuth(t, testToken))).signIn(testToken)
	for _, h := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		for _, p := range []string{"/logout", "/login"} {
			if resp, _ := v.do(http.MethodPost, p, "token="+testToken, h...); resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s with %v: %s", p, h, resp.Status)
			}
		}
	}
	if status, _ := v.get("/"); status != http.StatusOK {
		t.Errorf("signed out by another site: %d", status)
	}
	if status, _ := v.get("/logout"); status == http.StatusSeeOther {
		t.Error("a link signs out")
	}
}

func TestSessionsExpire(t *testing.T) {
	s := newSessions()
	now := time.Unix(0, 0)
	s.now = func() time.Time { return now }
	id := s.begin(Auditor{Name: "a"})
	for now.Sub(time.Unix(0, 0)) < sessionMax-sessionIdle {
		now = now.Add(sessionIdle - time.Second)
		if _, ok := s.get(id); !ok {
			t.Fatalf("a session in use ends after %v", now.Sub(time.Unix(0, 0)))
		}
	}
	now = time.Unix(0, 0).Add(sessionMax + time.Second)
	if _, ok := s.get(id); ok {
		t.Error("a session lasts for ever")
	}
	id = s.begin(Auditor{Name: "a"})
	now = now.Add(sessionIdle + time.Second)
	if _, ok := s.get(id); ok {
		t.Error("an idle session stays")
	}
	if len(s.all) != 0 {
		t.Errorf("%d sessions are kept", len(s.all))
	}
}

func TestOwnSeesTheirOwn(t *testing.T) {
	s := newSample(t)
	ids := s.fill()
	v := newVisitor(t, s.page(tokenAuth(t, "Bob-GH bob-token-0123456789 own\naudit audit-token-0123456789\n"))).signIn("bob-token-0123456789")
	_, list := v.get("/")
	if !strings.Contains(list, ids["long"]) || strings.Contains(list, ids["main"]) || strings.Contains(list, ids["live"]) {
		t.Error("the list of bob is not bob's")
	}
	if _, found := v.get("/search?q=nginx"); strings.Contains(found, ids["main"]) {
		t.Error("bob finds what deploy did")
	}
	for _, p := range []string{"", "/cast", "/play/index.json", "/play/outline.json", "/play/s0.json", "/live", "/verify", "/download/cast", "/download/json", "/download/txt"} {
		if status, _ := v.get("/r/" + ids["main"] + p); status != http.StatusNotFound {
			t.Errorf("deploy's %s: %d", p, status)
		}
	}
	if status, _ := v.get("/r/" + ids["long"] + "/download/cast"); status != http.StatusOK {
		t.Errorf("own recording: %d", status)
	}
	if _, list := newVisitor(t, s.page(tokenAuth(t, "audit audit-token-0123456789"))).signIn("audit-token-0123456789").get("/"); !strings.Contains(list, ids["main"]) {
		t.Error("an auditor doesn't see deploy's")
	}
}

func TestEveryLookIsWrittenDown(t *testing.T) {
	s := newSample(t)
	id := s.keep(s.story())
	v := newVisitor(t, s.page(tokenAuth(t, "ann ann-token-0123456789"))).signIn("ann-token-0123456789")
	for path, what := range map[string]string{
		"/?user=deploy": "list", "/search?q=nginx": "search", "/r/" + id: "view", "/r/" + id + "/play/index.json": "play",
		"/r/" + id + "/play/outline.json": "read", "/r/" + id + "/cast": "play", "/r/" + id + "/download/txt": "download",
	} {
		before := strings.Count(s.auditLog(), `"what":"`+what+`"`)
		if status, _ := v.get(path); status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
		if strings.Count(s.auditLog(), `"what":"`+what+`"`) != before+1 {
			t.Errorf("%s left no %q in %s", path, what, s.auditLog())
		}
	}
	if _, page := v.get("/r/" + id); !regexp.MustCompile(`<strong>ann</strong> [a-z, ]*download\s+<span class="muted">txt`).MatchString(page) {
		t.Error("the page doesn't say who downloaded")
	}
	// A segment alone is a look as well, but a hundred of them are one.
	v = newVisitor(t, s.page(tokenAuth(t, "bob bob-token-0123456789"))).signIn("bob-token-0123456789")
	for range 3 {
		if status, _ := v.get("/r/" + id + "/play/s0.json"); status != http.StatusOK {
			t.Errorf("a segment: %d", status)
		}
	}
	if n := strings.Count(s.auditLog(), `"who":"bob","role":"all","what":"play"`); n != 1 {
		t.Errorf("three segments are %d events", n)
	}
	// Who can't be written down doesn't look.
	v = newVisitor(t, s.page(tokenAuth(t, "eve eve-token-0123456789"))).signIn("eve-token-0123456789")
	if err := os.RemoveAll(filepath.Join(s.dir, ".castgate/audit")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/", "/r/" + id, "/r/" + id + "/download/txt", "/search?q=nginx", "/r/" + id + "/play/s0.json", "/r/" + id + "/play/s0.json"} {
		if status, text := v.get(p); status != http.StatusInternalServerError || strings.Contains(text, "nginx") {
			t.Errorf("%s without an audit log: %d", p, status)
		}
	}
}

func TestPathsOfThePageCannotLeave(t *testing.T) {
	s := newSample(t)
	id := s.keep(s.story())
	v := newVisitor(t, s.page(tokenAuth(t, testToken))).signIn(testToken)
	for _, p := range []string{
		"/r/..%2f..%2fetc", "/r/" + id + "/play/..%2f..%2findex.json", "/r/" + id + "/play/making", "/r/" + id + "/play/s99999.json",
		"/r/" + id + "/download/..%2f..%2f", "/r/" + id + "/download/exe", "/static/../web.go", "/static/x/web.go", "/static/", "/r/" + strings.ToUpper(id),
	} {
		if status, _ := v.get(p); status != http.StatusNotFound && status != http.StatusMovedPermanently && status != http.StatusTemporaryRedirect {
			t.Errorf("%s: %d", p, status)
		}
	}
}

func TestDownloadsAreAttachments(t *testing.T) {
	s := newSample(t)
	ids := s.fill()
	v := newVisitor(t, s.page(tokenAuth(t, testToken))).signIn(testToken)
	for _, kind := range []string{"cast", "txt", "stored", "json", "sig"} {
		resp, text := v.do(http.MethodGet, "/r/"+ids["hostile"]+"/download/"+kind, "")
		if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Disposition"), "attachment; ") || text == "" {
			t.Errorf("%s: %s %q", kind, resp.Status, resp.Header.Get("Content-Disposition"))
		}
	}
	// A host that was destroyed never delivers more than its live parts.
	for _, kind := range []string{"cast", "txt"} {
		if status, text := v.get("/r/" + ids["live"] + "/download/" + kind); status != http.StatusOK || !strings.Contains(text, "/var/log/nginx/access.log") && kind == "txt" {
			t.Errorf("a live one's %s: %d %q", kind, status, text)
		}
	}
	if status, _ := v.get("/r/" + ids["sealed"] + "/download/cast"); status != http.StatusInternalServerError {
		t.Errorf("a sealed one is unpacked: %d", status)
	}
	if status, text := v.get("/r/" + ids["sealed"] + "/download/stored"); status != 200 || text == "" {
		t.Errorf("a sealed one as it is: %d", status)
	}
}

// A stored object that unpacks to far more than its manifest says is read as far
// as that.
func TestBomb(t *testing.T) {
	s := newSample(t)
	k := s.story()
	id, size := s.keep(k), int64(len(k.cast(t)))
	store := &counted{Archive: s.indexed()}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(k.header.Timestamp, 0).UTC()
	s.write(filepath.Join("deploy", k.header.Session.Host, start.Format("2006/01/02"), id+manifest.CastSuffix), enc.EncodeAll(append(k.cast(t), make([]byte, 64<<20)...), nil))
	v := newVisitor(t, s.pageOf(store, tokenAuth(t, testToken))).signIn(testToken)
	for _, p := range []string{"/play/index.json", "/download/txt", "/download/html", "/cast"} {
		store.read.Store(0)
		status, _ := v.tryGet("/r/" + id + p)
		if n := store.read.Load(); n == 0 || n > 2*(size+1) {
			t.Errorf("%s: %d, %d bytes were read of a recording of %d", p, status, n, size)
		}
	}
	if _, text := v.get("/r/" + id + "/verify"); !strings.Contains(text, `"ok":false`) {
		t.Errorf("verify: %s", text)
	}
}

var outputEvent = regexp.MustCompile(`\[[0-9.]+, ?"o", ?("(?:[^"\\]|\\.)*")\]`)

// shown is the screen of a player after the output events in text.
func shown(t *testing.T, cols, rows int, text string) []string {
	t.Helper()
	s := screen.New(cols, rows)
	for _, m := range outputEvent.FindAllStringSubmatch(text, -1) {
		var data string
		if err := json.Unmarshal([]byte(m[1]), &data); err != nil {
			t.Fatal(err)
		}
		_, _ = s.Write([]byte(data))
	}
	return s.Text()
}

// A session without a terminal has LF between its lines, which to a terminal is
// one step down only.
func TestLinesWithoutATerminal(t *testing.T) {
	s := newSample(t)
	k := s.take("backup", "db1", "")
	k.header.Command, k.header.Session.Kind, k.header.Session.TTY = "pg_dump", asciicast.KindCommand, false
	id := s.keep(k.show(time.Second, "first\nsecond\n").end(0))
	v := newVisitor(t, s.page(tokenAuth(t, testToken))).signIn(testToken)
	for _, p := range []string{"/cast", "/play/s0.json"} {
		_, text := v.get("/r/" + id + p)
		if got := shown(t, 100, 28, text); got[0] != "first" || got[1] != "second" {
			t.Errorf("%s: %q from %s", p, got, text)
		}
	}
	if _, text := v.get("/r/" + id + "/download/txt"); !strings.Contains(text, "  first\n") || !strings.Contains(text, "  second\n") {
		t.Errorf("the transcript: %q", text)
	}
	if _, text := v.get("/r/" + id + "/download/cast"); !strings.Contains(text, `first\nsecond\n`) {
		t.Errorf("the recording is not as it was made: %s", text)
	}
}

func TestSingleFileHoldsNoMarkupOfTheRecording(t *testing.T) {
	if !HasPlayer() {
		hosttest.Skip(t, "this test was built without the player: make web")
	}
	s := newSample(t)
	ids := s.fill()
	v := newVisitor(t, s.page(tokenAuth(t, testToken))).signIn(testToken)
	_, text := v.get("/r/" + ids["hostile"] + "/download/html")
	if strings.Contains(text, "<script>alert") || strings.Contains(text, "<img src=x") {
		t.Error("what was typed is markup")
	}
	if n := strings.Count(text, "<script"); n != 3 {
		t.Errorf("%d scripts, want the recording, the player and its start", n)
	}
}

func TestVerify(t *testing.T) {
	glob := func(s *sample, pattern string) string {
		t.Helper()
		found, err := filepath.Glob(s.dir + "/deploy/*/*/*/*/" + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		return found[0]
	}
	change := func(p string, old, new string) {
		t.Helper()
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(data), old, new, 1)
		if changed == string(data) {
			t.Fatalf("%q is not in %s", old, p)
		}
		if err := os.WriteFile(p, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		harm func(s *sample)
		want []string
	}{
		"whole":              {func(*sample) {}, []string{`"ok":true,"signed":true`, "number 2 of this host, made after", "by key SHA256:"}},
		"a changed byte":     {func(s *sample) { change(glob(s, "*.cast.zst"), "\x28\xb5", "\x28\xb6") }, []string{`"ok":false`, "the manifest says"}},
		"no signature":       {func(s *sample) { _ = os.Remove(glob(s, "*.sig")) }, []string{`"ok":false`, "there is no signature"}},
		"a changed manifest": {func(s *sample) { change(glob(s, "*.json"), `"uid": 10`, `"uid": 20`) }, []string{`"ok":false`, `"name":"forged"`, "after another manifest"}},
		"no recording":       {func(s *sample) { _ = os.Remove(glob(s, "*.cast.zst")) }, []string{`"ok":false`, "not there"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSample(t)
			s.keep(s.take("alice", "web1.example.org", "").end(0))
			id := s.keep(s.story())
			s.keep(s.take("alice", "web1.example.org", "").end(0))
			v := newVisitor(t, s.page(tokenAuth(t, testToken))).signIn(testToken)
			tt.harm(s)
			_, text := v.get("/r/" + id + "/verify")
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %s in %s", want, text)
				}
			}
		})
	}
}

// TestVerifiedIsWhatWasVerified changes a manifest that the page has checked.
func TestVerifiedIsWhatWasVerified(t *testing.T) {
	s := newSample(t)
	id := s.keep(s.story())
	v := newVisitor(t, s.page(tokenAuth(t, testToken))).signIn(testToken)
	badge := func() bool {
		_, text := v.get("/")
		return strings.Contains(text, `class="badge verified"`)
	}
	if badge() {
		t.Error("nobody has checked it")
	}
	if v.get("/r/" + id + "/verify"); !badge() {
		t.Error("it has been checked")
	}
	found, err := filepath.Glob(s.dir + "/deploy/*/*/*/*/" + id + manifest.JSONSuffix)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(found[0], []byte(strings.Replace(string(text), `"uid": 10`, `"uid": 200`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if badge() {
		t.Error("another manifest has been checked")
	}
}

func TestFollowJoinsWithoutGap(t *testing.T) {
	s := newSample(t)
	k := s.take("alice", "web1", "").show(time.Second, "before\r\n")
	path := s.live(k)
	v := newVisitor(t, s.page(tokenAuth(t, testToken))).signIn(testToken)
	resp, err := v.http.Get(v.base + "/r/" + k.header.Session.ID + "/live")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := make(chan string)
	go func() {
		defer close(lines)
		text, _ := io.ReadAll(resp.Body)
		for line := range strings.Lines(string(text)) {
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				lines <- data
			}
		}
	}()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"[0.5, \"o\", \"af", "ter\\r\\n\"]\n", "[0.1, \"r\", \"90x20\"]\n"} {
		if _, err := f.WriteString(part); err != nil {
			t.Fatal(err)
		}
		time.Sleep(pollEvery / 2)
	}
	f.Close()
	// The session ends: the recording is delivered, the parts go.
	k.show(500*time.Millisecond, "after\r\n").resize(90, 20).end(0)
	s.keep(k)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	var got []string
	for l := range lines {
		got = append(got, l)
	}
	var all strings.Builder
	for _, l := range got {
		var ev []any
		if json.Unmarshal([]byte(l), &ev) == nil && len(ev) == 3 && ev[1] == "o" {
			all.WriteString(ev[2].(string))
		}
	}
	var first struct{ Init string }
	joined := strings.Join(got, "")
	resized := slices.IndexFunc(got, func(l string) bool { return strings.Contains(l, `{"cols":90,"rows":20}`) })
	if err := json.Unmarshal([]byte(got[0]), &first); err != nil || strings.Count(first.Init, "before") != 1 || resized < 0 || strings.Count(strings.Join(got[:resized], ""), "after") != 1 {
		t.Fatalf("events %q", got)
	}
	if now := shown(t, 90, 20, joined); now[0] != "before" || now[1] != "after" {
		t.Errorf("%q is shown after %q", now, got)
	}
}

func TestHeader(t *testing.T) {
	h, err := NewHeader(&archive.HeaderAuditors{Name: "X-Remote-User", From: []string{"192.0.2.0/24", "127.0.0.1"}, Auditors: []string{"Ann", "Kim"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		remote string
		users  []string
		role   string // "" is refused
	}{
		{"192.0.2.7:1", []string{"ann"}, RoleAll},
		{"127.0.0.1:1", []string{"bob"}, RoleOwn},
		{"[::ffff:127.0.0.1]:1", []string{"bob"}, RoleOwn},
		{"127.0.0.1:1", []string{"\u212aim"}, RoleOwn}, // folds to k
		{"198.51.100.1:1", []string{"ann"}, ""},
		{"192.0.2.7:1", nil, ""},
		{"192.0.2.7:1", []string{""}, ""},
		{"192.0.2.7:1", []string{"bob", "ann"}, ""},
		{"192.0.2.7:1", []string{"bob, ann"}, ""},
		{"nonsense", []string{"ann"}, ""},
	} {
		r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{"X-Remote-User": tt.users}}
		if who, err := h.who(r); who.Role != tt.role || (err == nil) != (tt.role != "") {
			t.Errorf("%s %q: %+v, %v", tt.remote, tt.users, who, err)
		}
	}
	for _, bad := range []string{"", "x", "192.0.2.0/33"} {
		if _, err := NewHeader(&archive.HeaderAuditors{Name: "X", From: []string{bad}}); err == nil {
			t.Errorf("%q is taken for an address", bad)
		}
	}
	for value, login := range map[string]string{"ann@example.org": "", "bob@example.org": "bob@example.org", "": "a:x"} {
		if _, err := NewHeader(&archive.HeaderAuditors{Name: "X", From: []string{"127.0.0.1"}, People: map[string]string{value: login}}); err == nil {
			t.Errorf("%q is taken for a login", login)
		}
	}
	s := newSample(t)
	srv := s.page(Auth{Header: &Header{Name: "X-Remote-User", From: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}})
	if status, _ := newVisitor(t, srv).get("/", "X-Remote-User", "ann"); status != http.StatusForbidden {
		t.Errorf("a header of a stranger: %d", status)
	}
}

func TestReadTokens(t *testing.T) {
	for text, ok := range map[string]bool{
		testToken: true, "# who\n\nann " + testToken + "\nbob " + testToken + "x own\n": true,
		"": false, "short": false, "ann short": false, "ann " + testToken + " root": false, "a b c d": false,
		"ann:583231 " + testToken + " own": true, "ann@example.org " + testToken: true,
		"ann@example.org " + testToken + " own": false, "ann:0 " + testToken + " own": false,
	} {
		p := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadTokens(p); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLocalPath(t *testing.T) {
	for in, want := range map[string]string{
		"/": "/", "/r/x?t=1": "/r/x?t=1", "": "/", "x": "/", "//evil.example": "/", `/\evil.example`: "/", "https://evil.example/": "/",
		"/\t/evil.example": "/", "javascript:alert(1)": "/", "/%2f/evil": "/%2f/evil",
	} {
		if got := localPath(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMoment(t *testing.T) {
	for in, want := range map[string]string{
		"": "0", "12": "12", "12.5": "12.5", "1:23": "83", "1:02:03": "3723", "90s": "90", "-1": "0", "x": "0", "1e9": "0", "1:2:3:4": "0", "NaN": "0",
		"2:00:00": "4000", "999999999": "4000", // it is over before
	} {
		if got := moment(in, Recording{Entry: archive.Entry{Manifest: &manifest.Manifest{Duration: manifest.Seconds(4000 * time.Second)}, State: manifest.StateDelivered}}); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMomentOfALiveOne(t *testing.T) {
	if got := moment("1:00", Recording{Entry: archive.Entry{Manifest: &manifest.Manifest{Duration: manifest.Seconds(time.Second)}, State: manifest.StateLive}}); got != "60" {
		t.Errorf("of a session that goes on: %q", got)
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"é 日本": "é 日本", "a\x1b[1m": "a␛[1m", "a\u202eb": "a\ufffdb", "\x7f": "␡", "\u200b": "\ufffd", "\x9b": "\ufffd",
	} {
		if got := visible(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMarks(t *testing.T) {
	for _, tt := range []struct{ line, words, want string }{
		{"see the Nginx log", "nginx", "see the |[Nginx]| log"},
		{"a.b axb", "a.b", "[a.b]| axb"},
		{"sudo nginx -t", `"sudo nginx" t`, "[sudo nginx]| -|[t]|"},
		{"\x1b[1m x", "-- x", "␛[1m |[x]|"},
		{"plain", "::", "plain"},
	} {
		var got []string
		for _, s := range marks(tt.line, tt.words) {
			if s.Hit {
				s.Text = "[" + s.Text + "]"
			}
			got = append(got, s.Text)
		}
		if joined := strings.Join(got, "|"); joined != tt.want {
			t.Errorf("%q in %q: %s, want %s", tt.words, tt.line, joined, tt.want)
		}
	}
}

func TestCacheForgetsTheOldest(t *testing.T) {
	c, err := NewCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c.limit = 1
	s := newSample(t)
	cast := string(s.story().cast(t))
	open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(cast)), nil }
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	for _, key := range []string{a, b} {
		f, err := c.open(t.Context(), key, "index.json", preparation{open: open})
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if _, err := os.Stat(filepath.Join(c.dir, a)); !os.IsNotExist(err) {
		t.Errorf("the older one is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.dir, b)); err != nil {
		t.Error(err)
	}
}

func FuzzPrepare(f *testing.F) {
	head := `{"version":3,"term":{"cols":20,"rows":5}}` + "\n"
	for _, s := range []string{"", head, head + "[0.1, \"o\", \"\\u001b[2J\\u001b[1;1Hx\"]\n[3, \"r\", \"9x9\"]\n[1, \"m\", \"x\"]\n[1, \"x\", \"0\"]\n", head + "#raw //79\n[0, \"o\", \"\"]\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, cast string) {
		out := memory{}
		if prepare(strings.NewReader(cast), out, false) == nil {
			checkSegments(t, out)
		}
	})
}
