// SPDX-License-Identifier: AGPL-3.0-or-later

// Command sbom lists what is in the packages of a release, as CycloneDX 1.5
// (https://cyclonedx.org/docs/1.5/json/): the Go modules that every program
// says it was built from, and what package-lock.json puts into the page.
//
//	sbom VERSION DIR PACKAGE-LOCK
//
// DIR holds the unpacked packages. SOURCE_DATE_EPOCH is the time it says.
package main

import (
	"cmp"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

type bom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Timestamp string    `json:"timestamp,omitempty"`
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref,omitempty"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl,omitempty"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("sbom: ")
	if len(os.Args) != 4 {
		log.Fatal("usage: sbom VERSION DIR PACKAGE-LOCK")
	}
	list, err := describe(os.Args[1], os.Args[2], os.Args[3])
	if err == nil {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		err = out.Encode(list)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func describe(version, dir, lock string) (*bom, error) {
	modules, err := goModules(dir)
	if err != nil {
		return nil, err
	}
	page, err := npmPackages(lock)
	if err != nil {
		return nil, err
	}
	all := append(modules, page...)
	slices.SortFunc(all, func(a, b component) int { return cmp.Compare(a.PURL, b.PURL) })
	list := &bom{
		Format: "CycloneDX", Spec: "1.5", Version: 1,
		Metadata:   metadata{Component: component{Type: "application", Name: "castgate", Version: version}},
		Components: slices.CompactFunc(all, func(a, b component) bool { return a.PURL == b.PURL }),
	}
	if epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		list.Metadata.Timestamp = time.Unix(epoch, 0).UTC().Format(time.RFC3339)
	}
	return list, nil
}

// goModules returns the modules of every Go program below dir, and Go itself.
func goModules(dir string) (all []component, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return nil // no Go program
		}
		all = append(all, golang("std", strings.TrimPrefix(info.GoVersion, "go"), ""))
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			all = append(all, golang(m.Path, m.Version, m.Sum))
		}
		return nil
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("read %q: no Go program is in it", dir)
	}
	return all, err
}

func golang(path, version, sum string) component {
	c := component{Type: "library", Name: path, Version: version, PURL: "pkg:golang/" + path + "@" + version}
	c.Ref = c.PURL
	if sum != "" { // not the hash of a file, so no place for it among Hashes
		c.Properties = []property{{"go.sum", sum}}
	}
	return c
}

// npmPackages returns what package-lock.json names, but for the tests' own.
func npmPackages(lock string) (all []component, err error) {
	text, err := os.ReadFile(lock)
	if err != nil {
		return nil, err
	}
	var file struct {
		Packages map[string]struct {
			Version, Integrity string
			Dev                bool
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("read %q: %w", lock, err)
	}
	for path, p := range file.Packages {
		_, name, ok := strings.Cut(path, "node_modules/")
		if !ok || p.Dev {
			continue
		}
		c := component{Type: "library", Name: name, Version: p.Version, PURL: "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + p.Version}
		c.Ref = c.PURL
		if sum, ok := strings.CutPrefix(p.Integrity, "sha512-"); ok {
			raw, err := base64.StdEncoding.DecodeString(sum)
			if err != nil {
				return nil, fmt.Errorf("read %q: integrity of %q: %w", lock, name, err)
			}
			c.Hashes = []hash{{"SHA-512", hex.EncodeToString(raw)}}
		}
		all = append(all, c)
	}
	return all, nil
}
