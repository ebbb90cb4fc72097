// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"castgate/upload/archive"
	"castgate/upload/archive/serve"
)

// TestFleetInMinutes is what the README tells an administrator: an authority,
// two certificates, a configuration; then a host delivers.
func TestFleetInMinutes(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca")
	for _, args := range [][]string{
		{"ca", "init", "-dir", ca}, {"ca", "server", "127.0.0.1", "-dir", ca, "-out", dir}, {"ca", "host", "web1.example.org", "-dir", ca, "-out", dir},
	} {
		if code, out, errs := castgate(t, args...); code != 0 || out == "" {
			t.Fatalf("castgate %q: %d %s%s", args, code, out, errs)
		}
	}
	if code, _, errs := castgate(t, "ca", "init", "-dir", ca); code != 1 || !strings.Contains(errs, "hint: nothing was changed") {
		t.Errorf("a second authority in the same place: %d %s", code, errs)
	}

	cfg := archive.Defaults()
	cfg.Store.Dir, cfg.Index, cfg.Keys = filepath.Join(dir, "store"), filepath.Join(dir, "index.sqlite"), filepath.Join(dir, "none")
	if err := os.Mkdir(cfg.Store.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg.Auditors.TokenFile = filepath.Join(dir, "token")
	if err := os.WriteFile(cfg.Auditors.TokenFile, []byte("ann a-token-of-this-test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	cfg.Receive = archive.ReceiveConfig{CAFile: filepath.Join(ca, "ca.crt"), CertFile: in("server.crt"), KeyFile: in("server.key")}
	var inherited []net.Listener
	for _, at := range []*string{&cfg.Web.Listen, &cfg.Receive.Listen} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		inherited, *at = append(inherited, l), l.Addr().String()
	}
	ctx, stop := context.WithCancel(t.Context())
	doors, err := doorsOf(ctx, cfg, in("cache"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve.Run(ctx, doors, inherited, slog.New(slog.DiscardHandler)) }()

	deliver(t, cfg, in)
	resp, err := http.Get("http://" + cfg.Web.Listen + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the page: %s", resp.Status)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// deliver does what castgate-upload does on web1.
func deliver(t *testing.T, cfg archive.Config, in func(string) string) {
	t.Helper()
	const id = "01935b7e-0000-7000-8000-000000000001"
	cast := fmt.Sprintf(`{"version":3,"term":{"cols":80,"rows":24},"castgate":{"id":%q,"host":"web1","user":"alice","mode":"setgid","uid":1,"tty":true,"kind":"shell","version":"x"}}
[0.1, "o", "hello"]
`, id)
	enc, _ := zstd.NewWriter(nil)
	body := enc.EncodeAll([]byte(cast), nil)
	sum := sha256.Sum256(body)
	r, err := http.NewRequest(http.MethodPut, "https://"+cfg.Receive.Listen+"/v1/recordings/alice/2026/11/21/"+id+".cast.zst", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	cert, err := tls.LoadX509KeyPair(in("web1.example.org.crt"), in("web1.example.org.key"))
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(cfg.Receive.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	tr := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool}}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	var receipt struct{ Path, SHA256 string }
	if err := json.Unmarshal(answer, &receipt); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s %s", resp.Status, answer)
	}
	stored, err := os.ReadFile(filepath.Join(cfg.Store.Dir, receipt.Path))
	if err != nil || sha256.Sum256(stored) != sum || !strings.Contains(receipt.Path, "alice/web1.example.org/") {
		t.Errorf("stored at %q: %v", receipt.Path, err)
	}
}

func TestServeSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct{ yaml, want string }{
		"no auditors":    {"store: {dir: " + dir + "}", "token_file"},
		"two ways":       {"store: {dir: " + dir + "}\nauditors: {token_file: /x, header: {name: X, from: [127.0.0.1], everybody: yes}}", "want one of"},
		"no token file":  {"store: {dir: " + dir + "}\nauditors: {token_file: " + dir + "/none}", "no such file"},
		"no such person": {"store: {dir: " + dir + "}\nauditors: {header: {name: X, from: [127.0.0.1], everybody: yes, people: {Ann@Example.org: ann@example.org}}}", "people: \"ann@example.org\""},
		"no store":       {"store: {dir: " + dir + "/none}\nauditors: {header: {name: X, from: [127.0.0.1], everybody: yes}}", "none"},
		"clear bucket":   {"store: {dir: " + dir + ", s3: {endpoint: \"http://s3.example.org\", bucket: b}}\nauditors: {header: {name: X, from: [127.0.0.1], everybody: yes}}", "is not https"},
		"no side":        {"store: {dir: " + dir + "/none, s3: {endpoint: \"https://s3.example.org\", bucket: b}}\nauditors: {header: {name: X, from: [127.0.0.1], everybody: yes}}", "none"},
		"no key":         {"store: {dir: " + dir + "}\nweb: {listen: \"\"}\nreceive: {listen: \"127.0.0.1:0\"}", "castgate ca init"},
		"nothing":        {"store: {dir: " + dir + "}\nweb: {listen: \"\"}", "nothing to serve"},
	} {
		t.Run(name, func(t *testing.T) {
			p := filepath.Join(t.TempDir(), "archive.yaml")
			if err := os.WriteFile(p, []byte(tt.yaml+"\nkeys: "+dir+"/none\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if code, _, errs := castgate(t, "serve", "-config", p); code != 1 || !strings.Contains(errs, tt.want) {
				t.Errorf("%d %s", code, errs)
			}
		})
	}
}

// TestServeBeforeABucket: the wiring only; what such a server does is tested
// where the stand-in for S3 is.
func TestServeBeforeABucket(t *testing.T) {
	dir := t.TempDir()
	cfg := archive.Defaults()
	cfg.Index, cfg.Keys = filepath.Join(dir, "index.sqlite"), filepath.Join(dir, "none")
	cfg.Store = archive.StoreConfig{Dir: dir, S3: &archive.S3Config{Endpoint: "http://127.0.0.1:1", Bucket: "b"}}
	cfg.Auditors.Header = &archive.HeaderAuditors{Name: "X", From: []string{"127.0.0.1"}, Everybody: true}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop() // the index follows nothing
	doors, err := doorsOf(ctx, cfg, filepath.Join(dir, "cache"), slog.New(slog.DiscardHandler))
	if err != nil || len(doors) != 1 {
		t.Fatalf("%v, %v", doors, err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".castgate", "audit")); err != nil {
		t.Error(err)
	}
	if _, err := openReceived(cfg); err != nil {
		t.Error(err)
	}
}
