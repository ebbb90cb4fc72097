// SPDX-License-Identifier: AGPL-3.0-or-later

// castgate is the program of the people who run hosts and read recordings.
// Each subcommand has a file of its own here, with its flags and its wiring;
// what it does lives in the packages.
package main

import (
	"flag"
	"fmt"
	"strings"

	"castgate/cmd/internal/cli"
)

// command is one subcommand. setup registers its flags on fs and returns what
// is run once they have been read; fs.Args() then has the arguments. Setup has
// no effects of its own: the completion scripts are made by calling it.
type command struct {
	name  string
	args  string // its part of the synopsis: "[flags] ID|FILE"
	what  string // one line, lower case, without full stop
	setup func(env *cli.Env, fs *flag.FlagSet) func() error
}

// commands is filled by a function, not a variable: help and completion list
// the commands and are commands themselves.
func commands() []command {
	return []command{
		{"ca", "[flags] init | host NAME | server NAME...", "make the certificates of a fleet", caCommand},
		{"check", "[flags]", "look at the whole host for what is wrong with the door", checkCommand},
		{"completion", "bash|zsh|fish", "print a completion script for a shell", completionCommand},
		{"disable", "[flags]", "take castgate out of sshd's configuration", disableCommand},
		{"enable", "[flags]", "put castgate into sshd's configuration, and back when a login fails", enableCommand},
		{"export", "[flags] ID|FILE", "write a recording in another format", exportCommand},
		{"index", "[flags]", "bring the index for ls and search up to date", indexCommand},
		{"ls", "[flags] [ID]", "list the recordings of the archive", lsCommand},
		{"play", "[flags] ID|FILE", "replay a recording", playCommand},
		{"search", "[flags] WORDS", "find the recordings whose screens showed some words", searchCommand},
		{"serve", "[flags]", "receive recordings of other hosts; the web page", serveCommand},
		{"text", "[flags] ID|FILE", "print what the screen showed, with the time of each line", textCommand},
		{"verify", "[flags] [ID|DIR]", "prove that recordings are as they were delivered", verifyCommand},
	}
}

func main() { cli.Main("castgate", run) }

func run(env *cli.Env) error {
	fs := env.Flags("castgate COMMAND [flags] [arguments]", overview())
	if err := env.Parse(fs, env.Args); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return cli.Hint(cli.Usage("no command"), "castgate -h lists the commands")
	}
	name := fs.Arg(0)
	for _, c := range commands() {
		if c.name == name {
			return c.run(env, fs.Args()[1:])
		}
	}
	if name == "help" {
		return help(env, fs.Args()[1:])
	}
	return cli.Hint(cli.Usage("command %q is not known", name), "castgate -h lists the commands")
}

// run reads the flags of c, which may also stand behind its arguments: people
// write "castgate play ID -speed 2".
func (c command) run(env *cli.Env, args []string) error {
	sub := *env
	sub.Name = "castgate " + c.name
	fs := sub.Flags(sub.Name+" "+c.args, c.what)
	do := c.setup(env, fs)
	if err := parseAnywhere(&sub, fs, args); err != nil {
		return err
	}
	return do()
}

// parseAnywhere is env.Parse for flags before, between and behind arguments.
// What follows "--" is never a flag.
func parseAnywhere(env *cli.Env, fs *flag.FlagSet, args []string) error {
	var plain []string
	for {
		if err := env.Parse(fs, args); err != nil {
			return err
		}
		rest := fs.Args()
		if len(rest) == 0 {
			break
		}
		if used := len(args) - len(rest); used > 0 && args[used-1] == "--" {
			plain = append(plain, rest...)
			break
		}
		plain, args = append(plain, rest[0]), rest[1:]
	}
	return fs.Parse(append([]string{"--"}, plain...))
}

// help answers "castgate help" and "castgate help COMMAND".
func help(env *cli.Env, args []string) error {
	sub := *env
	sub.Args = append(args, "-h")
	return run(&sub)
}

func overview() string {
	var b strings.Builder
	b.WriteString("Looks after hosts with recorded sessions, and reads the recordings.\n\ncommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-11s %s\n", c.name, c.what)
	}
	b.WriteString("\n\"castgate COMMAND -h\" tells more about each.")
	return b.String()
}
