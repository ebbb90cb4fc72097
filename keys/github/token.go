// SPDX-License-Identifier: AGPL-3.0-or-later

package github

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"castgate/keys/known"
	"castgate/wrap/hint"
)

// unreadable gives the error of a secret's file the advice that mends it.
func unreadable(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return hint.Add(err, "run it as root or as castgate-keys, who reads it as a member of the file's group")
	}
	return hint.Addf(err, "write it there, then chown root:castgate-keys %s && chmod 0640 %s", path, path)
}

// maxToken bounds the token file; GitHub's longest tokens have 255 characters.
const maxToken = 1024

// tokenFile reads the token when it is needed, so that a new one counts at
// once, and never hands a broken one to the network.
func tokenFile(path string) func(*http.Request) (string, error) {
	return func(*http.Request) (string, error) {
		body, err := os.ReadFile(path)
		if err != nil {
			return "", &known.Fault{Class: known.BadToken, Op: "read the token", Err: unreadable(path, err)}
		}
		token := strings.TrimSpace(string(body))
		if token == "" || len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			// What the file has is not shown: it may be most of a secret.
			return "", &known.Fault{Class: known.BadToken, Op: "read the token", Err: fmt.Errorf("%q does not hold one token on one line", path)}
		}
		return "Bearer " + token, nil
	}
}
