// SPDX-License-Identifier: AGPL-3.0-or-later

package settings

import (
	"fmt"
	"strconv"
	"strings"

	"castgate/wrap/hint"
)

// The names below become parts of URLs and of file names, so they are checked
// by what they may contain, not by what they may not.

// maxLogin is GitHub's own limit of 39; organisations have the same.
const maxLogin = 39

// CheckLogin takes a login or the name of an organisation: letters, digits and
// inner hyphens. Logins of enterprise managed users have an underscore, and a
// few old ones end with a hyphen.
func CheckLogin(s string) error {
	if s == "" {
		return fmt.Errorf("%q is not a GitHub login: it is empty", s)
	}
	if len(s) > maxLogin || !alnum(s[0]) || !only(s, letters+"-_") {
		return fmt.Errorf("%q is not a GitHub login", s)
	}
	return nil
}

// SuspendedName reports whether a login is what GitHub calls a managed user whom SCIM
// has suspended: "a hash of the original username, followed by _SHORTCODE"
// (docs.github.com, "Deprovisioning and reinstating users with SCIM"). Teams go
// on listing them. Nobody is given 16 hexadecimal digits for a name.
func SuspendedName(login string) bool {
	hash, _, managed := strings.Cut(login, "_")
	return managed && len(hash) >= 16 && only(hash, "0123456789abcdefABCDEF")
}

// CheckSlug takes the name of a team as it stands in the team's URL.
func CheckSlug(s string) error {
	if s == "" || len(s) > 255 || !alnum(s[0]) || !only(s, letters+"-_.") {
		return hint.Add(fmt.Errorf("%q is not the slug of a team", s), "the last part of the team's URL: lower case, hyphens for blanks")
	}
	return nil
}

// ValidAccount takes the names that useradd(8) makes, and the dots and capitals
// that other tools allow; no name that could leave a directory.
func ValidAccount(s string) bool {
	if s == "" || len(s) > 64 || !(alnum(s[0]) || s[0] == '_') {
		return false
	}
	return only(strings.TrimSuffix(s, "$"), letters+"-_.@+")
}

// SplitLogin takes an entry of "logins": a login, or login:id to pin the
// numeric id that belongs to it.
func SplitLogin(s string) (login string, id int64, err error) {
	login, num, pinned := strings.Cut(s, ":")
	if err := CheckLogin(login); err != nil {
		return "", 0, err
	}
	if pinned {
		if id, err = strconv.ParseInt(num, 10, 64); err != nil || id <= 0 {
			return "", 0, fmt.Errorf("%q: %q is not a GitHub id", s, num)
		}
	}
	return login, id, nil
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func alnum(c byte) bool { return strings.IndexByte(letters, c) >= 0 }

func only(s, set string) bool {
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) < 0 {
			return false
		}
	}
	return true
}
