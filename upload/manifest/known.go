// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// Known is a manifest that was in the archive once. The end of a chain has
// nothing after it that would show that it is gone, so somebody must remember
// it: the index does for every host, the uploader for what it delivered last.
type Known struct {
	Host   string    // its directory's name
	ID     string    // of the recording
	Path   string    // of the manifest
	SHA256 string    // of the manifest; "" when only its id is remembered
	At     time.Time // of the session's start, or the delivery
	By     string    // who remembers: "the index"
}

// gone returns what is known and not in the archive any more.
func (v *Verifier) gone() (faults []Fault) {
	there := map[string][]found{} // of the ids that are asked for
	for _, k := range v.Known {
		there[k.ID] = nil
	}
	for host, c := range v.chains {
		for _, l := range c.links {
			if others, asked := there[l.id]; asked {
				there[l.id] = append(others, found{host, l.hash})
			}
		}
	}
	for _, k := range v.Known {
		if slices.ContainsFunc(there[k.ID], func(f found) bool { return f.is(k) }) {
			continue
		}
		text := "was here and is not"
		for _, f := range there[k.ID] {
			if f.of(k.Host) {
				text = "was here and is another, with SHA-256 " + hex.EncodeToString(f.hash[:])
			}
		}
		sum := ""
		if k.SHA256 != "" {
			sum = ", SHA-256 " + k.SHA256
		}
		faults = append(faults, Fault{FaultGone, k.Path, k.ID, k.Host, fmt.Sprintf("the manifest of recording %s of host %q (%s%s) %s: %s remembers it",
			k.ID, k.Host, k.At.UTC().Format(time.RFC3339), sum, text, k.By)})
	}
	return faults
}

// found is a manifest with an id that is asked for. Any host may store one with
// another's id.
type found struct {
	host string
	hash [32]byte
}

func (f found) is(k Known) bool {
	if k.SHA256 != "" {
		return hash32(k.SHA256) == f.hash
	}
	return f.of(k.Host)
}

func (f found) of(host string) bool { return f.host == host }

// Forgotten returns how many hosts there are of whose chain nobody remembers
// the end: whether their newest recordings are gone can't be told.
func (v *Verifier) Forgotten() int {
	n := len(v.chains)
	hosts := map[string]bool{}
	for _, k := range v.Known {
		if _, ok := v.chains[k.Host]; ok && !hosts[k.Host] {
			hosts[k.Host] = true
			n--
		}
	}
	return n
}
