// SPDX-License-Identifier: AGPL-3.0-or-later

// Command visit is the demo's visitor: it runs a command on a terminal of its
// own, types at it as a person would, resizes the window once, and copies
// what it sees to its standard output.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"time"

	"github.com/creack/pty"
)

// act is something the visitor does when the prompt has been there for a while.
type act struct {
	keys       string
	cols, rows uint16 // not 0: resize first
}

var play = []act{
	{keys: `PS1='\[\e[1;32m\]\u@\h\[\e[0m\]:\[\e[1;34m\]\w\[\e[0m\]\$ '; clear`},
	{keys: "id"},
	{keys: "ls --color=always /usr"},
	{keys: `printf '\e[1;31m%s \e[1;33m%s \e[1;32m%s\e[0m\n' every byte is; printf '\e[1;36m%s\e[0m\n' recorded`},
	{keys: "stty size", cols: 100, rows: 30},
	{keys: "ls /var/spool/castgate"},
	{keys: "exit 0"},
}

const (
	think  = 500 * time.Millisecond // before each line, and after the last output
	stroke = 15 * time.Millisecond
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("visit: ")
	if len(os.Args) < 2 {
		log.Fatal("usage: visit COMMAND [ARGUMENT...]")
	}
	if err := visit(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func visit(args []string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "LANG=C.UTF-8")
	term, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 80, Rows: 24})
	if err != nil {
		return err
	}
	defer term.Close()
	heard := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(os.Stdout, &ear{term, heard}) // EIO ends it: the command has gone
		close(done)
	}()
	for _, a := range play {
		quiet(heard, done)
		if a.cols > 0 {
			_ = pty.Setsize(term, &pty.Winsize{Cols: a.cols, Rows: a.rows})
		}
		for _, r := range a.keys + "\r" {
			if _, err := term.WriteString(string(r)); err != nil {
				return fmt.Errorf("the session ended before it should: %w", cmd.Wait())
			}
			time.Sleep(stroke)
		}
	}
	<-done
	return cmd.Wait()
}

// quiet returns when something was said and then nothing for a while: there
// is a prompt.
func quiet(heard, done <-chan struct{}) {
	select {
	case <-heard:
	case <-done:
		return
	case <-time.After(10 * time.Second):
	}
	for {
		select {
		case <-heard:
		case <-time.After(think):
			return
		}
	}
}

// ear tells when something was read.
type ear struct {
	from  io.Reader
	heard chan<- struct{}
}

func (e *ear) Read(p []byte) (int, error) {
	n, err := e.from.Read(p)
	select {
	case e.heard <- struct{}{}:
	default:
	}
	return n, err
}
