// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"castgate/packaging/hosttest"
)

// atTheWildcards ask the recorder to look where only its group may.
var atTheWildcards = []attack{
	{
		id: "541", what: "others' ids, from a wildcard in the name of a transfer's file", by: "wildcards are expanded with the user's ids", naive: closed,
		try: func(w *world) verdict {
			const id = "01935b7e-0000-7000-8000-00000000abcd"
			dir := spoolOf(w)
			if err := os.WriteFile(filepath.Join(dir, id+".cast"), nil, 0o640); err != nil {
				w.Fatal(err)
			}
			w.Cleanup(func() { os.Remove(filepath.Join(dir, id+".cast")) })
			out := ""
			for _, command := range []string{"scp -f " + dir + "/*", "git-upload-pack " + dir + "/*", "rsync --server --sender . " + dir + "/*"} {
				r := hosttest.Do(w, w.server.Ssh(w.key, account, nil, command), bytes.NewReader(make([]byte, 8)))
				out += r.Stdout + r.Stderr
			}
			if strings.Contains(out, id) {
				w.Logf("it was told: %q", out)
				return works
			}
			return closed
		},
	},
}
