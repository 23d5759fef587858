package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrSignature means that a message was not signed with the connection file's key.
var ErrSignature = errors.New("wire: bad signature")

// Signer signs messages with HMAC-SHA256.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#the-wire-protocol
type Signer struct {
	key []byte // empty: messages are not signed
}

// NewSigner returns a signer for the key and signature_scheme of a connection file. An empty key means
// that messages are neither signed nor checked.
func NewSigner(key, scheme string) (*Signer, error) {
	if key != "" && scheme != "hmac-sha256" {
		return nil, fmt.Errorf("wire: the connection file asks for signature_scheme %q; loupe signs with \"hmac-sha256\", Jupyter's default: leave Session.signature_scheme unset", scheme)
	}
	return &Signer{key: []byte(key)}, nil
}

func (s *Signer) sign(parts [][]byte) []byte {
	if len(s.key) == 0 {
		return nil
	}
	mac := hmac.New(sha256.New, s.key)
	for _, p := range parts {
		mac.Write(p)
	}
	return hex.AppendEncode(nil, mac.Sum(nil))
}

func (s *Signer) verify(signature []byte, parts [][]byte) bool {
	return len(s.key) == 0 || hmac.Equal(signature, s.sign(parts))
}
