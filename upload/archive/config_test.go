// SPDX-License-Identifier: AGPL-3.0-or-later

package archive

import (
	"os"
	"reflect"
	"testing"

	"go.yaml.in/yaml/v3"
)

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
		{"a fleet's certificate", func(c *Config) { c.TTYSpy.Certificates = map[string][]string{"fleet": {"web*"}} }, true},
		{"a fleet of no pattern", func(c *Config) { c.TTYSpy.Certificates = map[string][]string{"fleet": {"web[1"}} }, false},
		{"a header and auditors", func(c *Config) { c.Auditors.Header = &HeaderAuditors{Name: "X", Auditors: []string{"ann"}} }, true},
		{"a header and everybody", func(c *Config) { c.Auditors.Header = &HeaderAuditors{Name: "X", Everybody: true} }, true},
		{"a header and nobody", func(c *Config) { c.Auditors.Header = &HeaderAuditors{Name: "X"} }, false},
		{"a header with both", func(c *Config) {
			c.Auditors.Header = &HeaderAuditors{Name: "X", Auditors: []string{"ann"}, Everybody: true}
		}, false},
		{"bucket without a name", func(c *Config) { c.Store.S3 = &S3Config{Endpoint: "https://s3.example.org"} }, false},
	} {
		c := Defaults()
		tt.edit(&c)
		if err := c.Validate(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestTheShippedFile(t *testing.T) {
	text, err := os.ReadFile("../../packaging/etc/archive.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, want := Defaults(), Defaults()
	if err := yaml.Unmarshal(text, &got); err != nil || got.Validate() != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: what is shipped differs from the defaults: %+v", err, got)
	}
}
