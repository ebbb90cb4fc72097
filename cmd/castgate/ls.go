// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"castgate/cmd/internal/cli"
	"castgate/upload/archive"
	"castgate/upload/manifest"
)

type lsFlags struct {
	config        func() (archive.Config, error)
	filter        archive.Query
	name          archive.Name
	since, until  string
	spool         string
	json, noPager bool
}

// filterFlags registers the flags that choose recordings.
func filterFlags(fs *flag.FlagSet, f *archive.Query, since, until *string) {
	fs.StringVar((*string)(&f.User), "user", "", "sessions on this `account`, whoever it was")
	fs.Func("login", "sessions of the person with this GitHub `login`, or login:id, on any account", func(s string) (err error) {
		f.Login, err = manifest.ParsePerson(s)
		return err
	})
	fs.StringVar(&f.Host, "host", "", "sessions on this `host`, by its own name or its certificate's")
	fs.StringVar(since, "since", "", "sessions that went on at this `time` or later: 2026-11-22, '2026-11-22 15:04', 7d, 90m, today")
	fs.StringVar(until, "until", "", "sessions that began before this `time`")
}

// times reads -since and -until.
func times(f *archive.Query, since, until string, now time.Time) error {
	for _, t := range []struct {
		flag, text string
		to         *time.Time
	}{{"since", since, &f.Since}, {"until", until, &f.Until}} {
		if t.text == "" {
			continue
		}
		at, err := archive.ParseTime(t.text, now)
		if err != nil {
			return cli.Usage("-%s %q: %v", t.flag, t.text, err)
		}
		*t.to = at
	}
	return nil
}

func lsCommand(env *cli.Env, fs *flag.FlagSet) func() error {
	f := lsFlags{config: configFlag(fs)}
	filterFlags(fs, &f.filter, &f.since, &f.until)
	fs.StringVar(&f.spool, "spool", spoolDir, "spool `DIR` of this host, for live and waiting sessions")
	fs.BoolVar(&f.json, "json", false, "a JSON object for each recording")
	fs.BoolVar(&f.noPager, "no-pager", false, "write to the terminal as it comes")
	return func() error {
		switch {
		case fs.NArg() > 1:
			return cli.Usage("want at most one id")
		case fs.NArg() == 1:
			name, ok := archive.ParseName(fs.Arg(0))
			if !ok {
				return cli.Usage("%q is not the beginning of an id", fs.Arg(0))
			}
			f.name, f.filter.ID, f.filter.Dir = name, name.ID, name.Host
		}
		if err := times(&f.filter, f.since, f.until, time.Now()); err != nil {
			return err
		}
		cfg, err := f.config()
		if err != nil {
			return err
		}
		return paged(env, f.noPager, func(w io.Writer) error { return f.list(env, w, cfg) })
	}
}

func (f *lsFlags) list(env *cli.Env, w io.Writer, cfg archive.Config) error {
	waiting := spoolRows(f.spool, f.filter, time.Now()) // before the archive: what moves meanwhile is in one of them
	list, err := openListing(env, cfg)
	if err != nil {
		return explain(err)
	}
	defer list.Close()
	out := bufio.NewWriter(w)
	defer out.Flush()
	n, bad := 0, 0
	for r, err := range merge(waiting, list.List(f.filter), list.ClaimsOf) {
		if err != nil {
			bad++
			env.Complain(err)
			continue
		}
		if f.name.Place != "" && !f.name.Means(strings.TrimSuffix(r.Path, manifest.JSONSuffix)) {
			continue
		}
		if n++; n == 1 && !f.json {
			fmt.Fprintln(out, heading)
		}
		if err := f.row(out, r); err != nil {
			return err
		}
	}
	if n == 0 && !f.json && bad == 0 {
		env.Complain(fmt.Errorf("no recordings"))
	}
	if bad > 0 {
		return cli.Exit(cli.StatusFailed)
	}
	return nil
}

const (
	heading   = "ID                                    START                TIME      HOST          USER          LOGIN         STATE        EXIT  WHAT"
	rowFormat = "%s  %s  %8s  %-12s  %-12s  %-12s  %-11s  %4s  %s\n"
)

func (f *lsFlags) row(w io.Writer, r archive.Row) error {
	r.State = r.Status()
	if f.json {
		return json.NewEncoder(w).Encode(r)
	}
	_, err := fmt.Fprintf(w, rowFormat, r.ID, r.Start.Local().Format("2006-01-02 15:04:05"), archive.Clock(time.Duration(r.Duration)),
		archive.Plain(r.Host), archive.Plain(r.User), archive.Plain(r.Login), r.State, r.Outcome(), r.What())
	return err
}
