// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"errors"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"castgate/cmd/internal/cli"
)

// paged runs write with standard output, through a pager where that is a
// terminal: $PAGER, else less. The pager gets no control characters: all that
// is written here has been through archive.Plain.
func paged(env *cli.Env, never bool, write func(io.Writer) error) error {
	out := terminal(env.Stdout)
	pager := env.Getenv("PAGER")
	if pager == "" {
		pager = "less"
	}
	if out == nil || never || pager == "cat" {
		return quietly(write(env.Stdout))
	}
	cmd := exec.Command("/bin/sh", "-c", pager) // as git and man do: PAGER may have arguments
	cmd.Stdout, cmd.Stderr = out, env.Stderr
	// -F: quit when it fits, -R is left out, -X: leave the text on the screen.
	cmd.Env = append(os.Environ(), "LESS=FX", "LESSSECURE=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return quietly(write(env.Stdout))
	}
	err = write(in)
	_ = in.Close()
	waitErr := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(waitErr, &exit) && exit.ExitCode() == 127 { // no such pager
		return cli.Hint(errors.New("the pager "+pager+" can't be run"), "PAGER=cat, or -no-pager")
	}
	return quietly(err)
}

// quietly drops the error of a reader that has seen enough.
func quietly(err error) error {
	if errors.Is(err, unix.EPIPE) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
