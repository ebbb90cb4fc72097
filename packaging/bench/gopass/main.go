// SPDX-License-Identifier: AGPL-3.0-or-later

// gopass is a nested pty that records nothing, written as everybody writes it
// in Go: creack/pty and two copies. It is the other floor of the benchmark.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/creack/pty"
	"golang.org/x/term"
)

func main() {
	if err := pass(exec.Command(os.Args[1], os.Args[2:]...)); err != nil {
		fmt.Fprintln(os.Stderr, "gopass:", err)
	}
}

func pass(cmd *exec.Cmd) error {
	size, err := pty.GetsizeFull(os.Stdin)
	if err != nil {
		return err
	}
	master, err := pty.StartWithSize(cmd, size)
	if err != nil {
		return err
	}
	old, err := term.MakeRaw(0)
	if err != nil {
		return err
	}
	go func() { _, _ = io.Copy(master, os.Stdin) }()
	_, _ = io.Copy(os.Stdout, master)
	_ = term.Restore(0, old)
	return cmd.Wait()
}
