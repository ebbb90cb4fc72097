// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"castgate/cmd/internal/cli"
	"castgate/upload/archive/web"
	"castgate/wrap/asciicast"
)

type exportFlags struct {
	*recordingFlags
	format, out string
}

func exportCommand(env *cli.Env, fs *flag.FlagSet) func() error {
	f := exportFlags{recordingFlags: newRecordingFlags(fs), format: "v3"}
	fs.Var(choice{&f.format, []string{"v3", "v2", "txt", "html"}}, "format", "`format`: v3 (as it was recorded, or converted from v1 and v2), v2 (asciinema before 3.0), txt (what the screen showed), html (player and recording in one page)")
	fs.StringVar(&f.out, "o", "", "write to this new `FILE` instead of standard output")
	return func() error {
		arg, err := oneArgument(fs)
		if err != nil {
			return err
		}
		write := map[string]func(*cli.Env, io.Writer, io.Reader) error{"v3": writeV3, "v2": writeV2, "txt": writeText, "html": writeHTML}[f.format]
		open, err := f.find(arg)
		if err != nil {
			return explain(err)
		}
		in, err := open()
		if err != nil {
			return explain(err)
		}
		defer in.Close()
		return f.export(env, in, write)
	}
}

// export writes to standard output, or to a file that is not there yet and
// that nobody else may read.
func (f *exportFlags) export(env *cli.Env, in io.Reader, write func(*cli.Env, io.Writer, io.Reader) error) error {
	if f.out == "" {
		return quietly(write(env, env.Stdout, in))
	}
	file, err := os.OpenFile(f.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(write(env, file, in), file.Close())
	if err != nil {
		_ = os.Remove(f.out)
	}
	return err
}

func writeV3(env *cli.Env, w io.Writer, in io.Reader) error {
	torn, err := asciicast.WriteV3(w, in)
	return exported(env, torn, err)
}

func writeV2(env *cli.Env, w io.Writer, in io.Reader) error {
	r, err := asciicast.NewReader(in)
	if err != nil {
		return exported(env, false, err)
	}
	torn, err := asciicast.WriteV2(w, r)
	return exported(env, torn, err)
}

func writeText(env *cli.Env, w io.Writer, in io.Reader) error {
	return (&textFlags{}).write(env, w, in)
}

func writeHTML(_ *cli.Env, w io.Writer, in io.Reader) error {
	if err := web.WriteSingle(context.Background(), w, in); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

func exported(env *cli.Env, torn bool, err error) error {
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if torn {
		fmt.Fprintf(env.Stderr, "%s: the recording was interrupted: this is what there is of it\n", env.Name)
	}
	return nil
}
