// SPDX-License-Identifier: AGPL-3.0-or-later

// Package bucket is an S3 bucket: objects that are created and never replaced,
// in parts where they are large, by ticket where the host has no credential;
// and all of it as a file system to read. minio-go speaks to the server. What
// it lacks is here: the clock is the server's (wire.go), and what a request is
// bound to.
package bucket

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"castgate/upload/client"
)

// Config says which bucket it is, and how to get at it.
type Config struct {
	Endpoint        string
	Region          string
	Bucket          string
	Prefix          string
	CredentialsFile string        // "": the role of the instance
	Retain          time.Duration // object lock, mode COMPLIANCE; 0: none
	PathStyle       bool
}

// Bucket is what lies below the prefix: names are relative to it. It is a file
// system for the archive's readers and its receiver, in which a directory is
// the part of the keys between two slashes, as in every S3 browser. What fs.FS
// can't carry, a deadline, each request has of its own.
type Bucket struct {
	Parts  Parts        // how large objects are cut
	Client *http.Client // sends the requests

	config Config
	url    *url.URL
	creds  source
	clock  clock
	core   *minio.Core
}

// Open returns the bucket. It asks nobody yet.
func Open(c Config) (*Bucket, error) {
	u, err := client.CheckURL("s3.endpoint", c.Endpoint)
	switch {
	case err != nil:
		return nil, err
	case u.Path != "" && u.Path != "/":
		return nil, fmt.Errorf("s3.endpoint: %q has a path; that is for bucket and prefix", c.Endpoint)
	case c.Bucket == "" || strings.ContainsAny(c.Bucket, "/?#"):
		return nil, fmt.Errorf("s3.bucket: %q is not a bucket's name", c.Bucket)
	case c.Retain < 0:
		return nil, fmt.Errorf("s3.retain: %v is negative", c.Retain)
	case strings.HasPrefix(c.Prefix, "/") || path.Clean("/"+c.Prefix) != "/"+strings.TrimSuffix(c.Prefix, "/"):
		return nil, fmt.Errorf("s3.prefix: %q is not a path without slash at the start", c.Prefix)
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	b := &Bucket{Parts: defaultParts, Client: client.New(client.TLS{}), config: c, url: u, creds: role("")}
	if c.CredentialsFile != "" {
		b.creds = file(c.CredentialsFile)
	}
	b.core, err = minio.NewCore(u.Host, b.options())
	if err != nil {
		return nil, fmt.Errorf("s3.endpoint: %w", err)
	}
	if c.PathStyle {
		u.Path = "/" + c.Bucket
	} else {
		u.Host = c.Bucket + "." + u.Host
	}
	return b, nil
}

// options leave signing to wire, and trying again to who called us: they know
// what else is waiting.
func (b *Bucket) options() *minio.Options {
	o := &minio.Options{
		Creds:  credentials.NewStaticV4("by", "wire", ""), // it wants one to bind a request to its body
		Secure: b.url.Scheme == "https", Transport: &wire{b}, Region: b.config.Region,
		BucketLookup: minio.BucketLookupDNS, MaxRetries: 1,
	}
	if b.config.PathStyle {
		o.BucketLookup = minio.BucketLookupPath
	}
	return o
}

// String names the bucket by its URL, without the scheme.
func (b *Bucket) String() string { return b.url.Host + path.Join("/", b.url.Path, b.config.Prefix) }

// Where is the URL of an object, for a receipt.
func (b *Bucket) Where(name string) string { return "s3://" + b.config.Bucket + "/" + b.key(name) }

func (b *Bucket) key(name string) string {
	return strings.TrimPrefix(path.Join(b.config.Prefix, name), "/")
}

// at returns the URL of a key, escaped as S3 wants it signed.
func (b *Bucket) at(key string, query url.Values) *url.URL {
	u := *b.url
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + key
	u.RawPath = strings.TrimSuffix(b.url.EscapedPath(), "/") + "/" + s3utils.EncodePath(key)
	u.RawQuery = s3utils.QueryEncode(query)
	return &u
}
