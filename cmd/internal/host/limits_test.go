// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	keyconf "castgate/keys/settings"
)

// The check goes to GitHub by the way that logins go: ca_file and proxy count.
func TestLimitsAreAskedByTheConfiguredWay(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" || r.URL.Path != "/rate_limit" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = w.Write([]byte(`{"resources":{"core":{"limit":5000,"remaining":4999}}}`))
	}))
	defer srv.Close()
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	g := keyconf.GitHub{URL: srv.URL + "/", TokenFile: write("token", []byte("token\n")), Timeout: 10 * time.Second}
	h := &Host{ctx: t.Context(), Keys: &keyconf.Config{GitHub: g}}
	if _, _, err := h.askLimits(); err == nil {
		t.Error("a certificate of an unknown authority was accepted")
	}
	h.Keys.GitHub.CAFile = write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	res, limits, err := h.askLimits()
	if err != nil || res.StatusCode != http.StatusOK || limits.Resources.Core.Limit != 5000 {
		t.Errorf("with ca_file: %v, %+v", err, limits)
	}
}
