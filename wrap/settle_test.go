// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"testing"
	"unsafe"
)

// a constant that the linker puts among the others
const known = "the text that TestSettle looks for"

func TestSettle(t *testing.T) {
	from, to, ok := constants()
	text := known
	at := uintptr(unsafe.Pointer(unsafe.StringData(text)))
	if !ok || at < from || at >= to {
		t.Fatalf("constants are said to be at %x-%x, %v; one is at %x", from, to, ok, at)
	}
	settle()
	if text != string([]byte(known)) {
		t.Error("a constant has changed")
	}
}
