// SPDX-License-Identifier: AGPL-3.0-or-later

package bucket

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// source is where the credential comes from: a file, or the instance's role.
type source func(ctx context.Context) (credentials.Value, error)

// role is asked of the instance's metadata service, or of a container's where
// AWS's environment variables name it, and again shortly before what it said
// expires. The service is near: it answers at once or not at all, and never
// through a proxy. The endpoint is for tests.
func role(endpoint string) source {
	c := credentials.New(&credentials.IAM{
		Client:   &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}},
		Endpoint: endpoint, ExpiryWindow: 5 * time.Minute,
	})
	return func(ctx context.Context) (credentials.Value, error) {
		v, err := c.GetWithContext(&credentials.CredContext{Context: ctx})
		if err != nil {
			err = fmt.Errorf("ask for the instance's role: %w", err)
		}
		return v, err
	}
}

// file is one as the AWS tools write it: lines "key = value", in the profile
// [default] or in none. It is read at every request, because it may be renewed.
// minio-go's own reader is not for a program with privileges: it runs commands
// that the file names, and another profile where the environment says so.
func file(name string) source {
	return func(context.Context) (credentials.Value, error) {
		f, err := os.Open(name)
		if err != nil {
			return credentials.Value{}, err
		}
		defer f.Close()
		return parseCredentials(f)
	}
}

func parseCredentials(r io.Reader) (c credentials.Value, err error) {
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
			c.AccessKeyID = value
		case "aws_secret_access_key":
			c.SecretAccessKey = value
		case "aws_session_token":
			c.SessionToken = value
		}
	}
	if err := in.Err(); err != nil {
		return c, err
	}
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return c, fmt.Errorf("the file has no aws_access_key_id and aws_secret_access_key")
	}
	return c, nil
}
