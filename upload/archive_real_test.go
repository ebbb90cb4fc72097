// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"castgate/upload/archive/ca"
	"castgate/upload/archive/receive"
	"castgate/upload/manifest"
)

// realArchive starts the receiver of `castgate serve` with certificates of
// `castgate ca`, and returns the target's settings and the store.
func realArchive(t *testing.T, b *bench, host string) (ArchiveConfig, string) {
	t.Helper()
	store := b.path("store")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := receive.OpenDir(store)
	if err != nil {
		t.Fatal(err)
	}
	return serveArchive(t, b, host, dir), store
}

func serveArchive(t *testing.T, b *bench, host string, dir *receive.Dir) ArchiveConfig {
	t.Helper()
	return serveArchiveWith(t, b, host, dir, func(s *receive.Server) http.Handler { return s })
}

func serveArchiveWith(t *testing.T, b *bench, host string, dir *receive.Dir, handler func(*receive.Server) http.Handler) ArchiveConfig {
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
	srv := httptest.NewUnstartedServer(handler(receive.New(dir, receive.Limits{Free: 1}, slog.New(slog.NewTextHandler(&b.served, nil)))))
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
	return ArchiveConfig{srv.URL, root, client[1], client[0]}
}

func TestTheRealArchiveTakesIt(t *testing.T) {
	b := newBench(t)
	b.config.SigningKey = b.path("key")
	newKey(t, b.config.SigningKey)
	c, store := realArchive(t, b, "web1")
	b.config.Targets = []TargetConfig{{Archive: &c}}
	b.incoming(1, whole(1))
	b.put("spool/live/"+testID(2)+".cast", recording(header(2), body+"[0.1"))
	h := header(3)
	h.Session.User = `CORP\bob é`
	b.incoming(3, recording(h, body))
	if left := b.once(); left != 0 {
		t.Fatalf("%d left\n%s", left, b.log)
	}
	v := &manifest.Verifier{}
	n := 0
	faults, err := v.All(os.DirFS(store), func(path string, _ *manifest.Manifest, faults []manifest.Fault) {
		n++
		for _, f := range faults {
			t.Error(f)
		}
	})
	if err != nil || len(faults) > 0 || n != 3 {
		t.Errorf("%d recordings, %v, %v", n, faults, err)
	}
	// The receipts were lost: the archive has the same bytes and says so.
	d := b.packed(4, whole(4))
	target, err := newArchiveTarget(c)
	if err != nil {
		t.Fatal(err)
	}
	first, err := target.Deliver(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := target.Deliver(t.Context(), d); err != nil || second != first {
		t.Errorf("again: %+v, %v; want %+v", second, err, first)
	}
}

func TestAnotherHostsCertificateKeepsTheRecording(t *testing.T) {
	b := newBench(t)
	c, store := realArchive(t, b, "db1")
	b.config.Targets = []TargetConfig{{Archive: &c}}
	b.incoming(1, whole(1))
	if left := b.once(); left != 1 {
		t.Errorf("%d left", left)
	}
	if got := b.list("spool"); got["incoming/"+testID(1)+".cast"] != whole(1) || !strings.Contains(b.log.String(), `is for \"db1\", but this host is \"web1\"`) {
		t.Errorf("the spool has %v\n%s", got, b.log)
	}
	if _, err := os.Stat(filepath.Join(store, "nobody-of-this-host")); err == nil {
		t.Error("something was stored")
	}
}
