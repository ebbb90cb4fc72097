// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"castgate/cmd/internal/cli"
	"castgate/upload/archive"
	"castgate/upload/archive/screen"
)

type textFlags struct {
	*recordingFlags
	json, plain, hidden, noPager bool
}

func textCommand(env *cli.Env, fs *flag.FlagSet) func() error {
	f := textFlags{recordingFlags: newRecordingFlags(fs)}
	fs.BoolVar(&f.json, "json", false, "a JSON object for each line: at (seconds), kind, hidden (how, if it was), text")
	fs.BoolVar(&f.hidden, "hidden", false, "only what was hidden: in control strings, concealed, off screen, overwritten, erased, rubbed out")
	fs.BoolVar(&f.plain, "plain", false, "the text alone, without the times")
	fs.BoolVar(&f.noPager, "no-pager", false, "write to the terminal as it comes")
	return func() error {
		arg, err := oneArgument(fs)
		if err != nil {
			return err
		}
		open, err := f.find(arg)
		if err != nil {
			return explain(err)
		}
		in, err := open()
		if err != nil {
			return explain(err)
		}
		defer in.Close()
		return paged(env, f.noPager, func(w io.Writer) error { return f.write(env, w, in) })
	}
}

func (f *textFlags) write(env *cli.Env, w io.Writer, in io.Reader) error {
	out := bufio.NewWriter(w)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	torn, err := archive.Transcribe(ctx, in, func(l screen.Line) {
		if err := f.line(out, l); err != nil {
			giveUp() // the reader has gone
		}
	})
	flushErr := out.Flush()
	switch {
	case err != nil && ctx.Err() == nil:
		return fmt.Errorf("read the recording: %w", err)
	case flushErr != nil || ctx.Err() != nil:
		return quietly(flushErr)
	case torn:
		fmt.Fprintf(env.Stderr, "%s: the recording was interrupted: this is what there is of it\n", env.Name)
	}
	return nil
}

// line writes a line. How it was hidden stands with the time, where nothing of
// the recording stands.
func (f *textFlags) line(w io.Writer, l screen.Line) (err error) {
	switch {
	case f.hidden && l.Hidden == screen.Visible:
	case f.json:
		err = json.NewEncoder(w).Encode(struct {
			At     float64 `json:"at"`
			Kind   string  `json:"kind"`
			Hidden string  `json:"hidden,omitempty"`
			Text   string  `json:"text"`
		}{l.At.Seconds(), l.Kind.String(), l.Hidden.String(), l.Text})
	case f.plain:
		_, err = fmt.Fprintln(w, archive.Plain(l.Text))
	case l.Hidden != screen.Visible:
		_, err = fmt.Fprintf(w, "[%s %s] %s\n", archive.Clock(l.At), l.Hidden, archive.Plain(l.Text))
	default:
		_, err = fmt.Fprintf(w, "[%s] %s\n", archive.Clock(l.At), archive.Plain(l.Text))
	}
	return err
}
