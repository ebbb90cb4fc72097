// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"errors"
	"flag"
	"strings"
	"time"
)

// duration is a flag's value: 90s, 10m, 1h30m, or a plain number of seconds, as
// sleep(1) and timeout(1) take it.
type duration time.Duration

// DurationVar is fs.DurationVar for a person who may write plain seconds.
func DurationVar(fs *flag.FlagSet, p *time.Duration, name string, value time.Duration, usage string) {
	*p = value
	fs.Var((*duration)(p), name, usage)
}

func (d *duration) String() string { return time.Duration(*d).String() }

func (d *duration) Set(s string) error {
	text := s
	if strings.Trim(s, "0123456789.") == "" {
		text += "s"
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("want 90s, 10m, 1h30m or a number of seconds")
	}
	*d = duration(v)
	return nil
}
