// SPDX-License-Identifier: AGPL-3.0-or-later

// Package serve runs an archive's two doors: the page for auditors, and the
// receiver for the hosts' uploads. Either may be left out.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Door is one listener and what answers behind it.
type Door struct {
	Name    string // for messages: "web", "receive"
	Addr    string
	TLS     *tls.Config // nil for plain HTTP
	Handler http.Handler
}

// Time limits of a connection. A request's body has limits of its own, since a
// large recording takes as long as it takes.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	drain         = 10 * time.Second // for requests under way when the server ends
)

// Run serves until ctx ends. inherited are listeners of a socket unit; a door
// whose port one of them has takes it, the others listen for themselves.
func Run(ctx context.Context, doors []Door, inherited []net.Listener, log *slog.Logger) error {
	if len(doors) == 0 {
		return errors.New("there is nothing to serve: neither web.listen nor receive.listen is set")
	}
	failed := make(chan error, len(doors))
	var servers []*http.Server
	for _, d := range doors {
		l, err := d.listen(inherited)
		if err != nil {
			return fmt.Errorf("%s: %w", d.Name, err)
		}
		srv := d.server(log)
		servers = append(servers, srv)
		log.Info("serve", "what", d.Name, "address", l.Addr().String(), "tls", d.TLS != nil)
		go func() { failed <- d.serve(srv, l) }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	for _, srv := range servers {
		if err := srv.Shutdown(end); err != nil {
			_ = srv.Close() // what was not acknowledged will be sent again
		}
	}
	return nil
}

func (d Door) server(log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: d.Handler, TLSConfig: d.TLS,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.With("door", d.Name).Handler(), slog.LevelInfo),
	}
}

func (d Door) serve(srv *http.Server, l net.Listener) error {
	err := srv.Serve
	if d.TLS != nil {
		err = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
	}
	if e := err(l); !errors.Is(e, http.ErrServerClosed) {
		return fmt.Errorf("%s: %w", d.Name, e)
	}
	return nil
}

func (d Door) listen(inherited []net.Listener) (net.Listener, error) {
	_, port, err := net.SplitHostPort(d.Addr)
	if err != nil {
		return nil, err
	}
	for _, l := range inherited {
		if _, p, err := net.SplitHostPort(l.Addr().String()); err == nil && p == port {
			return l, nil
		}
	}
	return net.Listen("tcp", d.Addr)
}
