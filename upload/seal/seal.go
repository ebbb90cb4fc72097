// SPDX-License-Identifier: AGPL-3.0-or-later

// Package seal encrypts recordings for who may open them once they have left the
// spool: age keys, SSH keys, the members of a GitHub team.
package seal

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"

	"castgate/upload/manifest"
)

// Seal is who can open a recording once it has left the spool. Each layer is
// an age file (https://age-encryption.org/v1) around the next, the first the
// outermost; one of a layer's recipients opens that layer. Two layers make it
// take two people.
type Seal []layer

type layer struct {
	to    []age.Recipient
	names manifest.Layer // as the manifest says them
	teams []string       // whose keys are looked up when a recording is sealed
}

// maxLayers bounds the layers: castgate play opens no more.
const maxLayers = 4

// Parse reads the key seal: {recipients: [A, B]}, or {recipients: [[A], [B]]}
// for layers. Older files have a list of lists without recipients around it.
func Parse(v any) (Seal, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		if len(v) != 1 || v["recipients"] == nil {
			return nil, errors.New("seal: wants the one key recipients, a list")
		}
		if all, _ := v["recipients"].([]any); slices.ContainsFunc(all, isList) {
			return parseLayers(all)
		}
		return parseLayers([]any{v["recipients"]})
	case []any:
		return parseLayers(v)
	}
	return nil, errors.New("seal: wants recipients: [...], a list")
}

func isList(v any) bool {
	_, is := v.([]any)
	return is
}

func parseLayers(lists []any) (s Seal, err error) {
	if len(lists) == 0 || len(lists) > maxLayers {
		return nil, fmt.Errorf("seal: wants 1 to %d layers", maxLayers)
	}
	for _, list := range lists {
		names, ok := list.([]any)
		if !ok || len(names) == 0 {
			return nil, errors.New("seal: each layer is a list of recipients")
		}
		var l layer
		for _, n := range names {
			text, ok := recipientText(n)
			if !ok {
				return nil, fmt.Errorf("seal: %v is not a recipient: age1..., ssh-ed25519, ssh-rsa or github-team: TEAM", n)
			}
			if err := l.add(strings.TrimSpace(text)); err != nil {
				return nil, err
			}
		}
		s = append(s, l)
	}
	return s, nil
}

// recipientText reads an item of a list: text, or what YAML makes of
// "github-team: security" without quotes.
func recipientText(v any) (string, bool) {
	if m, ok := v.(map[string]any); ok && len(m) == 1 {
		team, ok := m[strings.TrimSuffix(teamPrefix, ":")].(string)
		return teamPrefix + team, ok
	}
	text, ok := v.(string)
	return text, ok
}

func (l *layer) add(text string) error {
	if after, ok := strings.CutPrefix(text, teamPrefix); ok {
		team, err := teamName(after)
		if err != nil {
			return fmt.Errorf("seal: %w", err)
		}
		l.teams = append(l.teams, team)
		return nil
	}
	var r age.Recipient
	var err error
	name := text
	switch {
	case strings.HasPrefix(text, "age1"):
		r, err = age.ParseX25519Recipient(text)
	case strings.HasPrefix(text, "ssh-"):
		if r, err = agessh.ParseRecipient(text); err == nil {
			name, err = sshName(text)
		}
	default:
		err = errors.New("it begins with none of age1, ssh- and github-team")
	}
	if err != nil {
		return fmt.Errorf("seal: recipient %.40q: %w", text, err)
	}
	l.to, l.names = append(l.to, r), append(l.names, name)
	return nil
}

// sshName names an SSH key as people know it: type, fingerprint, comment.
func sshName(line string) (string, error) {
	key, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(key.Type() + " " + ssh.FingerprintSHA256(key) + " " + comment), nil
}

// Layers returns what the manifest says.
func (s Seal) Layers() []manifest.Layer {
	var out []manifest.Layer
	for _, l := range s {
		out = append(out, l.names)
	}
	return out
}

// Writer returns a writer whose bytes arrive in w sealed, once it is closed.
func (s Seal) Writer(w io.Writer) (io.WriteCloser, error) {
	c := &writer{Writer: w}
	for _, l := range s {
		inner, err := age.Encrypt(c.Writer, l.to...)
		if err != nil {
			return nil, fmt.Errorf("seal: %w", err)
		}
		c.Writer = inner
		c.layers = append(c.layers, inner)
	}
	return c, nil
}

type writer struct {
	io.Writer
	layers []io.Closer // outermost first
}

// Close ends the innermost layer first: it still writes into the others.
func (c *writer) Close() error {
	var err error
	for _, l := range slices.Backward(c.layers) {
		err = errors.Join(err, l.Close())
	}
	return err
}
