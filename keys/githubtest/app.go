// SPDX-License-Identifier: AGPL-3.0-or-later

package githubtest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// App is a GitHub App: it gives installation tokens for an hour to whoever
// signs with its key, and checks the signature as GitHub does.
type App struct {
	ID           int64
	Installation int64
	Public       *rsa.PublicKey
	Now          func() time.Time // nil for the real clock

	mu     sync.Mutex
	tokens map[string]bool
	given  int
}

// Given is how many tokens were given out.
func (a *App) Given() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.given
}

// Revoke makes every token given so far worthless.
func (a *App) Revoke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.tokens)
}

func (a *App) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

func (a *App) knows(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tokens[token]
}

func (a *App) serve(w http.ResponseWriter, r *http.Request, prefix string) {
	if r.Method != http.MethodPost || r.URL.Path != fmt.Sprintf("%s/app/installations/%d/access_tokens", prefix, a.Installation) {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	if err := a.check(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); err != nil {
		refuse(w, http.StatusUnauthorized, err.Error())
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.given++
	token := fmt.Sprintf("ghs_standin%030d", a.given)
	if a.tokens == nil {
		a.tokens = map[string]bool{}
	}
	a.tokens[token] = true
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_at": a.now().Add(time.Hour).UTC().Format(time.RFC3339)})
}

// check verifies a JSON Web Token (RFC 7519) as GitHub's documentation asks for
// it: RS256, issued by the App, not in the future, for ten minutes at most.
func (a *App) check(jwt string) error {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return errToken
	}
	var head struct{ Alg, Typ string }
	var claims struct {
		Iat, Exp int64
		Iss      json.Number
	}
	if decode(parts[0], &head) != nil || decode(parts[1], &claims) != nil || head.Alg != "RS256" {
		return errToken
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(a.Public, crypto.SHA256, sum[:], sig) != nil {
		return errToken
	}
	now := a.now().Unix()
	if claims.Iss.String() != fmt.Sprint(a.ID) || claims.Iat > now || claims.Exp <= now || claims.Exp > now+600 {
		return errToken
	}
	return nil
}

var errToken = errors.New("a JSON web token could not be decoded")

func decode(part string, v any) error {
	body, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, v)
}
