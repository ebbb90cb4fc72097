// SPDX-License-Identifier: AGPL-3.0-or-later

package target

import (
	"context"
	"time"

	"castgate/upload/bucket"
)

// S3Config is the target "s3": a bucket.
type S3Config struct {
	Endpoint        string        `yaml:"endpoint"`
	Region          string        `yaml:"region"`
	Bucket          string        `yaml:"bucket"`
	Prefix          string        `yaml:"prefix"`
	CredentialsFile string        `yaml:"credentials_file"` // "": the role of the instance
	Retain          time.Duration `yaml:"retain"`           // object lock, mode COMPLIANCE; 0: none
	PathStyle       bool          `yaml:"path_style"`

	Ticket *ArchiveConfig `yaml:"ticket"` // an archive that signs, instead of a credential
}

func (c S3Config) open() (*bucket.Bucket, error) {
	return bucket.Open(bucket.Config{
		Endpoint: c.Endpoint, Region: c.Region, Bucket: c.Bucket, Prefix: c.Prefix,
		CredentialsFile: c.CredentialsFile, Retain: c.Retain, PathStyle: c.PathStyle,
	})
}

// s3 puts objects into a bucket.
type s3 struct{ bucket *bucket.Bucket }

func newS3(c S3Config) (Target, error) {
	b, err := c.open()
	if err != nil {
		return nil, err
	}
	if c.Ticket != nil {
		return newTicket(c, b)
	}
	return &s3{b}, nil
}

func (t *s3) Name() string { return "s3:" + t.bucket.String() }

// Deliver implements Target.
func (t *s3) Deliver(ctx context.Context, d *Delivery) (Receipt, error) {
	for _, o := range d.objects() {
		if _, err := t.bucket.Store(ctx, d.Manifest.Path(o.suffix), o.Object); err != nil {
			return Receipt{}, err
		}
	}
	stored := d.Manifest.Stored
	return Receipt{stored.SHA256, stored.Bytes, t.bucket.Where(d.Manifest.Path(d.Manifest.StoredSuffix()))}, nil
}

// PutLive sends a part and returns how much the bucket has then.
func (t *s3) PutLive(ctx context.Context, host, id string, offset int64, data []byte) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, liveTime)
	defer cancel()
	return t.bucket.PutLive(ctx, host, id, offset, inMemory("", data).Object)
}
