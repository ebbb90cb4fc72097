// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Namespace is the SSHSIG namespace of castgate's signatures: a key that also
// signs something else can't be made to sign a manifest by it.
const Namespace = "castgate"

// The format is OpenSSH's PROTOCOL.sshsig. What is signed is
// "SSHSIG", namespace, reserved, hash algorithm, hash of the message; what is
// stored adds version and public key, in an armor.
const (
	magic      = "SSHSIG"
	sigVersion = 1
	hashName   = "sha512" // ssh-keygen's own choice
	armorBegin = "-----BEGIN SSH SIGNATURE-----"
	armorEnd   = "-----END SSH SIGNATURE-----"
	armorWidth = 70
	// maxSig bounds an armored signature; that of a 16384-bit RSA key has 8 kB.
	maxSig = 16 << 10
)

type signedBlob struct {
	Namespace, Reserved, Hash string
	Sum                       []byte
}

type sigBlob struct {
	Version   uint32
	PublicKey []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

func toSign(hash string, sum []byte) []byte {
	return append([]byte(magic), ssh.Marshal(signedBlob{Namespace, "", hash, sum})...)
}

// Signer signs manifests with a host's key.
type Signer struct{ key ssh.Signer }

// NewSigner reads an ed25519 private key as ssh-keygen writes it.
func NewSigner(pem []byte) (*Signer, error) {
	key, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, err
	}
	if t := key.PublicKey().Type(); t != ssh.KeyAlgoED25519 {
		return nil, fmt.Errorf("the key is of type %s, not %s", t, ssh.KeyAlgoED25519)
	}
	return &Signer{key}, nil
}

// PublicKey returns the key that verifies what s signs.
func (s *Signer) PublicKey() ssh.PublicKey { return s.key.PublicKey() }

// Sign returns the armored signature of message.
func (s *Signer) Sign(message []byte) ([]byte, error) {
	sum := sha512.Sum512(message)
	sig, err := s.key.Sign(rand.Reader, toSign(hashName, sum[:]))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	blob := append([]byte(magic), ssh.Marshal(sigBlob{
		sigVersion, s.key.PublicKey().Marshal(), Namespace, "", hashName, ssh.Marshal(sig),
	})...)
	return armor(blob), nil
}

func armor(blob []byte) []byte {
	text := base64.StdEncoding.EncodeToString(blob)
	var b bytes.Buffer
	b.WriteString(armorBegin + "\n")
	for len(text) > 0 {
		n := min(armorWidth, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString(armorEnd + "\n")
	return b.Bytes()
}

func dearmor(text []byte) ([]byte, error) {
	s := strings.ReplaceAll(string(text), "\r\n", "\n")
	s, ok := strings.CutPrefix(s, armorBegin+"\n")
	body, rest, ok2 := strings.Cut(s, "\n"+armorEnd)
	if !ok || !ok2 || strings.TrimSpace(rest) != "" {
		return nil, errors.New("not an SSH signature")
	}
	return base64.StdEncoding.Strict().DecodeString(strings.ReplaceAll(body, "\n", ""))
}

// VerifySignature checks an armored signature of message and returns the key
// that made it. Whether that key may sign is for AllowedSigners to say.
func VerifySignature(message, armored []byte) (ssh.PublicKey, error) {
	if len(armored) > maxSig {
		return nil, fmt.Errorf("the signature is longer than %d bytes", maxSig)
	}
	raw, err := dearmor(armored)
	if err != nil {
		return nil, fmt.Errorf("the signature can't be read: %w", err)
	}
	raw, ok := bytes.CutPrefix(raw, []byte(magic))
	if !ok {
		return nil, errors.New("the signature can't be read: no SSHSIG")
	}
	var blob sigBlob
	if err := ssh.Unmarshal(raw, &blob); err != nil {
		return nil, fmt.Errorf("the signature can't be read: %w", err)
	}
	if blob.Version != sigVersion || blob.Namespace != Namespace || blob.Reserved != "" {
		return nil, fmt.Errorf("the signature is of version %d, namespace %q", blob.Version, blob.Namespace)
	}
	key, err := ssh.ParsePublicKey(blob.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("the signature's key can't be read: %w", err)
	}
	var sig ssh.Signature
	if err := ssh.Unmarshal(blob.Signature, &sig); err != nil {
		return nil, fmt.Errorf("the signature can't be read: %w", err)
	}
	if key.Type() != ssh.KeyAlgoED25519 || sig.Format != ssh.KeyAlgoED25519 {
		return nil, fmt.Errorf("the signature is by a key of type %s, not %s", key.Type(), ssh.KeyAlgoED25519)
	}
	sum, err := messageHash(blob.Hash, message)
	if err != nil {
		return nil, err
	}
	if err := key.Verify(toSign(blob.Hash, sum), &sig); err != nil {
		return nil, errors.New("the signature is not of these bytes")
	}
	return key, nil
}

func messageHash(name string, message []byte) ([]byte, error) {
	switch name {
	case "sha512":
		sum := sha512.Sum512(message)
		return sum[:], nil
	case "sha256":
		sum := sha256.Sum256(message)
		return sum[:], nil
	}
	return nil, fmt.Errorf("the signature's hash %q is not known", name)
}
