// SPDX-License-Identifier: AGPL-3.0-or-later

// Package host boots a real Debian, with systemd as its process 1, sshd, PAM
// and journald, for tests of the package as its users meet it. A package with
// such tests says
//
//	func TestMain(m *testing.M) { host.Main(m) }
//
// Its tests skip unless CASTGATE_TEST_HOST=1 (`make test-host`), because they
// take minutes; they need root, systemd-nspawn and mmdebstrap.
//
// # How
//
// Main makes one image of each distribution with mmdebstrap, once for a
// machine, and runs the test binary again in new mount, pid, network, IPC and
// UTS namespaces: whatever the tests start or mount ends with them. A Host is
// an overlay (upper layer: a tmpfs) over an image, booted by systemd-nspawn in
// a cgroup of its own, with a virtual cable to the tests' network namespace and
// no other network. A machine whose own process 1 is not systemd will do, with
// version 1 cgroups mounted or not: the tests' mount namespace has the unified
// tree on /sys/fs/cgroup.
//
// # What it can't show
//
// PowerCut kills every process at once, but the page cache survives it: a
// missing fsync is not seen here. MemoryMax, TasksMax and CPUQuota are skipped
// by systemd where version 1 hierarchies own the controllers.
package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Host is one Debian. Its root can be read and written at Root while it runs
// or not; what the inner system mounts (/run, /tmp) is not seen there.
type Host struct {
	Name, Suite, Addr, Root string

	t      testing.TB
	told   bool // its journal is in the test's log
	number int
	nspawn *exec.Cmd
	leader string // process 1 of the host, as a pid outside
	ended  chan struct{}
}

// count numbers the hosts of this process: names and addresses.
var count atomic.Int32

// New makes a host of a distribution ("bookworm") that has not booted yet. It
// is gone when the test ends.
func New(t testing.TB, suite string) *Host {
	t.Helper()
	need(t)
	if _, err := os.Stat(image(suite)); err != nil {
		t.Skipf("the packages of %s can't be had here", suite)
	}
	n := int(count.Add(1))
	h := &Host{t: t, number: n, Suite: suite, Name: fmt.Sprintf("host%d", n), Addr: fmt.Sprintf("198.18.%d.2", n)}
	dir := filepath.Join(stageDir, h.Name)
	h.Root = filepath.Join(dir, "root")
	for _, sub := range []string{"root", "upper", "work"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", image(suite), dir, dir)
	if err := unix.Mount("host", h.Root, "overlay", 0, options); err != nil {
		t.Fatalf("overlay: %v", err)
	}
	t.Cleanup(h.remove)
	h.Write("/etc/hostname", h.Name+"\n", 0o644)
	h.Write("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 "+h.Name+"\n", 0o644)
	h.cable()
	return h
}

// Use makes t, a subtest, the one that fails when something goes wrong on the
// host, until it ends. When it fails, its log has what the host's had meanwhile.
func (h *Host) Use(t testing.TB) {
	before, since := h.t, time.Now()
	h.t = t
	t.Cleanup(func() { h.tell(since); h.t = before })
}

// tell puts the end of the host's journal into the log of a test that failed.
func (h *Host) tell(since time.Time) {
	h.t.Helper()
	if !h.t.Failed() || h.told && since.IsZero() || h.leader == "" {
		return
	}
	h.told = true
	const lines = "100"
	out, _ := h.Try("journalctl", "--no-pager", "--quiet", "--output=short-precise", "--lines="+lines, fmt.Sprintf("--since=@%d", max(0, since.Unix())))
	h.t.Logf("%s, %s: the journal\n%s", h.Name, h.Suite, out)
}

// cable gives the host a network of its own and one link to the tests'. The
// addresses are of the range for benchmarks (RFC 2544) and never routed.
func (h *Host) cable() {
	for _, args := range [][]string{
		{"netns", "add", h.Name},
		{"link", "add", h.Name, "type", "veth", "peer", "name", "host0", "netns", h.Name},
		{"addr", "add", fmt.Sprintf("198.18.%d.1/24", h.number), "dev", h.Name},
		{"link", "set", h.Name, "up"},
		{"-n", h.Name, "addr", "add", h.Addr + "/24", "dev", "host0"},
		{"-n", h.Name, "link", "set", "host0", "up"},
		{"-n", h.Name, "link", "set", "lo", "up"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			h.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func (h *Host) remove() {
	if h.nspawn != nil {
		h.tell(time.Time{})
		h.PowerCut()
	}
	_ = unix.Unmount(h.Root, unix.MNT_DETACH)
	_ = exec.Command("ip", "netns", "del", h.Name).Run()
	_ = os.RemoveAll(filepath.Dir(h.Root))
}

// Path is where a file of the host is seen from outside.
func (h *Host) Path(name string) string { return filepath.Join(h.Root, name) }

// Write writes a file of the host, as root.
func (h *Host) Write(name, text string, mode os.FileMode) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(h.Path(name)), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.Path(name), []byte(text), mode); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Chmod(h.Path(name), mode); err != nil { // whatever the umask
		h.t.Fatal(err)
	}
}

// Copy copies a file of the machine into the host.
func (h *Host) Copy(from, to string, mode os.FileMode) {
	h.t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		h.t.Fatal(err)
	}
	h.Write(to, string(text), mode)
}

// Read returns a file of the host.
func (h *Host) Read(name string) string {
	h.t.Helper()
	text, err := os.ReadFile(h.Path(name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// Glob lists files of the host, by the names they have there.
func (h *Host) Glob(pattern string) []string {
	h.t.Helper()
	found, err := filepath.Glob(h.Path(pattern))
	if err != nil {
		h.t.Fatal(err)
	}
	for i, path := range found {
		found[i] = strings.TrimPrefix(path, h.Root)
	}
	return found
}

// Patience is how long a test waits for what must happen before it fails.
const Patience = 90 * time.Second

// WaitFor waits until cond holds and fails the test, with what cond said last,
// when it never does.
func (h *Host) WaitFor(what string, cond func() (string, bool)) {
	h.t.Helper()
	for end := time.Now().Add(Patience); ; time.Sleep(50 * time.Millisecond) {
		said, ok := cond()
		if ok {
			return
		}
		if time.Now().After(end) {
			h.t.Fatalf("%s: waited in vain for %s\n%s", h.Name, what, said)
		}
	}
}
