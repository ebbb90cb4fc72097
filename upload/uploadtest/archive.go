// SPDX-License-Identifier: AGPL-3.0-or-later

package uploadtest

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"castgate/upload/archive/ca"
	"castgate/upload/archive/receive"
	"castgate/upload/target"
)

// RealArchive starts the receiver of `castgate serve` with certificates of
// `castgate ca`, and returns the target's settings and the store.
func RealArchive(t *testing.T, b *Bench, host string) (target.ArchiveConfig, string) {
	t.Helper()
	store := b.Path("store")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := receive.OpenDir(store)
	if err != nil {
		t.Fatal(err)
	}
	return ServeArchive(t, b, host, dir), store
}

// ServeArchive is RealArchive with a store of its caller.
func ServeArchive(t *testing.T, b *Bench, host string, dir *receive.Dir) target.ArchiveConfig {
	t.Helper()
	return ServeArchiveWith(t, b, host, dir, func(s *receive.Server) http.Handler { return s })
}

// ServeArchiveWith is ServeArchive with a handler before the receiver.
func ServeArchiveWith(t *testing.T, b *Bench, host string, dir *receive.Dir, handler func(*receive.Server) http.Handler) target.ArchiveConfig {
	t.Helper()
	out := t.TempDir()
	authority, err := ca.Init(filepath.Join(out, "ca"), "test")
	if err != nil {
		t.Fatal(err)
	}
	server, err := authority.Server([]string{"127.0.0.1"}, out)
	if err != nil {
		t.Fatal(err)
	}
	client, err := authority.Host(host, out, nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(handler(receive.New(dir, receive.Limits{Free: 1}, slog.New(slog.NewTextHandler(&b.Served, nil)))))
	pair, err := tls.LoadX509KeyPair(server[1], server[0])
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(out, "ca", ca.CertFile)
	pem, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return target.ArchiveConfig{URL: srv.URL, CAFile: root, CertFile: client[1], KeyFile: client[0]}
}
