// SPDX-License-Identifier: AGPL-3.0-or-later

package attacks

// shown runs a command on a terminal and says whether exactly these bytes,
// which the person has seen, are in the recording.
func shown(command, want string) func(w *world) verdict {
	return func(w *world) verdict {
		x := w.terminal()
		x.Type(command + "; echo do''ne\n")
		x.Expect("done")
		if !w.shows(x, want) {
			w.Fatalf("the terminal shows %q", x.Output())
		}
		return w.judge(true, want)
	}
}

var inTheBytes = []attack{
	{
		id: "517", what: "text in bytes that are not UTF-8", by: "the exact bytes are kept (`#raw`)", naive: works,
		try: shown(`printf '\323\305\303\322\305\324'`, "\xd3\xc5\xc3\xd2\xc5\xd4"),
	},
	{
		id: "518", what: "letters cut in two", by: "held back until they are whole", naive: works,
		try: shown(`printf 'secr\303'; sleep 0.3; printf '\251t'`, "secr\u00e9t"),
	},
}
