// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime"

	"golang.org/x/sys/unix"

	"castgate/cmd/internal/cli"
	"castgate/upload/archive"
	"castgate/upload/bucket"
)

func indexCommand(env *cli.Env, fs *flag.FlagSet) func() error {
	load := configFlag(fs)
	workers := fs.Int("workers", runtime.NumCPU(), "how many recordings to read at once")
	again := fs.Bool("again", false, "make the index anew")
	return func() error {
		if fs.NArg() > 0 {
			return cli.Usage("no argument is wanted")
		}
		cfg, err := load()
		if err != nil {
			return err
		}
		store, err := openStore(cfg)
		if err != nil {
			return err
		}
		open := func(path string) (*archive.Index, error) { return archive.OpenIndex(path, true) }
		if *again {
			open = archive.RenewIndex
		}
		ix, err := open(cfg.Index)
		if err != nil {
			return explain(err)
		}
		defer ix.Close()
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
		defer stop()
		if err := bringUp(ctx, env, ix, store, *workers); err != nil {
			return err
		}
		tidyLive(ctx, env, ix, store)
		return nil
	}
}

// tidyLive takes the parts of live recordings out of a bucket that has the
// finished ones. A credential that may not delete is no fault: then they stay.
func tidyLive(ctx context.Context, env *cli.Env, ix *archive.Index, store *archive.Store) {
	b, ok := store.FS.(*bucket.Bucket)
	if !ok {
		return // the receiver of a directory has replaced them
	}
	tidied, err := b.TidyLive(ctx, func(host, id string) (io.ReadCloser, error) {
		return ix.Open(store, archive.Name{ID: id, Host: host})
	})
	if tidied > 0 {
		fmt.Fprintf(env.Stdout, "%d live recordings were replaced by the finished ones\n", tidied)
	}
	if err != nil {
		env.Complain(cli.Hint(err, "the credential may delete below .castgate/live/ only, or leave it to a rule of the bucket: castgate-upload.yaml(5)"))
	}
}

// bringUp indexes all that is in the store.
func bringUp(ctx context.Context, env *cli.Env, ix *archive.Index, store *archive.Store, workers int) error {
	bad := 0
	complain := func(err error) {
		bad++
		env.Complain(err)
	}
	if err := ix.Update(ctx, store, false, complain); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	added, err := ix.UpdateText(ctx, store, 0, workers, complain)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	all, pending, err := ix.Count()
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	fmt.Fprintf(env.Stdout, "%d recordings, %d of them new, %d not yet searchable\n", all, added, pending)
	if bad > 0 {
		return cli.Exit(cli.StatusFailed)
	}
	return nil
}

// openListing is the archive with its index, where there is one. What was
// delivered since the index was last brought up to date is put in first.
func openListing(env *cli.Env, cfg archive.Config) (*archive.Listing, error) {
	store, err := openStore(cfg)
	if err != nil {
		return nil, err
	}
	list := &archive.Listing{Store: store}
	ix, err := archive.OpenIndex(cfg.Index, false)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return list, nil
	case err == nil:
		err = ix.Update(context.Background(), store, true, func(err error) {
			var claimed *archive.ClaimedError
			if errors.As(err, &claimed) { // that is told once; what can't be read "castgate index" tells
				env.Complain(err)
			}
		})
	}
	if err != nil { // a damaged one, or one that only others may write
		env.Log.Warn("the index is not used", "index", cfg.Index, "why", err)
		if ix != nil {
			ix.Close()
		}
		return list, nil
	}
	list.Index = ix
	return list, nil
}
