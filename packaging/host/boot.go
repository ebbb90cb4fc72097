// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Boot starts the host and waits until its systemd says that it is running.
func (h *Host) Boot() {
	h.t.Helper()
	console, err := os.OpenFile(filepath.Join(filepath.Dir(h.Root), "console"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	defer console.Close()
	group := h.cgroup()
	defer group.Close()

	h.nspawn = exec.Command("systemd-nspawn", "--quiet", "--directory="+h.Root, "--machine="+h.Name, "--boot",
		// There is no systemd outside to register with or to get a scope from.
		"--register=no", "--keep-unit", "--network-namespace-path=/run/netns/"+h.Name,
		"--console=read-only",
		// Without these systemd inside skips IPAddressDeny= and DeviceAllow=
		// (BPF) and says nothing.
		"--capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON", "--system-call-filter=bpf",
		// The guard's; nspawn allows it to nobody, whatever they may trace.
		"--system-call-filter=pidfd_getfd")
	h.nspawn.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	h.nspawn.Stdout, h.nspawn.Stderr = console, console
	// In its cgroup from the first instruction on: a move after the start
	// that failed would let the host work in the root of the tree.
	h.nspawn.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd()), Setsid: true}
	if err := h.nspawn.Start(); err != nil {
		h.t.Fatalf("systemd-nspawn: %v", err)
	}
	ended := make(chan struct{})
	h.ended = ended
	go func(cmd *exec.Cmd) { _ = cmd.Wait(); close(ended) }(h.nspawn)
	h.leader = ""
	h.WaitFor("the boot", h.booted)
}

// cgroup makes an empty cgroup for the host. nspawn and the system inside make
// their own below it.
func (h *Host) cgroup() *os.File {
	h.t.Helper()
	dir := h.cgroupDir()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		h.t.Fatal(err)
	}
	f, err := os.Open(dir)
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}

func (h *Host) cgroupDir() string {
	return filepath.Join(cgroupRoot, "castgate-"+strconv.Itoa(outerPid)+"-"+h.Name)
}

func (h *Host) booted() (string, bool) {
	select {
	case <-h.ended:
		h.t.Fatalf("systemd-nspawn ended:\n%s", h.Console())
	default:
	}
	// Asked anew each time: nspawn's first child is a helper that goes away.
	child, err := exec.Command("pgrep", "-n", "-P", strconv.Itoa(h.nspawn.Process.Pid)).Output()
	if err != nil {
		return h.Console(), false
	}
	h.leader = strings.TrimSpace(string(child))
	out, _ := h.Command("systemctl", "is-system-running").CombinedOutput()
	switch strings.TrimSpace(string(out)) {
	case "running":
		return "", true
	case "degraded":
		failed, _ := h.Command("systemctl", "--failed", "--no-legend").CombinedOutput()
		h.t.Logf("%s: booted, but these units failed:\n%s", h.Name, failed)
		return "", true
	}
	return string(out) + h.Console(), false
}

// Console is the end of what the host wrote to its console.
func (h *Host) Console() string {
	text, _ := os.ReadFile(filepath.Join(filepath.Dir(h.Root), "console"))
	return string(text[max(0, len(text)-4<<10):])
}

// PowerCut ends every process of the host at once.
func (h *Host) PowerCut() {
	h.t.Helper()
	if pid, err := strconv.Atoi(h.leader); err == nil {
		_ = unix.Kill(pid, unix.SIGKILL) // and with it all of its pid namespace
	}
	_ = h.nspawn.Process.Kill()
	<-h.ended
	h.sweep()
}

// Halt shuts the host down as its power button would.
func (h *Host) Halt() {
	h.t.Helper()
	_ = h.nspawn.Process.Signal(unix.SIGTERM)
	select {
	case <-h.ended:
	case <-time.After(Patience):
		h.t.Fatalf("%s did not halt:\n%s", h.Name, h.Console())
	}
	h.sweep()
}

// sweep kills what is left in the host's cgroup and removes it, so that the
// next boot begins like the first.
func (h *Host) sweep() {
	h.nspawn, h.leader = nil, ""
	dir := h.cgroupDir()
	for range 100 {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0) // Linux 5.14
		_ = exec.Command("find", dir, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+").Run()
		if _, err := os.Stat(dir); err != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	_ = os.RemoveAll("/run/systemd/nspawn/propagate/" + h.Name)
}

// Command is a command that runs as root inside the running host: all its
// namespaces, but the capabilities and the cgroup of the test. Right for what
// an administrator does; what a session or a unit may do is tried by Ssh and
// by systemd-run.
func (h *Host) Command(args ...string) *exec.Cmd {
	enter := []string{"-t", h.leader, "-m", "-u", "-i", "-p", "-n", "-C", "-r", "-w", "--"}
	cmd := exec.Command("nsenter", append(enter, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	return cmd
}

// Run runs a command as root on the host and returns all that it printed. The
// test ends when it fails.
func (h *Host) Run(args ...string) string {
	h.t.Helper()
	out, err := h.Try(args...)
	if err != nil {
		h.t.Fatalf("%s: %s: %v\n%s", h.Name, strings.Join(args, " "), err, out)
	}
	return out
}

// Try is Run for commands that may fail.
func (h *Host) Try(args ...string) (string, error) {
	var out bytes.Buffer
	cmd := h.Command(args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// Sh is Run of a line of shell.
func (h *Host) Sh(line string) string {
	h.t.Helper()
	return h.Run("sh", "-c", line)
}
