// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"castgate/packaging/host"
)

// No distribution with rpm can be had where Debian's mirror is all there is, so
// Debian's rpm installs the .rpm, on a running system: what is tried are its
// scriptlets, owners, modes and configuration files, not its dependencies.
func TestRpm(t *testing.T) { eachSuite(t, testRpm) }

func testRpm(t *testing.T, h *host.Host) {
	h.Boot()
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	for _, which := range []string{"old", "new"} {
		h.Copy(oneOf(t, which+"/castgate-*."+arch+".rpm"), "/root/"+which+".rpm", 0o644)
	}
	command := []string{"rpm", "--nodeps"}
	if _, err := h.Try("rpm", "--force-debian", "--version"); err == nil { // Debian 12's asks for it
		command = append(command, "--force-debian")
	}
	rpm := func(args ...string) (string, error) {
		return h.Try(append(slices.Clip(command), args...)...)
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := rpm(args...)
		if err != nil {
			t.Fatalf("rpm %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	active := []string{"castgate-upload.path", "castgate-upload.timer", "castgate-keys-refresh.timer", "castgate-check.timer", "castgate-guard.socket"}

	before := h.Sh(sshFiles)
	if out := must("-i", "/root/old.rpm"); !strings.Contains(out, "castgate enable") {
		t.Errorf("the installation does not say what to do:\n%s", out)
	}
	checkShipped(t, h.Try)
	h.Run(append([]string{"systemctl", "is-active"}, active...)...)
	h.Run(append([]string{"systemctl", "is-enabled"}, active...)...)
	if after := h.Sh(sshFiles); after != before {
		t.Errorf("the installation changed sshd's or PAM's configuration:\n%s%s", before, after)
	}

	key := h.Read("/etc/castgate/signing-key")
	h.Sh("echo '# mine' >>/etc/castgate/wrap.yaml; echo recorded >/var/spool/castgate/bad/one.cast")
	must("-U", "/root/new.rpm")
	checkShipped(t, h.Try)
	h.Run(append([]string{"systemctl", "is-active"}, active...)...)
	h.Sh("grep -q '# mine' /etc/castgate/wrap.yaml && test -e /var/spool/castgate/bad/one.cast")
	if out := h.Run("castgate", "-version"); !strings.Contains(out, " 1.") {
		t.Errorf("after the upgrade: %s", out)
	}
	if h.Read("/etc/castgate/signing-key") != key {
		t.Error("the upgrade made another signing key")
	}

	h.Sh("cp " + dropIn + ".example " + dropIn)
	if out, err := rpm("-e", "castgate"); err == nil || !strings.Contains(out, dropIn) {
		t.Errorf("removed under sshd's feet: %v\n%s", err, out)
	}
	h.Sh("test -x /usr/bin/castgate-wrap; rm " + dropIn)
	if out := must("-e", "castgate"); !strings.Contains(out, "/var/spool/castgate") {
		t.Errorf("the removal does not say where the recordings are:\n%s", out)
	}
	h.Sh("test ! -e /usr/bin/castgate-wrap && test -e /var/spool/castgate/bad/one.cast && test -e /etc/castgate/signing-key")
	if out := h.Sh("systemctl list-units --all --no-legend 'castgate*' | grep -v not-found || true"); strings.TrimSpace(out) != "" {
		t.Errorf("units left running:\n%s", out)
	}
}
