// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"fmt"
	"slices"
	"strings"
)

// choice is a flag with a few values, which completion knows.
type choice struct {
	value *string
	of    []string
}

func (c choice) String() string {
	if c.value == nil { // asked by package flag
		return ""
	}
	return *c.value
}

func (c choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		last := len(c.of) - 1
		return fmt.Errorf("want %s or %s", strings.Join(c.of[:last], ", "), c.of[last])
	}
	*c.value = s
	return nil
}
