// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"errors"
	"time"

	"golang.org/x/crypto/ssh"
)

// lineOf is the name of the key's line in the Permissions.
type lineOf struct{}

func (k *knock) reason(err error) string {
	if k.why != nil {
		return k.why.Error()
	}
	return clip(err.Error())
}

// clip keeps what the client chose short; the log quotes it.
func clip(s string) string { return s[:min(len(s), 200)] }

// serverConfig is what is agreed upon with one connection.
func (d *door) serverConfig(k *knock) *ssh.ServerConfig {
	c := &ssh.ServerConfig{
		// RFC 4253 section 4.2: no minus sign within the name.
		ServerVersion:           "SSH-2.0-castgate_once",
		MaxAuthTries:            maxTries,
		PublicKeyAuthAlgorithms: algorithms,
		PreAuthConnCallback: func(ssh.ServerPreAuthConn) { // keys are exchanged, now a person may have to act
			_ = k.conn.SetDeadline(k.since.Add(loginGrace))
		},
		AuthLogCallback: func(c ssh.ConnMetadata, _ string, _ error) { k.user = c.User() },
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			return d.offer(k, key)
		},
		VerifiedPublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey, p *ssh.Permissions, _ string) (*ssh.Permissions, error) {
			k.key = ssh.FingerprintSHA256(key)
			return p, d.claim(k)
		},
	}
	c.AddHostKey(d.signer)
	return c
}

// offer says whether a key would do.
func (d *door) offer(k *knock, key ssh.PublicKey) (*ssh.Permissions, error) {
	k.key = ssh.FingerprintSHA256(key)
	line, err := d.keys.Admit(key, k.from.Addr(), time.Now())
	if k.why = err; err != nil {
		return nil, err
	}
	p := &ssh.Permissions{ExtraData: map[any]any{lineOf{}: line}}
	if line.Options.NoTouch {
		p.Extensions = map[string]string{"no-touch-required": ""}
	}
	return p, nil
}

// claim takes the one session for k, which has proved its key.
func (d *door) claim(k *knock) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.claimed != nil {
		k.why = errors.New("there is only one session, and it is taken")
		return k.why
	}
	d.claimed = k
	return nil
}
