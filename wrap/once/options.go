// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Options are what a line of authorized_keys demands of its key.
type Options struct {
	Command     string
	HasCommand  bool
	Environment []string // "NAME=value", the first of a name counts
	NoPTY       bool
	NoTouch     bool      // a security key may sign without being touched
	Expires     time.Time // zero: never
	from        []pattern
}

// optionError is an option that refuses its line.
type optionError struct{ error }

func (e *optionError) Unwrap() error { return e.error }

func badOption(format string, args ...any) error { return &optionError{fmt.Errorf(format, args...)} }

// idle are options about what castgate-once never does. They hold as they are.
var idle = map[string]bool{ // true: with a value
	"port-forwarding": false, "no-port-forwarding": false,
	"agent-forwarding": false, "no-agent-forwarding": false,
	"x11-forwarding": false, "no-x11-forwarding": false,
	"user-rc": false, "no-user-rc": false,
	"permitopen": true, "permitlisten": true, "tunnel": true,
}

// parseOptions parses comma-separated options (sshd(8), AUTHORIZED_KEYS FILE
// FORMAT). Their names know no case.
func parseOptions(s string) (Options, error) {
	var o Options
	for {
		name, value, hasValue, rest, err := cutOption(s)
		if err != nil {
			return Options{}, err
		}
		if err := o.set(strings.ToLower(name), value, hasValue); err != nil {
			return Options{}, err
		}
		if rest == "" {
			return o, nil
		}
		s = rest[1:] // the comma
	}
}

// cutOption cuts the first option off s. rest begins with a comma or is empty.
func cutOption(s string) (name, value string, hasValue bool, rest string, err error) {
	i := strings.IndexAny(s, `=,"`)
	if i < 0 {
		return s, "", false, "", nil
	}
	name = s[:i]
	switch {
	case s[i] == ',':
		return name, "", false, s[i:], nil
	case s[i] == '"' || i+1 == len(s) || s[i+1] != '"':
		return "", "", false, "", badOption("option %q: its value must stand in quotes", name)
	}
	var b strings.Builder
	for i += 2; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) && s[i+1] == '"' {
			i++
		}
		b.WriteByte(s[i])
	}
	if i == len(s) {
		return "", "", false, "", badOption("option %q: a quote is not closed", name)
	}
	if rest = s[i+1:]; rest != "" && rest[0] != ',' {
		return "", "", false, "", badOption("option %q: there must be a comma after its value", name)
	}
	return name, b.String(), true, rest, nil
}

func (o *Options) set(name, value string, hasValue bool) error {
	withValue, known := idle[name]
	switch name {
	case "command", "environment", "from", "expiry-time":
		withValue, known = true, true
	case "restrict", "pty", "no-pty", "no-touch-required":
		known = true
	case "cert-authority", "principals", "verify-required":
		return badOption("option %q is not supported", name)
	}
	switch {
	case !known:
		return badOption("option %q is not known", name)
	case withValue && !hasValue:
		return badOption("option %q needs a value", name)
	case !withValue && hasValue:
		return badOption("option %q takes no value", name)
	}
	return o.apply(name, value)
}

func (o *Options) apply(name, value string) (err error) {
	switch name {
	case "restrict", "no-pty":
		o.NoPTY = true
	case "pty":
		o.NoPTY = false
	case "no-touch-required":
		o.NoTouch = true
	case "command":
		if o.HasCommand {
			return badOption("option %q stands there twice", name)
		}
		o.Command, o.HasCommand = value, true
	case "environment":
		err = o.addEnvironment(value)
	case "from":
		if o.from != nil {
			return badOption("option %q stands there twice", name)
		}
		o.from, err = parsePatterns(value)
	case "expiry-time":
		var t time.Time
		if t, err = parseExpiry(value); err == nil && (o.Expires.IsZero() || t.Before(o.Expires)) {
			o.Expires = t
		}
	}
	return err
}

func (o *Options) addEnvironment(value string) error {
	name, _, ok := strings.Cut(value, "=")
	isName := name != "" && strings.IndexFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0
	if !ok || !isName || strings.Contains(value, "\x00") {
		return badOption("option \"environment\": %q is not NAME=value", value)
	}
	for _, have := range o.Environment {
		if strings.HasPrefix(have, name+"=") {
			return nil
		}
	}
	o.Environment = append(o.Environment, value)
	return nil
}

// parseExpiry reads YYYYMMDD[Z] and YYYYMMDDHHMM[SS][Z]: local time, or UTC
// with a Z.
func parseExpiry(s string) (time.Time, error) {
	digits, utc := strings.CutSuffix(s, "Z")
	where := time.Local
	if utc {
		where = time.UTC
	}
	layout, ok := map[int]string{8: "20060102", 12: "200601021504", 14: "20060102150405"}[len(digits)]
	t, err := time.ParseInLocation(layout, digits, where)
	if !ok || err != nil {
		return time.Time{}, badOption("option \"expiry-time\": %q is not YYYYMMDD[HHMM[SS]][Z]", s)
	}
	return t, nil
}

// admit holds the options against where and when somebody comes.
func (o *Options) admit(from netip.Addr, now time.Time) error {
	if !o.Expires.IsZero() && now.After(o.Expires) {
		return errors.New("expiry-time= is over")
	}
	if o.from != nil && !matches(o.from, from) {
		return errors.New("from= does not list the address")
	}
	return nil
}
