// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"castgate/upload/manifest"
)

var (
	// userName is what manifest.Element makes of an account's name: it can't
	// begin with a dot, which SideDir relies on.
	userName = regexp.MustCompile(`^([A-Za-z0-9_@+-]|%[0-9A-F]{2})([A-Za-z0-9._@+-]|%[0-9A-F]{2})*$`)
	validID  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
)

// maxName is the longest element that manifest.Element returns.
const maxName = 200

// name is where an object goes.
type name struct {
	user, host string
	day        string // 2026/11/21
	id, ext    string
}

// parseName reads the elements of a request's path. Each is held to what it
// may be; none can leave the store.
func parseName(host, user, year, month, day, file string) (name, error) {
	n := name{user: user, host: host, day: year + "/" + month + "/" + day}
	if len(user) > maxName || !userName.MatchString(user) {
		return n, fmt.Errorf("%q is no account's name", user)
	}
	if _, err := time.Parse("2006/01/02", n.day); err != nil {
		return n, fmt.Errorf("%q is no day", n.day)
	}
	id, rest, _ := strings.Cut(file, ".")
	n.id, n.ext = id, "."+rest
	if !validID.MatchString(id) {
		return n, fmt.Errorf("%q is no recording's id", id)
	}
	switch n.ext {
	case manifest.CastSuffix, manifest.SealedSuffix, manifest.JSONSuffix, manifest.SigSuffix:
		return n, nil
	}
	return n, fmt.Errorf("%q is nothing that an archive keeps", file)
}

// isHost reports whether claimed, gethostname(2) on the host, is a name of the
// certificate's host: the same, or one of them is the other without its domain.
func (n name) isHost(claimed string) bool {
	claimed = strings.ToLower(claimed)
	if claimed == n.host {
		return true
	}
	short, domain, _ := strings.Cut(n.host, ".")
	claimedShort, claimedDomain, _ := strings.Cut(claimed, ".")
	return short == claimedShort && (domain == "" || claimedDomain == "")
}

func (n name) dir() string  { return path.Join(n.user, n.host, n.day) }
func (n name) path() string { return path.Join(n.dir(), n.id+n.ext) }
