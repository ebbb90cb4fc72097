// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Key is a line of authorized_keys.
type Key struct {
	Line    int
	Options Options
	blob    []byte
}

// algorithms are the signatures that are accepted: all of x/crypto/ssh but
// those with SHA-1.
var algorithms = ssh.SupportedAlgorithms().PublicKeyAuths

// parseLine parses a line that isn't blank or a comment:
//
//	[options] keytype base64-key [comment]
//
// As in OpenSSH the first word is options when it isn't the type of a key.
func parseLine(line string) (*Key, error) {
	var key Key
	var bad error
	if word, _ := cutWord(line); !isKeyType(word) {
		options, rest, err := cutOptions(line)
		if err != nil {
			return nil, err
		}
		line = rest
		key.Options, bad = parseOptions(options)
	}
	name, rest := cutWord(line)
	if !isKeyType(name) {
		if bad != nil { // then what was taken for options may be anything
			return nil, fmt.Errorf("there is no key in it")
		}
		return nil, fmt.Errorf("%q is no type of a key", name)
	}
	text, _ := cutWord(rest)
	if text == "" {
		return nil, errors.New("there is a key type but no key")
	}
	blob, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("the key is not base64: %w", err)
	}
	public, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil, fmt.Errorf("the key can't be parsed: %w", err)
	}
	if public.Type() != name {
		return nil, fmt.Errorf("the line says %q but the key is of type %q", name, public.Type())
	}
	key.blob = blob
	if bad != nil {
		return nil, bad
	}
	return &key, accepted(public.Type())
}

// accepted refuses keys that could never log in.
func accepted(keyType string) error {
	if keyType == ssh.KeyAlgoRSA || slices.Contains(algorithms, keyType) {
		return nil // an RSA key signs as rsa-sha2-256 or -512
	}
	return &optionError{fmt.Errorf("keys of type %q are not accepted", keyType)}
}

// isKeyType tells a key's type from options: none of sshd(8)'s begins so.
func isKeyType(word string) bool {
	if strings.ContainsAny(word, `=",`) {
		return false
	}
	return slices.ContainsFunc([]string{"ssh-", "ecdsa-", "sk-", "rsa-sha2-"}, func(prefix string) bool {
		return strings.HasPrefix(word, prefix)
	})
}

// cutWord cuts s after its first word and the white space that follows.
func cutWord(s string) (word, rest string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}

// cutOptions cuts the options off: up to the first white space that isn't
// quoted (sshkey_advance_past_options in OpenSSH).
func cutOptions(s string) (options, rest string, err error) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && s[i+1] == '"':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t'):
			return s[:i], strings.TrimLeft(s[i:], " \t"), nil
		}
	}
	if quoted {
		return "", "", errors.New("a quote is not closed")
	}
	return "", "", errors.New("there is no key in it")
}
