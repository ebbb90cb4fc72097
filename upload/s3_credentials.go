// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// credential is what signs a request.
type credential struct{ id, secret, token string }

// credentials has two implementations: a file, and the role of the instance.
type credentials interface {
	get(ctx context.Context) (credential, error)
}

// fileCredentials is a file as the AWS tools write it: lines "key = value", in
// the profile [default] or in none. It is read at every request, because it
// may be renewed.
type fileCredentials string

func (f fileCredentials) get(context.Context) (credential, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return credential{}, err
	}
	defer file.Close()
	return parseCredentials(file)
}

func parseCredentials(r io.Reader) (c credential, err error) {
	in := bufio.NewScanner(r)
	ours := true
	for in.Scan() {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			ours = line == "[default]"
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return c, fmt.Errorf("a line is not of the form key = value") // its text may be a secret
		}
		if !ours {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "aws_access_key_id":
			c.id = value
		case "aws_secret_access_key":
			c.secret = value
		case "aws_session_token":
			c.token = value
		}
	}
	if err := in.Err(); err != nil {
		return c, err
	}
	if c.id == "" || c.secret == "" {
		return c, fmt.Errorf("the file has no aws_access_key_id and aws_secret_access_key")
	}
	return c, nil
}

// metadataURL is the instance metadata service (IMDSv2).
const metadataURL = "http://169.254.169.254"

// roleCredentials asks the instance metadata service, and again shortly before
// what it said expires.
type roleCredentials struct {
	url    string
	client *http.Client

	mu      sync.Mutex
	have    credential
	expires time.Time
}

func newRoleCredentials(url string) *roleCredentials {
	// Link-local: it answers at once or not at all; never through a proxy.
	return &roleCredentials{url: url, client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}}
}

const (
	renewBefore   = 5 * time.Minute
	tokenLifetime = "60" // seconds; one exchange
	rolePath      = "/latest/meta-data/iam/security-credentials/"
)

func (r *roleCredentials) get(ctx context.Context) (credential, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Until(r.expires) > renewBefore {
		return r.have, nil
	}
	token, err := r.ask(ctx, http.MethodPut, "/latest/api/token", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds", tokenLifetime)
	if err != nil {
		return credential{}, err
	}
	role, err := r.ask(ctx, http.MethodGet, rolePath, "X-Aws-Ec2-Metadata-Token", token)
	if err != nil {
		return credential{}, err
	}
	role, _, _ = strings.Cut(role, "\n")
	text, err := r.ask(ctx, http.MethodGet, rolePath+role, "X-Aws-Ec2-Metadata-Token", token)
	if err != nil {
		return credential{}, err
	}
	var answer struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Token           string
		Expiration      time.Time
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.AccessKeyID == "" {
		return credential{}, fmt.Errorf("the instance's role %q has no credentials", role)
	}
	r.have = credential{answer.AccessKeyID, answer.SecretAccessKey, answer.Token}
	r.expires = answer.Expiration
	return r.have, nil
}

func (r *roleCredentials) ask(ctx context.Context, method, path, header, value string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set(header, value)
	resp, err := r.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask for the instance's role: %w", err)
	}
	defer resp.Body.Close()
	text := readAnswer(resp)
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask for the instance's role: %s", resp.Status)
	}
	return strings.TrimSpace(string(text)), nil
}
