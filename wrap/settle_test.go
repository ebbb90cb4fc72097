// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

import (
	"testing"
	"unsafe"
)

func TestSettle(t *testing.T) {
	from, to, ok := constants()
	text := constant
	at := uintptr(unsafe.Pointer(unsafe.StringData(text)))
	if !ok || at < from || at >= to {
		t.Fatalf("constants are said to be at %x-%x, %v; one is at %x", from, to, ok, at)
	}
	settle()
	if text != string([]byte(constant)) {
		t.Error("a constant has changed")
	}
}
