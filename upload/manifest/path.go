// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// The suffixes of the three objects after a recording's id.
const (
	CastSuffix   = ".cast.zst"
	SealedSuffix = ".cast.zst.age"
	JSONSuffix   = ".json"
	SigSuffix    = ".json.sig"
)

// maxElement bounds a name in a path: NAME_MAX is 255 everywhere that matters.
const maxElement = 200

// Element returns name as one element of a path: letters, digits and "._-@+"
// stand for themselves, every other byte, and a dot at the start, is %XX. What
// it returns is no "." or "..", has no slash and no control character, and
// means one name only.
func Element(name string) (string, error) {
	if name == "" {
		return "", errors.New("the name is empty")
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; plain(c) && (i > 0 || c != '.') {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() > maxElement {
		return "", fmt.Errorf("the name %.40q... is too long for a path", name)
	}
	return b.String(), nil
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-@+", c) >= 0
}

// Dir returns the directory of the recording's objects: user/host/YYYY/MM/DD.
func (m *Manifest) Dir() string {
	user, _ := Element(m.Session.User) // checked when it was made or parsed
	host, _ := Element(m.Session.Host)
	return path.Join(user, host, m.Start.UTC().Format("2006/01/02"))
}

// HostOf returns the host's directory in the path of an object: with the id it
// is what a recording is called, since an id is its host's only. It is "" for
// what lies elsewhere.
func HostOf(p string) string {
	if elems := strings.Split(p, "/"); len(elems) == 6 {
		return elems[1]
	}
	return ""
}

// SameHost reports whether two names may be one host's: that of its certificate
// and what it calls itself, gethostname(2). One of them may lack the domain.
func SameHost(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	shortA, domainA, _ := strings.Cut(a, ".")
	shortB, domainB, _ := strings.Cut(b, ".")
	return a == b || shortA == shortB && (domainA == "" || domainB == "")
}

// Path returns the path of the object with the suffix, below the archive.
func (m *Manifest) Path(suffix string) string { return m.Dir() + "/" + m.Session.ID + suffix }

// StoredSuffix returns CastSuffix or SealedSuffix.
func (m *Manifest) StoredSuffix() string {
	if len(m.Stored.Recipients) > 0 {
		return SealedSuffix
	}
	return CastSuffix
}

func (m *Manifest) checkPath() error {
	if _, err := Element(m.Session.User); err != nil {
		return fmt.Errorf("user: %w", err)
	}
	if _, err := Element(m.Session.Host); err != nil {
		return fmt.Errorf("host: %w", err)
	}
	if want := m.Session.ID + m.StoredSuffix(); m.Stored.Name != want {
		return fmt.Errorf("stored.name is %q, not %q", m.Stored.Name, want)
	}
	if m.Stored.Encoding != "zstd" {
		return fmt.Errorf("stored.encoding %q is not known", m.Stored.Encoding)
	}
	for _, layer := range m.Stored.Recipients {
		if len(layer) == 0 {
			return errors.New("a sealed layer has no recipient")
		}
	}
	return nil
}
