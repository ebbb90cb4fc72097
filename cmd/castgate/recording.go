// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"castgate/cmd/internal/cli"
	"castgate/upload/archive"
	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
	"castgate/wrap/hint"
	"castgate/wrap/spool"
)

// recordingFlags are those of every command that reads one recording.
type recordingFlags struct {
	config     func() (archive.Config, error)
	identities multi
	spool      string
}

// multi is a flag that may be given several times.
type multi []string

func (m *multi) String() string     { return strings.Join(*m, " ") }
func (m *multi) Set(s string) error { *m = append(*m, s); return nil }

func newRecordingFlags(fs *flag.FlagSet) *recordingFlags {
	r := &recordingFlags{config: configFlag(fs)}
	fs.Var(&r.identities, "identity", "age or SSH private key `FILE` that opens a sealed recording; may be given several times")
	fs.StringVar(&r.spool, "spool", spoolDir, "spool `DIR` of this host, where live and waiting recordings are looked for")
	return r
}

// spoolDir and stateDir are this host's own; tests look elsewhere.
var (
	spoolDir = "/var/spool/castgate"
	stateDir = "/var/lib/castgate/upload"
)

// source opens a recording that was found, as often as it is wanted.
type source func() (io.ReadCloser, error)

// find takes a file's name or a recording's, archive.Name. What looks like a path,
// or is the name of a file that is there, is a file.
func (r *recordingFlags) find(arg string) (source, error) {
	ids, err := archive.ReadIdentities(r.identities)
	if err != nil {
		return nil, err
	}
	_, statErr := os.Stat(arg)
	if statErr == nil || strings.ContainsRune(arg, '/') || strings.Contains(arg, ".cast") {
		if statErr != nil {
			return nil, statErr
		}
		return fileSource(arg, ids), nil
	}
	name, ok := archive.ParseName(arg)
	if !ok {
		return nil, cli.Hint(fmt.Errorf("%q is neither a file nor the beginning of an id", arg), "castgate ls lists the ids")
	}
	store, err := r.store()
	if path, here := r.inSpool(name); path != "" {
		if err == nil && name.Host == "" {
			err = elsewhere(store, here)
		} else {
			err = nil // who may not read the archive may read the spool
		}
		return fileSource(path, ids), err
	}
	if err != nil {
		return nil, err
	}
	entry, err := store.Find(arg)
	if err != nil {
		return nil, err
	}
	return func() (io.ReadCloser, error) { return store.Open(entry, ids) }, nil
}

// elsewhere is an error when another host has delivered a recording with the id
// of one of the spool.
func elsewhere(store *archive.Store, here archive.Name) error {
	names := []string{here.String()}
	for _, e := range store.Named(archive.Name{ID: here.ID}, false) {
		if n := e.Name(); n.Host != here.Host {
			names = append(names, n.String())
		}
	}
	if len(names) == 1 {
		return nil
	}
	return &archive.ClaimedError{ID: here.ID, Names: names}
}

func fileSource(path string, ids []age.Identity) source {
	return func() (io.ReadCloser, error) { return archive.OpenFile(path, ids) }
}

// following reads a recording that is still being written until its writer
// has gone.
func following(path string) source {
	return func() (io.ReadCloser, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		return &asciicast.Tail{File: f, Ended: func() bool { return !spool.Held(f) }}, nil
	}
}

func (r *recordingFlags) store() (*archive.Store, error) {
	cfg, err := r.config()
	if err != nil {
		return nil, err
	}
	return openStore(cfg)
}

// inSpool looks for a recording that was not delivered yet, and returns its whole
// name. Who may not look there is not told about it.
func (r *recordingFlags) inSpool(name archive.Name) (path string, whole archive.Name) {
	for _, dir := range []string{"live", "incoming"} {
		found, _ := filepath.Glob(filepath.Join(r.spool, dir, name.ID+"*.cast"))
		if len(found) != 1 {
			continue
		}
		whole = nameOf(found[0])
		if name.Host == "" || name.Host == whole.Host {
			return found[0], whole
		}
	}
	return "", name
}

// nameOf is the name of a recording of the spool: of the file, and of the host
// that its header has.
func nameOf(path string) archive.Name {
	n := archive.Name{ID: strings.TrimSuffix(filepath.Base(path), ".cast")}
	f, err := os.Open(path)
	if err != nil {
		return n
	}
	defer f.Close()
	if in, err := asciicast.NewReader(f); err == nil && in.Header.Session != nil {
		n.Host, _ = manifest.Element(in.Header.Session.Host)
	}
	return n
}

// findLive is find for a session that goes on.
func (r *recordingFlags) findLive(arg string) (source, error) {
	path := arg
	if name, ok := archive.ParseName(arg); ok {
		path, _ = r.inSpool(name)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, cli.Hint(fmt.Errorf("no session %q goes on here", arg), "castgate-upload status lists the live ones; root may watch them")
	}
	defer f.Close()
	if !spool.Held(f) {
		return nil, cli.Hint(fmt.Errorf("session %q is over", arg), "castgate play without -follow shows it")
	}
	return following(path), nil
}

// oneArgument is the recording that a command is about.
func oneArgument(fs *flag.FlagSet) (string, error) {
	if fs.NArg() != 1 {
		return "", cli.Hint(cli.Usage("want one recording: an id or a file"), "castgate ls lists the ids")
	}
	return fs.Arg(0), nil
}

// explain gives the usual causes of an error a hint.
func explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission) && hint.Of(err) == "":
		return cli.Hint(err, "become root or a member of group castgate-archive")
	case errors.Is(err, fs.ErrNotExist) && hint.Of(err) == "":
		return cli.Hint(err, "castgate ls lists the recordings of the archive")
	}
	return err
}
