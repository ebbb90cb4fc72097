// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Hostname is the host's own name for itself.
const Hostname = "castgate-host"

// runInit is process 1 of the host. It does not return when all went well.
func runInit() error {
	m, err := decodeMachine()
	if err != nil {
		return err
	}
	unix.Umask(0o022)
	for _, step := range []struct {
		what string
		do   func(machine) error
	}{
		{"mount the root", mountRoot},
		{"begin clean", clean},
		{"mount the rest", mountRest},
		{"make devices", makeDevices},
		{"share directories", share},
		{"enter the root", pivot},
		{"set up the network", network},
		{"name the host", name},
	} {
		if err := step.do(m); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return supervise(m)
}

// supervise runs the tests, reaps what they orphan and ends with their status.
func supervise(m machine) error {
	if err := os.Chdir(m.Dir); err != nil {
		return err
	}
	// os.Executable would name the memory of the old root; the file is the same.
	exe, err := filepath.Abs(os.Args[0])
	if err != nil {
		return err
	}
	// Before the fork: what is handled here is not ignored there, although
	// nohup(1), or a shell for what runs in its background, said so.
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE)
	pid, err := syscall.ForkExec(exe, os.Args, &syscall.ProcAttr{Env: m.environment(os.Environ()), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return fmt.Errorf("run %q: %w", exe, err)
	}
	go func() {
		for s := range ch {
			if s != syscall.SIGPIPE {
				_ = syscall.Kill(pid, s.(syscall.Signal))
			}
		}
	}()
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, 0, nil)
		if err != nil && err != syscall.EINTR {
			return fmt.Errorf("wait: %w", err)
		}
		if err == nil && got == pid {
			os.Exit(status(ws))
		}
	}
}

// network brings loopback up: a new network namespace has it, but down.
func network(machine) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

func name(machine) error {
	if err := unix.Sethostname([]byte(Hostname)); err != nil {
		return err
	}
	if err := os.WriteFile("/etc/hostname", []byte(Hostname+"\n"), 0o644); err != nil {
		return err
	}
	return os.WriteFile("/etc/hosts", []byte("127.0.0.1 localhost "+Hostname+"\n::1 localhost\n"), 0o644)
}
