// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"errors"
	"flag"
	"io/fs"
	"path"

	"castgate/cmd/internal/config"
	"castgate/upload"
	"castgate/upload/archive"
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
	if c := cfg.Store.S3; c != nil {
		bucket, err := upload.Bucket(upload.S3Config{
			Endpoint: c.Endpoint, Region: c.Region, Bucket: c.Bucket, Prefix: c.Prefix,
			CredentialsFile: c.CredentialsFile, PathStyle: c.PathStyle,
		})
		return &archive.Store{FS: bucket, Name: "s3://" + path.Join(c.Bucket, c.Prefix)}, err
	}
	return archive.OpenDir(cfg.Store.Dir)
}
