// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"castgate/keys/github"
	"castgate/keys/known"
	keyconf "castgate/keys/settings"
)

// rest is how long castgate-keys leaves GitHub alone after a failure
// (keys/state.go, restCold), and a little more.
const rest = 11 * time.Second

// gitHub lets castgate-keys refresh its cache as the user it runs as under
// sshd: configuration, token, network, teams and the cache's directory are
// tried as they will be at a login.
func (h *Host) gitHub() []Finding {
	const what = "castgate-keys and GitHub"
	if h.keysErr != nil {
		return nil // keysYAML has said it
	}
	refresh := func() (string, error) { return output(h.ctx, "runuser", "-u", keysUser, "--", keysPath, "refresh") }
	out, err := refresh()
	if err != nil && strings.Contains(out, "not again so soon") {
		// It tells the last failure, which may have been mended since.
		select {
		case <-h.ctx.Done():
		case <-time.After(rest):
			out, err = refresh()
		}
	}
	if err == nil {
		return ok(what)
	}
	why, fix := firstLine(out), "castgate-keys explain USER says what it means for one account"
	for line := range strings.Lines(out) {
		if _, hint, found := strings.Cut(line, "hint: "); found {
			fix = hint
		}
	}
	if why == "" {
		why = err.Error()
	}
	return failed(what, strings.TrimPrefix(why, "castgate-keys: "), fix)
}

// budget is the part of GET /rate_limit that a check needs; asking costs nothing
// of it.
type budget struct {
	Resources struct {
		Core struct{ Limit, Remaining int }
	}
}

// soon is how long before its end a token is worth a warning.
const soon = 14 * 24 * time.Hour

// skew is how far the host's clock may be off: signatures, certificates and
// the cache's ages depend on it.
const skew = time.Minute

// rate asks GitHub about the token: what it may still ask, when it ends, what
// time it is.
func (h *Host) rate() []Finding {
	const what = "GitHub's rate limit, the token, the clock"
	if h.keysErr != nil || h.Keys.GitHub.TokenFile == "" {
		return nil // an App's token is made anew every hour
	}
	res, limits, err := h.askLimits()
	if err != nil || res.StatusCode != http.StatusOK {
		return nil // gitHub has said it; and Enterprise Servers may have no limit
	}
	var all []Finding
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil && time.Since(date).Abs() > skew {
		all = append(all, Finding{Warn, what, fmt.Sprintf("the clock is %v off GitHub's", time.Since(date).Abs().Round(time.Second)), "let systemd-timesyncd or chrony set it"})
	}
	if end, err := time.Parse("2006-01-02 15:04:05 MST", res.Header.Get("Github-Authentication-Token-Expiration")); err == nil && time.Until(end) < soon {
		all = append(all, Finding{Warn, what, "the token ends on " + end.Format(time.DateOnly) + "; from then on only the cache answers", "make another and write it to " + h.Keys.GitHub.TokenFile})
	}
	if scopes := needless(res.Header); len(scopes) > 0 {
		all = append(all, Finding{Warn, what, "the token may do more than read teams: " + names(scopes), "make one with read:org only and write it to " + h.Keys.GitHub.TokenFile})
	}
	if core := limits.Resources.Core; core.Limit > 0 && core.Remaining < core.Limit/10 {
		all = append(all, Finding{Warn, what, fmt.Sprintf("%d of %d requests are left in this hour; every host with this token shares them", core.Remaining, core.Limit), "a longer ttl in keys.yaml, or a GitHub App"})
	}
	if all == nil {
		return ok(what)
	}
	return all
}

// needless lists what a token may do beside reading, as GitHub says it of
// classic tokens only.
func needless(header http.Header) []string {
	scopes := strings.FieldsFunc(header.Get("X-Oauth-Scopes"), func(r rune) bool { return r == ',' || r == ' ' })
	return slices.DeleteFunc(scopes, func(s string) bool { return strings.HasPrefix(s, "read:") })
}

func (h *Host) askLimits() (*http.Response, budget, error) {
	var b budget
	token, err := os.ReadFile(h.Keys.GitHub.TokenFile)
	if err != nil {
		return nil, b, err
	}
	ctx, cancel := context.WithTimeout(h.ctx, h.Keys.GitHub.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(h.Keys.GitHub.URL, "/")+"/rate_limit", nil)
	if err != nil {
		return nil, b, err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	req.Header.Set("User-Agent", "castgate")
	req.Header.Set("Accept", "application/vnd.github+json")
	client, err := github.Plain(h.Keys.GitHub) // never to another host: a redirect would take the token along
	if err != nil {
		return nil, b, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, b, err
	}
	defer res.Body.Close()
	return res, b, json.NewDecoder(http.MaxBytesReader(nil, res.Body, 1<<20)).Decode(&b)
}

// answered are the files of the cache that only an answer of GitHub's changes.
var answered = []string{"bulk", "teams", "people"}

// cached is when GitHub last answered; zero when it never did.
func (h *Host) cached() (newest time.Time) {
	for _, name := range answered {
		_ = filepath.WalkDir(filepath.Join(h.Keys.Cache.Dir, name), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if info, err := d.Info(); err == nil && info.ModTime().After(newest) {
					newest = info.ModTime()
				}
			}
			return nil
		})
	}
	return newest
}

// cacheAge: a refresh that stopped working is noticed before max_stale ends.
func (h *Host) cacheAge() []Finding {
	const what = "age of the keys cache"
	newest := h.cached()
	switch age := time.Since(newest); {
	case newest.IsZero():
		return warn(what, "it is empty: the first login waits for GitHub", "systemctl start castgate-keys-refresh.service")
	case age > h.Keys.Cache.MaxStale/2:
		return warn(what, fmt.Sprintf("nothing in it is younger than %v; after %v (max_stale) nobody gets in by it", age.Round(time.Minute), h.Keys.Cache.MaxStale), "systemctl status castgate-keys-refresh")
	}
	return ok(what)
}

// members without a usable key only see "Permission denied", and nobody knows why.
func (h *Host) members() []Finding {
	const what = "members' keys"
	if h.keysErr != nil || h.cached().IsZero() {
		return nil // keysYAML or cacheAge has said it
	}
	all, without, err := known.Members(h.Keys.Cache.Dir, h.Keys.Keys)
	switch {
	case err != nil:
		return warn(what, err.Error(), "systemctl start castgate-keys-refresh.service")
	case all == 0:
		return warn(what, "no active member of a team is known: nobody gets in by GitHub", "look at the teams in keys.yaml, and whether their members have accepted; castgate-keys explain USER tells about one")
	case len(without) > 0:
		return warn(what, "no key of theirs on GitHub is of a kind that keys.yaml takes: "+names(without), "they add one at github.com/settings/keys; keys.types and keys.min_rsa_bits say which")
	}
	return ok(what)
}

// namedAccounts: an account that keys.yaml names must exist on the host, and
// uid 0 should not be opened by a team: root can stop and forge what records it.
func (h *Host) namedAccounts() []Finding {
	const what = "accounts that keys.yaml names"
	var missing, roots []string
	for _, name := range named(h.Keys) {
		a, there := lookup(h.ctx, name)
		if !there {
			missing = append(missing, name)
		}
		if _, open := h.Keys.Accounts[name]; open && there && a.UID == 0 {
			roots = append(roots, name)
		}
	}
	var all []Finding
	if len(missing) > 0 {
		all = append(all, Finding{Warn, what, "there is no account " + names(missing), "useradd --create-home, or take it out of keys.yaml"})
	}
	if len(roots) > 0 {
		all = append(all, Finding{Warn, what, "GitHub opens " + names(roots) + ", which is uid 0: it can stop its recorder and change what is recorded", "accounts of their own, and sudo; or take it out of keys.yaml"})
	}
	if all == nil {
		return ok(what)
	}
	return all
}

// named are the accounts that keys.yaml names, in order.
func named(c *keyconf.Config) []string {
	all := slices.AppendSeq(slices.Collect(maps.Keys(c.Accounts)), maps.Keys(c.Emergency))
	slices.Sort(all)
	return slices.Compact(all)
}
