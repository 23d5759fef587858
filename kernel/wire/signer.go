package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
)

// ErrSignature means that a message was not signed with the connection file's key.
var ErrSignature = errors.New("wire: bad signature")

// ErrReplayed means that a message with the same signature has come before: somebody who has seen it sends it again.
var ErrReplayed = errors.New("wire: this message has come before")

// mostSignatures is how many signatures are remembered, as in Jupyter's own clients.
const mostSignatures = 1 << 16

// Signer signs messages with HMAC-SHA256, and accepts each signed message once.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#the-wire-protocol
type Signer struct {
	key []byte // empty: messages are not signed

	mu   sync.Mutex                 // guards the fields below
	seen map[[sha256.Size]byte]bool // the signatures of messages that have come
	in   [][sha256.Size]byte        // the same in the order in which they came, once all places are taken from next on
	next int
}

// NewSigner returns a signer for the key and signature_scheme of a connection file. An empty key means
// that messages are neither signed nor checked.
func NewSigner(key, scheme string) (*Signer, error) {
	if key != "" && scheme != "hmac-sha256" {
		return nil, fmt.Errorf("wire: the connection file asks for signature_scheme %q; loupe signs with \"hmac-sha256\", "+
			"Jupyter's default: leave Session.signature_scheme unset", scheme)
	}
	return &Signer{key: []byte(key), seen: map[[sha256.Size]byte]bool{}}, nil
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

// verify checks the signature of a message that has come. The error is [ErrSignature] or [ErrReplayed].
func (s *Signer) verify(signature []byte, parts [][]byte) error {
	if len(s.key) == 0 {
		return nil
	}
	right := s.sign(parts)
	if !hmac.Equal(signature, right) {
		return ErrSignature
	}
	var digest [sha256.Size]byte
	if _, err := hex.Decode(digest[:], right); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[digest] {
		return ErrReplayed
	}
	s.seen[digest] = true
	if len(s.in) < mostSignatures {
		s.in = append(s.in, digest)
		return nil
	}
	delete(s.seen, s.in[s.next])
	s.in[s.next] = digest
	s.next = (s.next + 1) % mostSignatures
	return nil
}
