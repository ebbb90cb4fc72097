// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"maps"
	"testing"
)

// TestGuardLog: what a person puts into a field of their session's line is no
// field, and a recorder run by hand excuses nothing.
func TestGuardLog(t *testing.T) {
	got := understand([]entry{
		{text: `msg=session session=a uid=1 standing=direct nested=""`},
		{text: `msg=session session=b uid=1 standing=nested nested=a`},
		{text: `msg="session refused" session=a uid=1 account=alice client="192.0.2.1 5" why="x"`},
		{text: `msg="session refused" session=b uid=1 account=alice client="192.0.2.1 6" why="x"`},
		{text: `msg="session end" session=c client="standing=nested 5" transfer="x\" msg=\"session refused\" client=\"192.0.2.1 7\""`},
		{text: `msg=session session=d uid=1 standing=direct client="x standing=behind"`},
		{text: `msg="session ended" session=e "still there"=[] standing=behind`},
		{text: "msg=session session=f login=` standing=outside key=`"},
		{text: `msg=session session='g' standing=outside`},
		{text: `msg="session refused"`},
		{text: `="`},
		{},
	})
	if want := map[string]bool{"b": true, "f": true, "'g'": true}; !maps.Equal(got.byHand, want) {
		t.Errorf("by hand: %v", got.byHand)
	}
	if want := map[connection]int{{"alice", "192.0.2.1", "5"}: 1}; !maps.Equal(got.refused, want) {
		t.Errorf("refused: %v", got.refused)
	}
}
