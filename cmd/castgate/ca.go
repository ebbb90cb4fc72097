// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"cmp"
	"crypto"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"castgate/cmd/internal/cli"
	"castgate/upload/archive/ca"
)

// caCommand makes a fleet's certificates.
func caCommand(env *cli.Env, fs *flag.FlagSet) func() error {
	c := &caFlags{env: env}
	fs.StringVar(&c.dir, "dir", "/etc/castgate/ca", "`DIR` of the authority")
	fs.StringVar(&c.out, "out", "", "`DIR` to write certificates and keys to (default: the current one; server, as root: /etc/castgate)")
	fs.StringVar(&c.csr, "csr", "", "host: certify the key of this request (PEM `FILE`); the key stays where it is")
	return func() error {
		args := fs.Args()
		switch {
		case len(args) == 1 && args[0] == "init":
			return c.init()
		case len(args) == 2 && args[0] == "host":
			return c.host(args[1])
		case len(args) >= 2 && args[0] == "server":
			return c.server(args[1:])
		}
		return cli.Hint(cli.Usage("want init, host NAME or server NAME..."), "castgate ca init makes an authority; castgate ca host web1 a host's certificate")
	}
}

type caFlags struct {
	env           *cli.Env
	dir, out, csr string
}

func (c *caFlags) init() error {
	if _, err := ca.Init(c.dir, "castgate archive"); err != nil {
		return fmt.Errorf("make an authority: %w", err)
	}
	fmt.Fprintf(c.env.Stdout, `made %s and its key
next:  castgate ca server ARCHIVE-NAME   the archive's own certificate
       castgate ca host HOST-NAME        one for each host that uploads
ca_file, on both ends, is %[1]s. Keep the key off the archive where you can.
`, filepath.Join(c.dir, ca.CertFile))
	return nil
}

func (c *caFlags) host(name string) error {
	a, err := c.open()
	if err != nil {
		return err
	}
	var pub crypto.PublicKey
	if c.csr != "" {
		if pub, err = ca.Request(c.csr); err != nil {
			return err
		}
	}
	files, err := a.Host(name, cmp.Or(c.out, "."), pub)
	if err != nil {
		return fmt.Errorf("certify %q: %w", name, err)
	}
	return c.made(files)
}

func (c *caFlags) server(names []string) error {
	a, err := c.open()
	if err != nil {
		return err
	}
	out := cmp.Or(c.out, ".")
	if c.out == "" && os.Geteuid() == 0 {
		out = serverDir
	}
	files, err := a.Server(names, out)
	if err == nil {
		err = forServe(files)
	}
	if err != nil {
		return fmt.Errorf("certify %q: %w", names, err)
	}
	return c.made(files)
}

// serverDir and serveGroup are where castgate serve, and as whom, reads its own
// certificate on the machine of the archive.
const (
	serverDir  = "/etc/castgate"
	serveGroup = "castgate-archive"
)

// forServe lets castgate serve, and nobody else, read the key. Elsewhere than on
// the archive there is no such group, and the key stays the caller's.
func forServe(files []string) error {
	g, err := user.LookupGroup(serveGroup)
	if err != nil || os.Geteuid() != 0 {
		return nil
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return err
	}
	for _, f := range files {
		if filepath.Ext(f) != ".key" {
			continue
		}
		if err := errors.Join(os.Chown(f, 0, gid), os.Chmod(f, 0o640)); err != nil {
			return err
		}
	}
	return nil
}

func (c *caFlags) open() (*ca.Authority, error) {
	a, err := ca.Open(c.dir)
	return a, cli.Hint(err, "castgate ca init makes an authority; -dir names another place")
}

func (c *caFlags) made(files []string) error {
	for _, f := range files {
		fmt.Fprintln(c.env.Stdout, "wrote", f)
	}
	return nil
}
