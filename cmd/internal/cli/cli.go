// SPDX-License-Identifier: AGPL-3.0-or-later

// Package cli is where the castgate commands meet their process: arguments,
// standard streams, environment, log and exit status come in as an Env and
// leave as an error, so that a command's main can be called from a test.
//
// What a person reads follows three rules. Every message starts with the
// program's name and says what failed and why, in lower case, without a full
// stop. Advice stands on a line of its own that starts with "hint:". Help goes
// to standard output with status 0, everything else to standard error.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"castgate/wrap/hint"
)

// Version is set at build time (-X castgate/cmd/internal/cli.Version=...).
var Version = "1.0.0-dev"

// Env is the process as a command sees it.
type Env struct {
	Name   string   // the program, for messages: "castgate-keys"
	Args   []string // arguments without the program's name
	Stdin  *os.File
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
	Log    *slog.Logger
}

// Exit statuses that mean the same in every command. castgate-wrap has more:
// it passes on the status of the session it ran.
const (
	StatusFailed  = 1   // something went wrong; the message says what
	StatusUsage   = 2   // the command line is wrong
	StatusRefused = 254 // castgate-wrap: policy refused the session
)

// Status is an error that carries an exit status. With a nil Err nothing is
// printed: the command has said what there was to say.
type Status struct {
	Code int
	Err  error
}

func (s *Status) Error() string {
	if s.Err == nil {
		return fmt.Sprintf("exit status %d", s.Code)
	}
	return s.Err.Error()
}

func (s *Status) Unwrap() error { return s.Err }

// Exit returns an error that ends the program with code and prints nothing.
func Exit(code int) error { return &Status{Code: code} }

// Usage returns an error about the command line itself.
func Usage(format string, args ...any) error {
	return &Status{Code: StatusUsage, Err: fmt.Errorf(format, args...)}
}

// Hint adds advice to err. It is printed on a line of its own.
func Hint(err error, format string, args ...any) error { return hint.Addf(err, format, args...) }

// Main runs a command and ends the process. It is the only caller of os.Exit.
func Main(name string, run func(*Env) error) {
	env := &Env{
		Name: name, Args: os.Args[1:],
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv,
		Log:    NewLog(name, os.Stderr),
	}
	os.Exit(env.Finish(run(env)))
}

// Finish prints what err has to say and returns the exit status it stands for.
func (e *Env) Finish(err error) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	var s *Status
	if errors.As(err, &s) && s.Err == nil {
		return s.Code
	}
	e.Complain(err)
	if s != nil {
		return s.Code
	}
	return StatusFailed
}

// Complain prints err as "name: message", and its advice as "name: hint: advice".
func (e *Env) Complain(err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(e.Stderr, "%s: %s\n", e.Name, strings.TrimRight(line, "\r\n"))
	}
	if advice := hint.Of(err); advice != "" {
		fmt.Fprintf(e.Stderr, "%s: hint: %s\n", e.Name, advice)
	}
}

// Flags returns a flag set that answers -version, -h, -help and --help on
// standard output. synopsis is the first line of the help, without "usage:".
func (e *Env) Flags(synopsis, description string) *flag.FlagSet {
	fs := flag.NewFlagSet(e.Name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // Parse reports; the package would print twice
	fs.Usage = func() {
		fmt.Fprintf(e.Stdout, "usage: %s\n\n%s\n\n", synopsis, strings.TrimSpace(description))
		fs.SetOutput(e.Stdout)
		fs.PrintDefaults()
		fs.SetOutput(io.Discard)
	}
	fs.Bool("version", false, "print the version and exit")
	return fs
}

// Parse reads args into fs. It returns flag.ErrHelp, for which Finish exits
// with status 0, when help or the version was asked for and has been printed.
func (e *Env) Parse(fs *flag.FlagSet, args []string) error {
	usage := fs.Usage
	fs.Usage = func() {} // the package calls it for every mistake, too
	err := fs.Parse(args)
	fs.Usage = usage
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage()
		return err
	case err != nil:
		return Hint(Usage("%v", err), "%s -h lists the flags", e.Name)
	}
	if fs.Lookup("version").Value.String() == "true" {
		fmt.Fprintln(e.Stdout, e.Name, Version)
		return flag.ErrHelp
	}
	return nil
}
