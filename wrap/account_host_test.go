// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"castgate/packaging/hosttest"
)

// What getent answers decides whose policy holds and under whose name a
// recording is filed. A process of the person's must not be able to write into
// its pipe, /proc/PID/fd/1, or to trace it.
func TestNobodyAnswersForGetent(t *testing.T) {
	hosttest.Install(t)
	const path = "/usr/bin/getent"
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const slow = "#!/bin/sh\nsleep 1\n"
	if err := replace(path, []byte(slow)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := replace(path, before); err != nil {
			t.Error(err)
		}
	})
	cmd := exec.Command("/usr/bin/castgate-wrap")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 47110, Gid: 47110}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }() // it refuses: nobody has that uid
	var owner uint32
	hosttest.WaitFor(t, "getent", func() bool {
		owner, err = ownerOf(path + "\x00passwd\x0047110\x00")
		return err == nil
	})
	if owner != 0 {
		t.Errorf("getent's /proc/PID/fd belongs to uid %d", owner)
	}
}

func replace(path string, text []byte) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o755)
}

// ownerOf finds the process with that command line and says whose its
// descriptors are.
func ownerOf(line string) (uint32, error) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range all {
		if text, _ := os.ReadFile(name); !strings.HasSuffix(string(text), line) {
			continue
		}
		info, err := os.Stat(filepath.Dir(name) + "/fd")
		if err != nil {
			return 0, err
		}
		return info.Sys().(*syscall.Stat_t).Uid, nil
	}
	return 0, fs.ErrNotExist
}
