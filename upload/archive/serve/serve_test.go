// SPDX-License-Identifier: AGPL-3.0-or-later

package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"castgate/upload/archive/ca"
)

func TestRunTakesInheritedListenersAndEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		// Listening on the port again would fail, so the answer shows whose socket it is.
		done <- Run(ctx, []Door{{Name: "web", Addr: l.Addr().String(), Handler: hello}}, []net.Listener{l}, slog.New(slog.DiscardHandler))
	}()
	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "hello" {
		t.Errorf("got %q", body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestNothingToServe(t *testing.T) {
	if err := Run(t.Context(), nil, nil, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no doors, no error")
	}
}

func TestInheritedIsForThisProcess(t *testing.T) {
	env := map[string]string{"LISTEN_PID": "1", "LISTEN_FDS": "2"}
	l, err := Inherited(func(k string) string { return env[k] })
	if l != nil || err != nil {
		t.Errorf("%v, %v", l, err)
	}
}

func TestRenewedCertificateIsUsed(t *testing.T) {
	dir := t.TempDir()
	a, err := ca.Init(filepath.Join(dir, "ca"), "test")
	if err != nil {
		t.Fatal(err)
	}
	issue := func(out string) string {
		if _, err := a.Server([]string{"127.0.0.1"}, out); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(out, "server")
	}
	base := issue(filepath.Join(dir, "1"))
	cfg, err := Files{Cert: base + ".crt", Key: base + ".key"}.Config()
	if err != nil {
		t.Fatal(err)
	}
	first := serialOf(t, a, cfg)
	second := issue(filepath.Join(dir, "2"))
	for _, ext := range []string{".key", ".crt"} {
		if err := os.Rename(second+ext, base+ext); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Minute)
		if err := os.Chtimes(base+ext, later, later); err != nil {
			t.Fatal(err)
		}
	}
	if serialOf(t, a, cfg) == first {
		t.Error("the old certificate is still shown")
	}
	if err := os.WriteFile(base+".crt", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	serialOf(t, a, cfg) // half a file leaves the last good one
}

func serialOf(t *testing.T, a *ca.Authority, cfg *tls.Config) string {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	c1, c2 := net.Pipe()
	go func() { _ = tls.Server(c1, cfg).Handshake() }()
	cli := tls.Client(c2, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
	if err := cli.Handshake(); err != nil {
		t.Fatal(err)
	}
	return cli.ConnectionState().PeerCertificates[0].SerialNumber.String()
}
