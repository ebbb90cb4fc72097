// SPDX-License-Identifier: AGPL-3.0-or-later

package github

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	api "github.com/google/go-github/v60/github"

	"castgate/keys/files"
	"castgate/keys/known"
	"castgate/keys/local"
	"castgate/keys/settings"
)

// appTokens gets installation tokens of a GitHub App. A token is good for an
// hour and kept for it in a file that only castgate-keys can read: one token for
// each process would be a call more for each login, and would make every ETag
// miss. It is not kept in the cache, which holds nothing secret.
type appTokens struct {
	app  settings.App
	base *url.URL
	net  http.RoundTripper
	keep *files.Dir // nil: in a directory that can't be used, nothing is kept
	now  func() time.Time
}

func newAppTokens(app settings.App, base *url.URL, net http.RoundTripper, now func() time.Time) *appTokens {
	uid, _ := local.Host().UID(settings.User)       // or nobody's
	keep, _ := files.Make(app.TokenDir, 0o700, uid) // or nil
	return &appTokens{app: app, base: base, net: net, keep: keep, now: now}
}

// installationToken is what is kept. For says whose it is, so that another
// App's configuration does not use it.
type installationToken struct {
	For     string    `json:"for"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

const (
	tokenName = "app-token"
	// A token that ends within this time could end during a refresh.
	tokenMargin = 5 * time.Minute
	// One that is good for longer than an hour and this was kept by a wrong clock.
	tokenSkew = time.Minute
)

// authorization returns the header for a request.
func (a *appTokens) authorization(req *http.Request) (string, error) {
	whose := fmt.Sprintf("%s %d %d", a.base, a.app.ID, a.app.Installation)
	if t, ok := a.kept(whose); ok {
		return "Bearer " + t, nil
	}
	unlock, err := a.keep.Lock(req.Context(), tokenName)
	if err != nil {
		return "", err
	}
	defer unlock()
	if t, ok := a.kept(whose); ok { // by the process we waited for
		return "Bearer " + t, nil
	}
	t, err := a.fetch(req.Context())
	if err != nil {
		return "", err
	}
	_ = a.keep.Save(tokenName, 0o600, installationToken{whose, t.GetToken(), t.GetExpiresAt().Time})
	return "Bearer " + t.GetToken(), nil
}

func (a *appTokens) kept(whose string) (string, bool) {
	var t installationToken
	if !a.keep.Load(tokenName, &t) || t.For != whose || t.Token == "" {
		return "", false
	}
	left := t.Expires.Sub(a.now())
	return t.Token, left > tokenMargin && left <= time.Hour+tokenSkew
}

// reject forgets a token that GitHub didn't take, so that the next question
// gets a new one: an administrator may have revoked it.
func (a *appTokens) reject() { _ = a.keep.Remove(tokenName) }

const fetchOp = "get a token for the GitHub App"

func (a *appTokens) fetch(ctx context.Context) (*api.InstallationToken, error) {
	jwt, err := a.jwt()
	if err != nil {
		return nil, &known.Fault{Class: known.BadToken, Op: fetchOp, Err: err}
	}
	c := api.NewClient(&http.Client{Transport: &transport{
		next: a.net, base: a.base, rate: &rate{},
		auth: func(*http.Request) (string, error) { return "Bearer " + jwt, nil },
	}})
	c.BaseURL, c.UserAgent = a.base, userAgent
	t, resp, err := c.Apps.CreateInstallationToken(ctx, a.app.Installation, nil)
	switch {
	case err != nil && resp != nil && resp.Response != nil && resp.StatusCode/100 != 2:
		f := statusFault(fetchOp, resp.Response, a.now())
		if f.Class == known.Missing { // not a team: the App or its installation
			f.Class = known.BadToken
		}
		return nil, f
	case err != nil:
		return nil, brokenFault(fetchOp, err)
	case t.GetToken() == "" || t.GetExpiresAt().IsZero():
		return nil, &known.Fault{Class: known.Broken, Op: fetchOp, Err: errors.New("the answer has no token")}
	}
	return t, nil
}

// jwt signs who we are: RFC 7519 with RS256, from a minute ago, for a clock that
// is fast, to nine minutes ahead (GitHub takes ten).
func (a *appTokens) jwt() (string, error) {
	key, err := readRSA(a.app.KeyFile)
	if err != nil {
		return "", err
	}
	now := a.now()
	claims, err := json.Marshal(map[string]any{
		"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(9 * time.Minute).Unix(),
		"iss": strconv.FormatInt(a.app.ID, 10),
	})
	if err != nil {
		return "", err
	}
	b64 := base64.RawURLEncoding
	text := b64.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + b64.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", errors.New("the App's key can't sign") // no part of a secret in a message
	}
	return text + "." + b64.EncodeToString(sig), nil
}

// readRSA reads the App's private key: PKCS#1, as GitHub gives it, or PKCS#8.
func readRSA(path string) (*rsa.PrivateKey, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	block, _ := pem.Decode(body)
	if block == nil {
		return nil, fmt.Errorf("%q is not a key in PEM", path)
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if key, ok := any.(*rsa.PrivateKey); ok && err == nil {
		return key, nil
	}
	return nil, fmt.Errorf("%q is not an RSA key", path)
}
