// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap_test

import (
	"path/filepath"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// These are faults of real file systems; those of loss_test.go are injected.

// loopDevices makes what mount -o loop needs: a throwaway host has no devices
// of its own.
const loopDevices = `test -e /dev/loop-control || { mknod /dev/loop-control c 10 237; for i in $(seq 0 63); do mknod /dev/loop$i b 7 $i; done; }
`

// directories makes a spool of the mounted file system.
const directories = `
cd /var/spool/castgate; chown root:castgate .; chmod 0750 .; install -d -g castgate -m 0770 live incoming bad
`

// diskSpool mounts the spool of one test as script says.
func diskSpool(t *testing.T, script string) {
	t.Helper()
	below := t.TempDir()
	t.Cleanup(func() {
		// The file system above goes first, if it was mounted at all.
		hosttest.Run(t, "sh", "-c", "umount -l /var/spool/castgate; umount -l "+below)
	})
	hosttest.Run(t, "sh", "-ec", loopDevices+"B="+below+"; "+script+directories)
}

// namedOnce wants exactly one line of the log with these words, of that session.
func (h *host) namedOnce(t *testing.T, session string, words ...string) {
	t.Helper()
	h.log.Wait(t, words...)
	var lines []string
	for _, line := range h.log.Lines() {
		if strings.Contains(line, words[0]) {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 || !strings.Contains(lines[0], " session="+session+" ") || !strings.Contains(lines[0], " account="+h.user.Name+" ") {
		t.Errorf("lines about %q of session %s: %q", words[0], session, lines)
	}
}

// theOne finds the only recording, wherever it is: on a file system that takes
// no more, not even a rename may work.
func theOne(t *testing.T) hosttest.Recording {
	t.Helper()
	files, _ := filepath.Glob("/var/spool/castgate/*/*.cast")
	if len(files) != 1 {
		t.Fatalf("recordings: %q", files)
	}
	return hosttest.ReadRecording(t, files[0])
}

// TestQuota is EDQUOT: the spool's quota is used up.
func TestQuota(t *testing.T) {
	for _, opts := range []string{"-T", "-tt"} {
		t.Run(opts, func(t *testing.T) {
			h := newHost(t, "/bin/bash")
			hosttest.Config(t, "wrap", "notice: \"\"\nlimits: {free: 0}\n")
			diskSpool(t, `mount -t tmpfs -o size=300m none $B; truncate -s 128M $B/image; mkfs.btrfs -q $B/image >/dev/null
				mkdir $B/top; mount -o loop $B/image $B/top; btrfs -q quota enable $B/top; btrfs -q subvolume create $B/top/spool
				btrfs qgroup limit 1M $B/top/spool; mount --bind $B/top/spool /var/spool/castgate; umount -l $B/top
			`)
			got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, []string{"-q", opts}, flood), nil)
			shown, _, _ := strings.Cut(got.Stdout, "castgate-wrap: ")
			rec := theOne(t)
			if got.Status != 254 || string(rec.Output) != shown || len(shown) == 0 || strings.Contains(shown, "unseen") {
				t.Errorf("status %d, shown %d bytes, recorded %d", got.Status, len(shown), len(rec.Output))
			}
			h.namedOnce(t, rec.Header.Session.ID, "recording lost", "disk quota exceeded", "verdict=ended")
			h.rootGetsIn(t)
		})
	}
}

// TestDiskBelow is a disk that takes no more below a file system that has room:
// a thin volume, a network's disk. Only a sync says so.
func TestDiskBelow(t *testing.T) {
	h := newHost(t, "/bin/bash")
	hosttest.Config(t, "wrap", "notice: \"\"\nlimits: {free: 0}\n")
	diskSpool(t, `mount -t tmpfs -o size=12m none $B; truncate -s 64M $B/image; mkfs.ext4 -q -J size=4 -E lazy_itable_init=1 $B/image
		mount -o loop $B/image /var/spool/castgate
	`)
	x := h.session(t)
	device := strings.TrimSpace(hosttest.Run(t, "findmnt", "-no", "SOURCE", "/var/spool/castgate"))
	image := strings.TrimSpace(hosttest.Run(t, "cat", "/sys/block/"+filepath.Base(device)+"/loop/backing_file"))
	hosttest.Run(t, "sh", "-c", "cat /dev/zero >"+filepath.Dir(image)+"/fill 2>/dev/null || true")
	x.Type("seq 1 200000; echo un''seen\n")
	got := x.Wait()
	shown, notice, _ := strings.Cut(got.Stdout, "castgate-wrap: ")
	if got.Status != 254 || !strings.Contains(notice, "has been ended") {
		t.Errorf("status %d, told %q", got.Status, notice)
	}
	// What can't reach the disk is in the file all the same, while the host runs.
	rec := theOne(t)
	// Before that sshd's own terminal echoed what was typed.
	_, shown, _ = strings.Cut(shown, "ready\r\n")
	_, recorded, _ := strings.Cut(string(rec.Output), "ready\r\n")
	if !strings.HasPrefix(recorded, shown) || len(shown) < 1000 {
		t.Errorf("shown %d bytes, recorded %d", len(shown), len(recorded))
	}
	h.namedOnce(t, rec.Header.Session.ID, "recording lost", "sync the recording: ", "verdict=ended")
	h.rootGetsIn(t)
}

// TestNoInodes: no file can be made, so that there is no session but root's.
func TestNoInodes(t *testing.T) {
	h := newHost(t, "/bin/bash")
	hosttest.Config(t, "wrap", "notice: \"\"\nlimits: {free: 0}\n")
	diskSpool(t, "mount -t tmpfs -o nr_inodes=4 none /var/spool/castgate; mount -t tmpfs none $B")
	got := hosttest.Do(t, h.Ssh(h.key, h.user.Name, nil, "echo in"), nil)
	_, id, _ := strings.Cut(strings.TrimSpace(got.Stderr), "under session ")
	if got.Status != 254 || got.Stdout != "" {
		t.Errorf("status %d, %q", got.Status, got.Stdout)
	}
	h.namedOnce(t, id, "session refused", "no space left on device")
	h.rootGetsIn(t)
}

// rootGetsIn: whatever is full or broken, somebody must be able to mend it.
func (h *host) rootGetsIn(t *testing.T) {
	t.Helper()
	(&hosttest.User{Name: "root", Home: "/root"}).Authorize(t, h.key)
	for _, opts := range []string{"-T", "-tt"} {
		got := hosttest.Do(t, h.Ssh(h.key, "root", []string{"-q", opts}, flood), nil)
		if got.Status != 0 || !strings.Contains(got.Stdout, "unseen") {
			t.Errorf("root %s: status %d, %d bytes, %q", opts, got.Status, len(got.Stdout), got.Stderr)
		}
		h.log.Wait(t, "account=root", "goes on unrecorded")
	}
}
