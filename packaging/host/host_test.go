// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"strings"
	"testing"

	"castgate/packaging/host"
)

func TestMain(m *testing.M) { host.Main(m) }

func TestBootHaltPowerCut(t *testing.T) {
	eachSuite(t, testBoots)
}

func testBoots(t *testing.T, h *host.Host) {
	h.Boot()
	if name := strings.TrimSpace(h.Run("hostname")); name != h.Name {
		t.Errorf("host name %q, want %q", name, h.Name)
	}
	if one := h.Run("cat", "/proc/1/comm"); one != "systemd\n" {
		t.Errorf("process 1 is %q", one)
	}
	h.Run("touch", "/var/kept")
	h.Halt()
	h.Boot()
	h.Run("test", "-e", "/var/kept")
	h.PowerCut()
	h.Boot()
	h.Run("test", "-e", "/var/kept")
	if boots := strings.Count(h.Run("journalctl", "--list-boots", "--no-pager"), "\n"); boots < 3 {
		t.Errorf("the journal knows %d boots", boots)
	}
}
