// SPDX-License-Identifier: AGPL-3.0-or-later

package guard

import (
	"bufio"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// late is a program that can't stop when it is told to: it waits for a child of
// clone(2) with CLONE_VFORK. One that gets no processor is late as well.
const late = `
import ctypes, os, signal, time
clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
print("ready", flush=True)
if ctypes.CDLL(None).syscall(clone, 0x4000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
    time.sleep(1000)
`

// TestStoppedLater: who has been told to stop counts as stopped.
func TestStoppedLater(t *testing.T) {
	cmd := exec.Command("/usr/bin/python3", "-c", late)
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL); _ = cmd.Wait() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	var p process
	for end := time.Now().Add(patience); p.state != 'D'; time.Sleep(time.Millisecond) {
		if p, err = readProcess(cmd.Process.Pid); err != nil || time.Now().After(end) {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	if stopped(p) {
		t.Error("it counts as stopped")
	}
	_ = cmd.Process.Signal(unix.SIGSTOP)
	if !stopped(p) {
		t.Error("it does not count as stopped")
	}
	_ = cmd.Process.Signal(unix.SIGCONT)
	if stopped(p) {
		t.Error("it counts as stopped again")
	}
}

// TestUnreadProcess: a process that can't be read has not ended for that.
func TestUnreadProcess(t *testing.T) {
	self, err := readProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Cur: 0, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	ended, err := self.ended()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if ended || err == nil {
		t.Errorf("ended %v, %v", ended, err)
	}
	for _, p := range []process{{procID: procID{pid: self.pid, start: 1}}, {procID: procID{pid: 1 << 22, start: 1}}} {
		if ended, err := p.ended(); !ended || err != nil {
			t.Errorf("%+v: ended %v, %v", p, ended, err)
		}
	}
}

// TestStrikes: who is found stopped once in a while is continued each time.
func TestStrikes(t *testing.T) {
	var s strikes
	look := func(held bool, times int) (last bool) {
		for range times {
			last = s.count(held)
		}
		return last
	}
	if look(true, 1) || look(false, forgiven-1) || !look(true, 1) {
		t.Error("the second time in a short while is not the last")
	}
	s = strikes{}
	for range 5 {
		if look(true, 1) || look(false, forgiven) {
			t.Error("what is long ago counts")
		}
	}
	if !look(true, 2) {
		t.Error("twice at once is not the last")
	}
}
