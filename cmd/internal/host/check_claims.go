// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"fmt"

	"castgate/upload/archive"
)

// claims: an id is its host's only. That the index has one twice means that a
// host has delivered a recording under another's id.
func (h *Host) claims() []Finding {
	const what = "ids of recordings"
	all, err := archive.Claims(h.Archive.Index)
	switch {
	case err != nil:
		return warn(what, "whether two hosts claim one is not known: "+err.Error(), "castgate index")
	case len(all) == 0:
		return ok(what)
	}
	return failed(what, fmt.Sprintf("%v (%d such)", all[0], len(all)),
		"castgate verify tells what is made up as far as signatures and chains do; look at the hosts named")
}
