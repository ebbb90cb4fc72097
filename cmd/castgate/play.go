// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"castgate/cmd/internal/cli"
	"castgate/upload/archive"
	"castgate/upload/archive/screen"
	"castgate/wrap/asciicast"
)

type playFlags struct {
	*recordingFlags
	speed       float64
	idle        time.Duration
	at          string
	raw, follow bool
	hidden      bool
}

func playCommand(env *cli.Env, fs *flag.FlagSet) func() error {
	f := playFlags{recordingFlags: newRecordingFlags(fs)}
	fs.Float64Var(&f.speed, "speed", 0, "`times` as fast as it was (default 1 on a terminal; elsewhere everything at once)")
	cli.DurationVar(fs, &f.idle, "idle", 0, "wait no longer than this `duration` where nothing happened: 2s")
	fs.StringVar(&f.at, "at", "", "start at this `time` of the recording: 12:30, 90s")
	fs.BoolVar(&f.raw, "raw", false, "don't filter: titles, clipboard and answers of the terminal are the recording's")
	fs.BoolVar(&f.hidden, "hidden", false, "show as text what was written into control strings, where most terminals show nothing")
	fs.BoolVar(&f.follow, "follow", false, "watch a session that goes on")
	return func() error { return f.play(env, fs) }
}

func (f *playFlags) play(env *cli.Env, fs *flag.FlagSet) error {
	arg, err := oneArgument(fs)
	if err != nil {
		return err
	}
	p, err := f.player(arg)
	if err != nil {
		return explain(err)
	}
	p.Out = env.Stdout
	defer f.tellHidden(env, p)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	defer stop()
	if out := terminal(env.Stdout); out != nil {
		restore, err := f.onTerminal(ctx, env, p, out)
		if err != nil {
			return explain(err)
		}
		defer restore()
	}
	err = p.Play(ctx)
	switch {
	case errors.Is(err, context.Canceled):
		return cli.Exit(cli.StatusFailed)
	case errors.Is(err, unix.EPIPE): // the reader has seen enough
		return nil
	}
	return explain(err)
}

// tellHidden says that there was more than was shown.
func (f *playFlags) tellHidden(env *cli.Env, p *asciicast.Player) {
	if p.Hidden == 0 || f.raw {
		return
	}
	lines := fmt.Sprintf("%d lines of text were", p.Hidden)
	if p.Hidden == 1 {
		lines = "a line of text was"
	}
	env.Complain(cli.Hint(errors.New(lines+" written into control strings and not shown"), "castgate play -hidden shows it, castgate text -hidden lists it"))
}

// player is what the flags ask for.
func (f *playFlags) player(arg string) (*asciicast.Player, error) {
	if f.speed < 0 || f.idle < 0 {
		return nil, cli.Usage("-speed and -idle can't be negative")
	}
	p := &asciicast.Player{
		Speed: f.speed, Idle: f.idle, Raw: f.raw, Follow: f.follow, Reveal: f.hidden,
		Screen: func(cols, rows int) asciicast.Screen { return screen.New(cols, rows) },
	}
	if f.at != "" {
		at, err := archive.ParseMoment(f.at)
		if err != nil {
			return nil, cli.Usage("-at: %v", err)
		}
		p.Start = at
	}
	find := f.find
	if f.follow {
		find = f.findLive
		p.Speed = max(p.Speed, 1)
	}
	open, err := find(arg)
	p.Open = open
	return p, err
}

// onTerminal sets the terminal and the player up for each other.
func (f *playFlags) onTerminal(ctx context.Context, env *cli.Env, p *asciicast.Player, out *os.File) (restore func(), err error) {
	header, err := readHeader(p)
	if err != nil {
		return nil, err
	}
	keys := term.IsTerminal(int(env.Stdin.Fd()))
	if cols, rows, err := term.GetSize(int(out.Fd())); err == nil && (cols < header.Term.Cols || rows < header.Term.Rows) {
		fmt.Fprintf(env.Stderr, "%s: the recording is of a terminal of %dx%d, this one has %dx%d\n",
			env.Name, header.Term.Cols, header.Term.Rows, cols, rows)
	}
	p.Tidy = true
	if p.Speed == 0 {
		p.Speed = 1
	}
	restore, err = rawOutput(out, keys, header.Session != nil && !header.Session.TTY)
	if err == nil && keys {
		p.Keys = readKeys(ctx, env.Stdin)
	}
	return restore, err
}

func readHeader(p *asciicast.Player) (asciicast.Header, error) {
	f, err := p.Open()
	if err != nil {
		return asciicast.Header{}, err
	}
	defer f.Close()
	rd, err := asciicast.NewReader(f)
	if err != nil {
		return asciicast.Header{}, fmt.Errorf("read the recording: %w", err)
	}
	return rd.Header, nil
}
