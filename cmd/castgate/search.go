// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"time"

	"castgate/cmd/internal/cli"
	"castgate/upload/archive"
)

type searchFlags struct {
	config        func() (archive.Config, error)
	filter        archive.Query
	since, until  string
	limit         int
	json, noPager bool
}

// fewNew is how many new recordings search reads itself; for more of them
// "castgate index" is the place.
const fewNew = 256

func searchCommand(env *cli.Env, fs *flag.FlagSet) func() error {
	f := searchFlags{config: configFlag(fs)}
	filterFlags(fs, &f.filter, &f.since, &f.until)
	fs.IntVar(&f.limit, "n", 100, "at most this `number` of recordings, the newest; 0 for all")
	fs.BoolVar(&f.filter.Visible, "visible", false, "leave out what was hidden, see castgate text -hidden")
	fs.BoolVar(&f.json, "json", false, "a JSON object for each recording, with its hits")
	fs.BoolVar(&f.noPager, "no-pager", false, "write to the terminal as it comes")
	return func() error {
		if fs.NArg() == 0 {
			return cli.Hint(cli.Usage("no words to look for"), "castgate search sudo 'etc passwd' deploy*")
		}
		if err := times(&f.filter, f.since, f.until, time.Now()); err != nil {
			return err
		}
		cfg, err := f.config()
		if err != nil {
			return err
		}
		return paged(env, f.noPager, func(w io.Writer) error { return f.search(env, w, cfg, fs.Args()) })
	}
}

func (f *searchFlags) search(env *cli.Env, w io.Writer, cfg archive.Config, words []string) error {
	ix, err := searchable(env, cfg)
	if err != nil {
		return explain(err)
	}
	defer ix.Close()
	out := bufio.NewWriter(w)
	defer out.Flush()
	n := 0
	for found, err := range ix.Search(words, f.filter, f.limit) {
		if err != nil {
			return err
		}
		n++
		if err := f.print(out, found); err != nil {
			return err
		}
	}
	if _, pending, err := ix.Count(); err == nil && pending > 0 {
		env.Complain(cli.Hint(fmt.Errorf("%d recordings could not be searched yet", pending), "castgate index reads them"))
	}
	if n == 0 { // as grep
		return cli.Exit(cli.StatusFailed)
	}
	return nil
}

// searchable opens the index, makes it when there is none, and puts in what is
// new: of a new index all, else what came where new recordings usually come.
// One that can't be written is searched as it is.
func searchable(env *cli.Env, cfg archive.Config) (*archive.Index, error) {
	store, err := openStore(cfg)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	complain := func(err error) {
		var claimed *archive.ClaimedError
		if errors.As(err, &claimed) {
			env.Complain(err)
			return
		}
		env.Log.Warn("not indexed", "why", err)
	}
	ix, err := archive.OpenIndex(cfg.Index, true)
	if err != nil {
		return nil, err
	}
	all, _, err := ix.Count()
	if err != nil {
		ix.Close()
		return nil, err
	}
	if err = ix.Update(ctx, store, all > 0, complain); err == nil {
		_, err = ix.UpdateText(ctx, store, fewNew, runtime.NumCPU(), complain)
	}
	if err != nil {
		env.Log.Warn("the index was not brought up to date", "index", cfg.Index, "why", err)
	}
	return ix, nil
}

func (f *searchFlags) print(w io.Writer, found archive.Found) error {
	if f.json {
		return json.NewEncoder(w).Encode(found)
	}
	r := found.Row
	if _, err := fmt.Fprintf(w, "%s  %s  %s@%s  %s  %s\n", r.ID, r.Start.Local().Format("2006-01-02 15:04:05"),
		archive.Plain(r.User), archive.Plain(r.Host), archive.Plain(r.Login), r.What()); err != nil {
		return err
	}
	for _, hit := range found.Hits {
		at := time.Duration(hit.At * float64(time.Second))
		when := archive.Clock(at)
		if hit.Hidden != "" {
			when += " " + hit.Hidden
		}
		if _, err := fmt.Fprintf(w, "    [%s] %s\n", when, archive.Plain(hit.Text)); err != nil {
			return err
		}
	}
	return nil
}
