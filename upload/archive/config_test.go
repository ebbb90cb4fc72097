// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import "testing"

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Config)
		ok   bool
	}{
		{"defaults", func(*Config) {}, true},
		{"relative directory", func(c *Config) { c.Store.Dir = "archive" }, false},
		{"relative index", func(c *Config) { c.Index = "x.sqlite" }, false},
		{"bucket beside the default directory", func(c *Config) { c.Store.S3 = &S3Config{Endpoint: "https://s3.example.org", Bucket: "b"} }, true},
		{"bucket without a name", func(c *Config) { c.Store.S3 = &S3Config{Endpoint: "https://s3.example.org"} }, false},
	} {
		c := Defaults()
		tt.edit(&c)
		if err := c.Validate(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
