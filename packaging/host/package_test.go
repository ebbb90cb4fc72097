// SPDX-License-Identifier: AGPL-3.0-or-later

package host_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"castgate/packaging/host"
)

// built is a package that packaging/test-host has built: "old" or "new".
func built(t *testing.T, which string) string {
	t.Helper()
	return oneOf(t, which+"/castgate_*_"+runtime.GOARCH+".deb")
}

func oneOf(t *testing.T, pattern string) string {
	t.Helper()
	found, _ := filepath.Glob("../../.build/host/" + pattern)
	if len(found) != 1 {
		t.Fatalf("%d of .build/host/%s: run make test-host", len(found), pattern)
	}
	return found[0]
}

// install installs a package on a running host, as the README says, and
// returns what dpkg printed.
func install(h *host.Host, deb string) string {
	h.Copy(deb, "/root/castgate.deb", 0o644)
	return h.Run("dpkg", "--install", "/root/castgate.deb")
}

// suites runs a test for every distribution that is asked for, beside others:
// for much of their time they wait.
func suites(t *testing.T, test func(t *testing.T, suite string)) {
	t.Parallel()
	for _, suite := range host.Suites() {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			test(t, suite)
		})
	}
}

// eachSuite is suites with a host that has not booted yet.
func eachSuite(t *testing.T, test func(t *testing.T, h *host.Host)) {
	suites(t, func(t *testing.T, suite string) { test(t, host.New(t, suite)) })
}

// shipped is what the package installs: path, owner, mode.
var shipped = []string{
	"/usr/bin/castgate root:root 755",
	"/usr/bin/castgate-once root:root 755",
	"/usr/bin/castgate-keys root:root 755",
	"/usr/bin/castgate-upload root:root 755",
	"/usr/bin/castgate-wrap root:castgate 2755",
	"/usr/lib/castgate root:root 755",
	"/usr/lib/castgate/castgate-guard root:root 755",
	"/usr/lib/castgate/home root:root 755",
	"/usr/lib/castgate/home/.config/fish root:root 755",
	"/etc/castgate root:root 755",
	"/etc/castgate/keys.yaml root:castgate-keys 640",
	"/etc/castgate/wrap.yaml root:root 644",
	"/etc/castgate/upload.yaml root:castgate-upload 640",
	"/etc/castgate/archive.yaml root:castgate-archive 640",
	"/etc/castgate/signing-key root:castgate-upload 640",
	"/etc/castgate/allowed_signers root:root 644",
	"/etc/ssh/sshd_config.d/10-castgate.conf.example root:root 644",
	"/var/spool/castgate root:castgate 750",
	"/var/spool/castgate/live root:castgate 770",
	"/var/spool/castgate/incoming root:castgate 770",
	"/var/spool/castgate/bad root:castgate 770",
	"/var/cache/castgate-keys castgate-keys:castgate-keys 755",
	"/var/lib/castgate-keys root:root 755",
	"/var/lib/castgate-keys/people root:root 755",
	"/var/lib/castgate-keys/seen castgate-keys:castgate-keys 755",
	"/var/lib/castgate/archive castgate-upload:castgate-archive 2770",
}

func checkShipped(t *testing.T, stat func(args ...string) (string, error)) {
	t.Helper()
	for _, want := range shipped {
		path, _, _ := strings.Cut(want, " ")
		got, err := stat("stat", "-c", "%n %U:%G %a", path)
		if err != nil || strings.TrimSpace(got) != want {
			t.Errorf("want %s, got %s (%v)", want, got, err)
		}
	}
}

// checkForPeople: a page for every program and file, and for each program that
// people type, completions that know all of its flags.
func checkForPeople(t *testing.T, h *host.Host) {
	t.Helper()
	for _, name := range []string{"castgate", "castgate-keys", "castgate-wrap", "castgate-guard", "castgate-upload", "castgate-once"} {
		if found := h.Glob("/usr/share/man/man[18]/" + name + ".[18].gz"); len(found) != 1 {
			t.Errorf("%s has the pages %v", name, found)
		}
	}
	for _, path := range h.Glob("/etc/castgate/*.yaml") {
		if found := h.Glob("/usr/share/man/man5/castgate-" + filepath.Base(path) + ".5.gz"); len(found) != 1 {
			t.Errorf("%s has the pages %v", path, found)
		}
	}
	flags := regexp.MustCompile(`(?m)^  -([a-z-]+)|\[-([a-z-]+)`)
	for _, name := range []string{"castgate", "castgate-keys", "castgate-upload", "castgate-once"} {
		help := h.Run(name, "-h")
		for shell, path := range map[string]string{
			"bash": "/usr/share/bash-completion/completions/" + name,
			"zsh":  "/usr/share/zsh/vendor-completions/_" + name,
			"fish": "/usr/share/fish/vendor_completions.d/" + name + ".fish",
		} {
			script := h.Read(path)
			for _, m := range flags.FindAllStringSubmatch(help, -1) {
				flag := m[1] + m[2]
				if !strings.Contains(script, "-"+flag) && !strings.Contains(script, "-o "+flag) {
					t.Errorf("%s's completions for %s do not know -%s", shell, name, flag)
				}
			}
		}
	}
}

// checkOwnSigner: castgate verify knows the host's own key, and no complaint.
func checkOwnSigner(t *testing.T, h *host.Host) {
	t.Helper()
	public, _, _ := strings.Cut(h.Read("/etc/castgate/signing-key.pub"), " castgate@")
	if got, want := h.Read("/etc/castgate/allowed_signers"), h.Name+` namespaces="castgate" `+public+"\n"; got != want {
		t.Errorf("allowed_signers is %q, want %q", got, want)
	}
	if out, err := h.Try("castgate", "verify"); err != nil || strings.Contains(out, "hint:") {
		t.Errorf("castgate verify: %v\n%s", err, out)
	}
}

// sshFiles is a fingerprint of what the package may not touch.
const sshFiles = `sha256sum /etc/ssh/sshd_config /etc/pam.d/* $(find /etc/ssh/sshd_config.d -name '*.conf')`

func TestInstall(t *testing.T) {
	eachSuite(t, func(t *testing.T, h *host.Host) {
		h.Boot()
		before := h.Sh(sshFiles)
		said := install(h, built(t, "new"))
		checkShipped(t, h.Try)
		checkForPeople(t, h)
		if after := h.Sh(sshFiles); after != before {
			t.Errorf("the installation changed sshd's or PAM's configuration:\n%s%s", before, after)
		}
		for _, step := range []string{"/etc/castgate/keys.yaml", "castgate check", "castgate enable"} {
			if !strings.Contains(said, step) {
				t.Errorf("the installation does not say %q:\n%s", step, said)
			}
		}
		for unit, want := range map[string]string{
			"castgate-upload.path": "enabled active", "castgate-upload.timer": "enabled active",
			"castgate-keys-refresh.timer": "enabled active", "castgate-guard.socket": "enabled active",
			"castgate-serve.socket": "disabled inactive", "castgate-serve.service": "disabled inactive",
			"castgate-index.timer": "disabled inactive",
		} {
			enabled, _ := h.Try("systemctl", "is-enabled", unit)
			active, _ := h.Try("systemctl", "is-active", unit)
			if got := strings.TrimSpace(enabled) + " " + strings.TrimSpace(active); got != want {
				t.Errorf("%s is %s, want %s", unit, got, want)
			}
		}
		if out, err := h.Try("dpkg", "--verify", "castgate"); err != nil || strings.TrimSpace(out) != "" {
			t.Errorf("dpkg --verify: %s, %v", out, err)
		}
		key := h.Read("/etc/castgate/signing-key")
		checkOwnSigner(t, h)
		if out := h.Run("dpkg", "--install", "/root/castgate.deb"); strings.Contains(out, "sshd is as it was") {
			t.Errorf("reinstalling speaks as the first time:\n%s", out)
		}
		checkShipped(t, h.Try)
		if h.Read("/etc/castgate/signing-key") != key {
			t.Error("reinstalling made another signing key")
		}
	})
}

// The words of systemd-analyze about the units, and the figure that the issue
// of hardening is measured by.
func TestUnits(t *testing.T) {
	eachSuite(t, func(t *testing.T, h *host.Host) {
		h.Boot()
		install(h, built(t, "new"))
		units := strings.Fields(h.Sh("cd /usr/lib/systemd/system && ls castgate-*"))
		if len(units) < 11 {
			t.Errorf("only these units: %v", units)
		}
		if out, err := h.Try(append([]string{"systemd-analyze", "verify", "--man=no"}, units...)...); err != nil || strings.TrimSpace(out) != "" {
			t.Errorf("systemd-analyze verify: %v\n%s", err, out)
		}
		for _, service := range []string{"castgate-upload.service", "castgate-serve.service", "castgate-index.service", "castgate-keys-refresh.service"} {
			out, err := h.Try("systemd-analyze", "security", "--threshold=20", "--no-pager", service)
			if err != nil {
				t.Errorf("%s is exposed more than 2.0: %v\n%s", service, err, out)
			}
			if _, level, found := strings.Cut(out, "Overall exposure level for "); found {
				t.Log(level)
			}
		}
	})
}

// A container image is built without a running systemd.
func TestInstallWithoutSystemd(t *testing.T) {
	eachSuite(t, func(t *testing.T, h *host.Host) {
		h.Copy(built(t, "new"), "/root/castgate.deb", 0o644)
		inside := func(args ...string) (string, error) {
			script := `mount -t proc proc "$0/proc" && exec chroot "$0" "$@"`
			cmd := exec.Command("unshare", append([]string{"--mount", "sh", "-c", script, h.Root}, args...)...)
			cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		if out, err := inside("dpkg", "--install", "/root/castgate.deb"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		checkShipped(t, inside)
		if out, err := inside("dpkg", "--purge", "castgate"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		// What was installed in an image runs when the image boots.
		if out, err := inside("dpkg", "--install", "/root/castgate.deb"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		h.Boot()
		h.Run("systemctl", "is-active", "castgate-upload.path", "castgate-upload.timer", "castgate-keys-refresh.timer", "castgate-guard.socket")
	})
}

// olderRecord is of a member of the team in the shipped keys.yaml.
const olderRecord = `{"login":"octocat","id":583231,"pinned":583231,"teams":{"developers":{"state":"active","at":"2026-11-01T00:00:00Z"}},"at":"2026-11-01T00:00:00Z","origin":{"url":"https://api.github.com/","org":"acme"}}`

// An administrator's choices survive an upgrade.
func TestUpgradeKeepsWhatWasChanged(t *testing.T) {
	eachSuite(t, func(t *testing.T, h *host.Host) {
		h.Boot()
		install(h, built(t, "old"))
		h.Sh("echo '# mine' >>/etc/castgate/wrap.yaml; chgrp root /etc/castgate/upload.yaml; chmod 600 /etc/castgate/upload.yaml")
		h.Sh("dpkg-statoverride --remove /usr/bin/castgate-wrap; dpkg-statoverride --update --add root root 0755 /usr/bin/castgate-wrap")
		h.Run("systemctl", "disable", "--now", "castgate-keys-refresh.timer")
		h.Sh("echo x >/var/spool/castgate/bad/kept; mkdir /var/spool/castgate/incoming/lost+found")
		key := h.Read("/etc/castgate/signing-key")
		// What a castgate-keys that kept pins in its cache has left.
		h.Sh("useradd --create-home octocat; useradd --create-home stranger; rm -rf /var/lib/castgate-keys; cd /var/cache/castgate-keys; mkdir -m 700 people; echo '" + olderRecord + "' >people/octocat; chown -R castgate-keys: people")
		if out := install(h, built(t, "new")); !strings.Contains(out, "octocat opens to octocat (id 583231)") || strings.Contains(out, "stranger") {
			t.Errorf("the upgrade does not say who stays in:\n%s", out)
		}
		if !strings.Contains(h.Run("dpkg-query", "--status", "castgate"), "\nVersion: 1") {
			t.Error("the new version is not installed")
		}
		for what, line := range map[string]string{
			"the edited conffile":          "grep -q '# mine' /etc/castgate/wrap.yaml",
			"the administrator's override": "test $(stat -c %a:%G /usr/bin/castgate-wrap) = 755:root",
			"the disabled timer":           "! systemctl is-enabled castgate-keys-refresh.timer && ! systemctl is-active castgate-keys-refresh.timer",
			"the spool":                    "test -e /var/spool/castgate/bad/kept",
			"the path unit":                "systemctl is-active castgate-upload.path",
			"whose an account is":          "grep -q octocat:583231 /var/lib/castgate-keys/people/octocat && test $(ls /var/lib/castgate-keys/people) = octocat",
		} {
			if out, err := h.Try("sh", "-c", line); err != nil {
				t.Errorf("%s did not survive: %s", what, out)
			}
		}
		if h.Read("/etc/castgate/signing-key") != key {
			t.Error("the upgrade made another signing key")
		}
	})
}

// Removing what sshd depends on would lock everybody out.
func TestRemoveAndPurge(t *testing.T) {
	eachSuite(t, func(t *testing.T, h *host.Host) {
		h.Boot()
		install(h, built(t, "new"))
		h.Sh("useradd --shell /usr/bin/castgate-wrap --create-home bob")
		out, err := h.Try("dpkg", "--remove", "castgate")
		if err == nil || !strings.Contains(out, "login shell of bob") || !strings.Contains(out, "hint:") {
			t.Errorf("removed under bob's feet: %v\n%s", err, out)
		}
		h.Run("test", "-x", "/usr/bin/castgate-wrap")
		h.Run("systemctl", "is-active", "castgate-upload.path")
		h.Sh("chsh -s /bin/sh bob; cp /etc/ssh/sshd_config.d/10-castgate.conf.example /etc/ssh/sshd_config.d/10-castgate.conf")
		if out, err = h.Try("dpkg", "--remove", "castgate"); err == nil || !strings.Contains(out, "/etc/ssh/sshd_config.d/10-castgate.conf") {
			t.Errorf("removed under sshd's feet: %v\n%s", err, out)
		}
		h.Sh("rm /etc/ssh/sshd_config.d/10-castgate.conf; echo recorded >/var/spool/castgate/bad/one.cast")
		h.Run("dpkg", "--remove", "castgate")
		h.Sh("test ! -e /usr/bin/castgate-wrap && test -e /etc/castgate/wrap.yaml && test -e /var/spool/castgate/bad/one.cast")
		if out := h.Sh("systemctl list-units --all --no-legend 'castgate*' | grep -v not-found || true"); strings.TrimSpace(out) != "" {
			t.Errorf("units left running:\n%s", out)
		}
		out = h.Run("dpkg", "--purge", "castgate")
		if !strings.Contains(out, "recordings are never purged") || !strings.Contains(out, "/var/spool/castgate") {
			t.Errorf("purge does not say where the recordings are:\n%s", out)
		}
		h.Sh("test -e /var/spool/castgate/bad/one.cast && test -e /etc/castgate/signing-key && test ! -e /etc/castgate/wrap.yaml")
		if out, err := h.Try("dpkg-statoverride", "--list", "/usr/bin/castgate-wrap"); err == nil {
			t.Errorf("purge left %s", out)
		}
		install(h, built(t, "new"))
		checkShipped(t, h.Try)
		h.Sh("rm /var/spool/castgate/bad/one.cast")
		if out = h.Run("dpkg", "--purge", "castgate"); strings.Contains(out, "recordings") {
			t.Errorf("there was nothing left to say: %s", out)
		}
		h.Sh("test ! -e /var/spool/castgate && test ! -e /etc/castgate && test ! -e /var/lib/castgate-keys")
	})
}
