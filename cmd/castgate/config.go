// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"path"

	"castgate/cmd/internal/config"
	"castgate/upload/archive"
	"castgate/upload/archive/receive"
	"castgate/upload/archive/web"
	"castgate/upload/bucket"
)

// configFlag registers -config, which every command that reads the archive has,
// and returns what loads the file.
func configFlag(flags *flag.FlagSet) func() (archive.Config, error) {
	path := flags.String("config", archive.ConfigPath, "configuration `FILE`; without one, the local archive")
	return func() (archive.Config, error) {
		cfg := archive.Defaults()
		err := config.Load(*path, &cfg)
		if errors.Is(err, fs.ErrNotExist) && *path == archive.ConfigPath {
			return archive.Defaults(), nil
		}
		return cfg, err
	}
}

// openStore opens the recordings that the configuration names.
func openStore(cfg archive.Config) (*archive.Store, error) {
	c := cfg.Store.S3
	if c == nil {
		return archive.OpenDir(cfg.Store.Dir)
	}
	bucket, err := openBucket(c)
	if err != nil {
		return nil, err
	}
	return &archive.Store{FS: bucket, Name: "s3://" + path.Join(c.Bucket, c.Prefix)}, nil
}

func openBucket(c *archive.S3Config) (*bucket.Bucket, error) {
	b, err := bucket.Open(bucket.Config(*c))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return b, nil
}

// openReceived opens the store to receive into.
func openReceived(cfg archive.Config) (*receive.Dir, error) {
	if cfg.Store.S3 == nil {
		return receive.OpenDir(cfg.Store.Dir)
	}
	bucket, err := openBucket(cfg.Store.S3)
	if err != nil {
		return nil, err
	}
	return receive.OpenBucket(cfg.Store.Dir, bucket)
}

// openWatched opens the store for the page.
func openWatched(cfg archive.Config, store *archive.Store) (*web.Directory, error) {
	if cfg.Store.S3 == nil {
		return web.OpenDirectory(cfg.Store.Dir)
	}
	return web.OpenBucket(cfg.Store.Dir, store.FS)
}
