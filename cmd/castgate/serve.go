// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"castgate/cmd/internal/cli"
	"castgate/upload/archive"
	"castgate/upload/archive/receive"
	"castgate/upload/archive/serve"
	"castgate/upload/archive/web"
	"castgate/upload/bucket"
	"castgate/upload/manifest"
)

// serveCommand receives other hosts' recordings and shows them on a page.
func serveCommand(env *cli.Env, flags *flag.FlagSet) func() error {
	load := configFlag(flags)
	return func() error {
		if flags.NArg() > 0 {
			return cli.Usage("argument %q is too much", flags.Arg(0))
		}
		cfg, err := load()
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		doors, err := doorsOf(ctx, cfg, cacheDir(env, cfg), env.Log)
		if err != nil {
			return err
		}
		inherited, err := serve.Inherited(env.Getenv)
		if err != nil {
			return err
		}
		return serve.Run(ctx, doors, inherited, env.Log)
	}
}

// cacheDir is where prepared recordings are: systemd's CacheDirectory=, else
// beside the index, which is derived data as well.
func cacheDir(env *cli.Env, cfg archive.Config) string {
	if dir := env.Getenv("CACHE_DIRECTORY"); dir != "" {
		return dir
	}
	return filepath.Join(filepath.Dir(cfg.Index), "prepared")
}

func doorsOf(ctx context.Context, cfg archive.Config, cache string, log *slog.Logger) (doors []serve.Door, err error) {
	if cfg.Web.Listen != "" {
		d, err := webDoor(ctx, cfg, cache, log)
		if err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
		doors = append(doors, d)
	}
	if cfg.Receive.Listen != "" {
		d, err := receiveDoor(cfg, log)
		if err != nil {
			return nil, fmt.Errorf("receive: %w", err)
		}
		doors = append(doors, d)
	}
	return doors, nil
}

func receiveDoor(cfg archive.Config, log *slog.Logger) (serve.Door, error) {
	d := serve.Door{Name: "receive", Addr: cfg.Receive.Listen}
	if cfg.Receive.CAFile == "" || cfg.Receive.CertFile == "" || cfg.Receive.KeyFile == "" {
		return d, cli.Hint(errors.New("ca_file, cert_file and key_file are needed"), "castgate ca init, castgate ca server and castgate ca host make them")
	}
	var err error
	d.TLS, err = serve.Files{Cert: cfg.Receive.CertFile, Key: cfg.Receive.KeyFile, CA: cfg.Receive.CAFile}.Config()
	if err != nil {
		return d, err
	}
	dir, err := openReceived(cfg)
	if err != nil {
		return d, err
	}
	server := receive.New(dir, receive.Limits{}, log)
	server.Certificates = cfg.TTYSpy.Certificates
	d.Handler = server
	if c := cfg.Receive.Tickets; c != nil {
		if server.Tickets, err = bucket.Open(bucket.Config(*c)); err != nil {
			return d, fmt.Errorf("tickets: %w", err)
		}
	}
	return d, nil
}

func webDoor(ctx context.Context, cfg archive.Config, cache string, log *slog.Logger) (serve.Door, error) {
	d := serve.Door{Name: "web", Addr: cfg.Web.Listen}
	if cfg.Web.CertFile != "" {
		tls, err := serve.Files{Cert: cfg.Web.CertFile, Key: cfg.Web.KeyFile}.Config()
		if err != nil {
			return d, err
		}
		d.TLS = tls
	}
	auth, err := authOf(cfg.Auditors)
	if err != nil {
		return d, fmt.Errorf("auditors: %w", err)
	}
	store, err := openIndexed(cfg)
	if err != nil {
		return d, err
	}
	audit, err := web.OpenAudit(filepath.Join(cfg.Store.Dir, receive.SideDir, "audit"), log)
	if err != nil {
		return d, err
	}
	prepared, err := web.NewCache(cache)
	if err != nil {
		return d, err
	}
	page, err := web.New(store, auth, audit, prepared, log)
	if err != nil {
		return d, err
	}
	d.Handler = page
	go store.Follow(ctx, log)
	return d, nil
}

func openIndexed(cfg archive.Config) (*web.Indexed, error) {
	store, err := openStore(cfg)
	if err != nil {
		return nil, err
	}
	dir, err := openWatched(cfg, store)
	if err != nil {
		return nil, err
	}
	if dir.Signers, err = readSigners(cfg.Keys); err != nil {
		return nil, err
	}
	index, err := archive.OpenIndex(cfg.Index, true)
	if err != nil {
		return nil, err
	}
	return &web.Indexed{Directory: dir, Index: index, Store: store}, nil
}

// authOf reads who may watch: exactly one way.
func authOf(cfg archive.AuditorsConfig) (web.Auth, error) {
	ways := 0
	for _, set := range []bool{cfg.GitHub != nil, cfg.Header != nil, cfg.TokenFile != ""} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		return web.Auth{}, cli.Hint(errors.New("want one of github, header and token_file"),
			"for one machine: (umask 077; openssl rand -hex 20 > /etc/castgate/web-token) and auditors: {token_file: /etc/castgate/web-token}")
	}
	var auth web.Auth
	var err error
	switch {
	case cfg.GitHub != nil:
		auth.GitHub, err = githubOf(cfg.GitHub)
	case cfg.Header != nil:
		auth.Header, err = web.NewHeader(cfg.Header)
	default:
		auth.Tokens, err = web.ReadTokens(cfg.TokenFile)
	}
	return auth, err
}

func githubOf(cfg *archive.GitHubAuditors) (*web.GitHub, error) {
	secret, err := os.ReadFile(cfg.ClientSecretFile)
	if err != nil {
		return nil, err
	}
	return web.NewGitHub(web.GitHub{
		Org: cfg.Org, Teams: cfg.Teams, Leads: cfg.Leads, Own: cfg.Own, ClientID: cfg.ClientID, Secret: string(secret),
	}, cfg.URL)
}

// readSigners reads whose signatures count; without the file, hashes alone do.
func readSigners(path string) (*manifest.AllowedSigners, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	signers, err := manifest.ParseAllowedSigners(f)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", path, err)
	}
	return signers, nil
}
