// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

// enter runs this test binary again, as the init of a new host, and returns
// its exit status.
func enter() (int, error) {
	machine, err := survey()
	if err != nil {
		return 0, err
	}
	// The parent-death signal goes to the child of the thread that made it:
	// a killed test leaves nothing behind only while that thread lives.
	runtime.LockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageEnv+"=init", machineEnv+"="+machine.encode())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("new namespaces: %w", err)
	}
	forward(cmd.Process)
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return status(cmd.ProcessState.Sys().(syscall.WaitStatus)), nil
}

// forward passes on what go test sends to a test that takes too long (QUIT,
// for its stacks) and what a terminal sends to all of us.
func forward(p *os.Process) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGQUIT, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for s := range ch {
			_ = p.Signal(s)
		}
	}()
}

func status(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
