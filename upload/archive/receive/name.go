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

// userName is what manifest.Element makes of an account's name: it can't begin
// with a dot, which SideDir relies on.
var userName = regexp.MustCompile(`^([A-Za-z0-9_@+-]|%[0-9A-F]{2})([A-Za-z0-9._@+-]|%[0-9A-F]{2})*$`)

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
	if !manifest.IsID(id) {
		return n, fmt.Errorf("%q is no recording's id", id)
	}
	switch n.ext {
	case manifest.CastSuffix, manifest.SealedSuffix, manifest.JSONSuffix, manifest.SigSuffix:
		return n, nil
	}
	return n, fmt.Errorf("%q is nothing that an archive keeps", file)
}

func (n name) dir() string  { return path.Join(n.user, n.host, n.day) }
func (n name) path() string { return path.Join(n.dir(), n.id+n.ext) }
