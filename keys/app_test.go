// SPDX-License-Identifier: AGPL-3.0-or-later

package keys_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"castgate/keys/githubtest"

	"castgate/keys/known"
	"castgate/keys/settings"
)

var appKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// withApp gives the world a GitHub App instead of a token.
func (w *world) withApp() *githubtest.App {
	app := &githubtest.App{ID: 17, Installation: 42, Public: &appKey().PublicKey, Now: func() time.Time { return w.clock }}
	w.github.App = app
	dir := w.t.TempDir()
	w.conf.GitHub.TokenFile = ""
	w.conf.GitHub.App = settings.App{ID: 17, Installation: 42, KeyFile: filepath.Join(dir, "app.pem"), TokenDir: filepath.Join(dir, "tokens")}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(appKey())}
	w.write(w.conf.GitHub.App.KeyFile, string(pem.EncodeToMemory(block)))
	return app
}

func TestApp(t *testing.T) {
	w := newWorld(t)
	app := w.withApp()
	w.allows("octocat", "OctoCat")
	w.allows("alice", "alice-gh")
	if n := app.Given(); n != 1 {
		t.Errorf("two logins got %d tokens", n)
	}
	path := filepath.Join(w.conf.GitHub.App.TokenDir, "app-token")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info, err)
	}
	w.eachFile(func(path string) {
		if text, _ := os.ReadFile(path); strings.Contains(string(text), "ghs_") {
			t.Errorf("a token is in the cache: %s", path)
		}
	})
	w.later(6 * time.Minute)
	w.github.Reset()
	w.allows("octocat", "OctoCat")
	if used := w.github.Used(); used != 0 {
		t.Errorf("within the token's hour, %d calls were counted: ETags must hold", used)
	}
	w.later(50 * time.Minute) // less than the margin is left
	w.allows("octocat", "OctoCat")
	if n := app.Given(); n != 2 {
		t.Errorf("after its hour, %d tokens were given", n)
	}
}

func TestAppTokenRevoked(t *testing.T) {
	w := newWorld(t)
	app := w.withApp()
	w.allows("octocat", "OctoCat")
	app.Revoke()
	w.later(6 * time.Minute)
	w.allows("octocat", "OctoCat") // stale; and the token is forgotten
	w.later(2 * time.Minute)
	if d := w.allows("octocat", "OctoCat"); d.Source != "github" || app.Given() != 2 {
		t.Errorf("from %q with %d tokens", d.Source, app.Given())
	}
}

func TestAppRefused(t *testing.T) {
	for name, spoil := range map[string]func(*world){
		"another App":          func(w *world) { w.conf.GitHub.App.ID = 18 },
		"another installation": func(w *world) { w.conf.GitHub.App.Installation = 43 },
		"no key":               func(w *world) { w.write(w.conf.GitHub.App.KeyFile, "nothing") },
		"another key": func(w *world) {
			key, _ := rsa.GenerateKey(rand.Reader, 2048)
			der, _ := x509.MarshalPKCS8PrivateKey(key)
			w.write(w.conf.GitHub.App.KeyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
		},
		"clock wrong by an hour": func(w *world) { w.github.App.Now = func() time.Time { return w.clock.Add(-time.Hour) } },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.withApp()
			spoil(w)
			w.failsAs("octocat", "OctoCat", known.BadToken)
		})
	}
}

func TestAppTokenDirThatCantBeUsed(t *testing.T) {
	w := newWorld(t)
	app := w.withApp()
	w.conf.GitHub.App.TokenDir = "/nonexistent/tokens"
	w.allows("octocat", "OctoCat")
	if app.Given() == 0 {
		t.Error("no token was given")
	}
}
