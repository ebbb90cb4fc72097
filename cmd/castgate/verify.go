// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"

	"castgate/cmd/internal/cli"
	"castgate/upload"
	"castgate/upload/archive"
	"castgate/upload/manifest"
)

type verifyFlags struct {
	config      func() (archive.Config, error)
	keys        string
	state       string
	json, quiet bool
}

func verifyCommand(env *cli.Env, fs *flag.FlagSet) func() error {
	f := verifyFlags{config: configFlag(fs)}
	fs.StringVar(&f.keys, "keys", "", "allowed_signers `FILE` with the hosts' keys (default: key \"keys\" of the configuration)")
	fs.StringVar(&f.state, "state", stateDir, "`DIR` with the journal of this host's castgate-upload, which knows what it delivered last")
	fs.BoolVar(&f.json, "json", false, "a JSON object for each fault, and one with the sum at the end")
	fs.BoolVar(&f.quiet, "q", false, "say nothing when all is well")
	return func() error {
		if fs.NArg() > 1 {
			return cli.Usage("want at most one id or directory")
		}
		cfg, err := f.config()
		if err != nil {
			return err
		}
		return f.verify(env, cfg, fs.Arg(0))
	}
}

func (f *verifyFlags) verify(env *cli.Env, cfg archive.Config, what string) error {
	signers, err := f.signers(env, cfg)
	if err != nil {
		return explain(err)
	}
	store, only, others, err := f.choose(cfg, what)
	if err != nil {
		return explain(err)
	}
	v := &manifest.Verifier{
		Open:    func(p string) (io.ReadCloser, error) { return store.FS.Open(p) },
		Signers: signers,
	}
	if only == "" && what == "" { // a copy may be older
		v.Known = f.known(env, cfg, store)
	}
	report := &report{env: env, json: f.json}
	if only != "" {
		_, faults := v.Recording(only)
		for _, o := range others {
			faults = append(faults, manifest.Claimed(only, o.Manifest.Session.ID, o.Path))
		}
		report.add(faults)
	} else {
		whole, err := v.All(store.FS, func(_ string, _ *manifest.Manifest, faults []manifest.Fault) { report.add(faults) })
		if err != nil {
			return explain(fmt.Errorf("verify %q: %w", store.Name, err))
		}
		report.fault(whole)
		report.forgotten = v.Forgotten()
	}
	return report.finish(f.quiet)
}

// known is what the index and this host's uploader remember of the archive. It
// can only make more faults, so that who wrote it need not be trusted.
func (f *verifyFlags) known(env *cli.Env, cfg archive.Config, store *archive.Store) []manifest.Known {
	heads, err := archive.Heads(cfg.Index)
	if err != nil {
		env.Complain(fmt.Errorf("what the index remembers can't be told: %w", err))
	}
	at := store.Name // of a bucket
	if cfg.Store.S3 == nil {
		at = cfg.Store.Dir
	}
	delivered, err := upload.Delivered(f.state, at)
	if err != nil && !errors.Is(err, fs.ErrPermission) { // the journal is its uploader's and root's
		env.Complain(fmt.Errorf("what the uploader remembers can't be told: %w", err))
	}
	return append(heads, delivered...)
}

// choose returns the store, and the one manifest that is meant, "" for all, with
// the others that have its id.
func (f *verifyFlags) choose(cfg archive.Config, what string) (store *archive.Store, only string, others []archive.Entry, err error) {
	if info, err := os.Stat(what); err == nil && info.IsDir() {
		store, err := archive.OpenDir(what)
		return store, "", nil, err
	}
	store, err = openStore(cfg)
	if err != nil || what == "" {
		return store, "", nil, err
	}
	if _, ok := archive.ParseName(what); !ok {
		return nil, "", nil, fmt.Errorf("%q is neither a directory nor the beginning of an id", what)
	}
	// The index is not asked: what it says is not what is there.
	entry, err := store.Find(what)
	if err != nil {
		return nil, "", nil, err
	}
	return store, entry.Path, store.SameID(entry), nil
}

// signers reads the hosts' keys. Without them hashes and chains are checked,
// and signatures only for being of the bytes they stand beside.
func (f *verifyFlags) signers(env *cli.Env, cfg archive.Config) (*manifest.AllowedSigners, error) {
	path := cfg.Keys
	if f.keys != "" {
		path = f.keys
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && f.keys == "" {
		env.Complain(cli.Hint(fmt.Errorf("whose signatures count is not known: %w", err),
			"one line for each host: NAME namespaces=\"castgate\" and the host's public key, signing-key.pub"))
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	signers, err := manifest.ParseAllowedSigners(file)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", path, err)
	}
	return signers, nil
}

// report prints faults as they are found.
type report struct {
	env            *cli.Env
	json           bool
	recordings, ok int
	faults         int
	forgotten      int // hosts of whose chain nobody remembers the end
}

func (r *report) add(faults []manifest.Fault) {
	r.recordings++
	if len(faults) == 0 {
		r.ok++
	}
	r.fault(faults)
}

func (r *report) fault(faults []manifest.Fault) {
	for _, f := range faults {
		r.faults++
		if r.json {
			_ = json.NewEncoder(r.env.Stdout).Encode(f)
		} else {
			fmt.Fprintf(r.env.Stdout, "FAIL %s\n", archive.Plain(f.String()))
		}
	}
}

func (r *report) finish(quiet bool) error {
	switch {
	case r.json:
		_ = json.NewEncoder(r.env.Stdout).Encode(map[string]int{"recordings": r.recordings, "ok": r.ok, "faults": r.faults, "ends_unknown": r.forgotten})
	case r.faults > 0:
		fmt.Fprintf(r.env.Stdout, "%d of %d recordings are as they were delivered; %d faults\n", r.ok, r.recordings, r.faults)
	case r.recordings == 0:
		fmt.Fprintln(r.env.Stdout, "nothing to verify: no recording is there, and nothing remembers one")
	case !quiet:
		fmt.Fprintf(r.env.Stdout, "ok: %d recordings are as they were delivered\n", r.recordings)
	}
	if r.forgotten > 0 && !quiet && !r.json {
		fmt.Fprintf(r.env.Stdout, "not told: whether the newest recordings are gone, of %d hosts whose end nothing remembers (castgate index does)\n", r.forgotten)
	}
	if r.faults > 0 {
		return cli.Exit(cli.StatusFailed)
	}
	return nil
}
