package compilecache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// An entry is one file: this header, what the program was compiled for (key.go), what XLA serialized, and a SHA-256
// of all of it. Integers are little-endian.
type header struct {
	Magic        [8]byte
	Format       uint32
	CompileTime  uint32 // milliseconds
	Key          key
	Circumstance uint64 // bytes
	Payload      uint64 // bytes
}

var magic = [8]byte{'l', 'o', 'u', 'p', 'e', 'x', 'l', 'a'}

// format changes with the meaning of an entry or of its key.
const format = 1

var headerSize = binary.Size(header{})

func (k key) file() string { return hex.EncodeToString(k[:]) + suffix }

// store writes an entry.
func (c *Cache) store(k key, circumstances string, payload []byte, took time.Duration) error {
	var head bytes.Buffer
	binary.Write(&head, binary.LittleEndian, header{
		Magic: magic, Format: format, CompileTime: uint32(took.Milliseconds()), Key: k,
		Circumstance: uint64(len(circumstances)), Payload: uint64(len(payload)),
	})
	head.WriteString(circumstances)
	h := sha256.New()
	h.Write(head.Bytes())
	h.Write(payload)
	if err := c.write(k.file(), head.Bytes(), payload, h.Sum(nil)); err != nil {
		return err
	}
	c.evict()
	return nil
}

// load returns what XLA serialized, and how long the program took to compile. The error is fs.ErrNotExist where there
// is no entry; any other says what is wrong with the one that there is.
func (c *Cache) load(k key, circumstances string) (payload []byte, took time.Duration, err error) {
	data, err := c.read(k.file())
	if err != nil {
		return nil, 0, err
	}
	var head header
	if err := decode(data, &head); err != nil || head.Magic != magic {
		return nil, 0, errors.New("it is no compiled program")
	}
	body := data[headerSize:]
	switch {
	case head.Format != format:
		return nil, 0, fmt.Errorf("it has format %d", head.Format)
	case head.Circumstance > uint64(len(body)), head.Payload > uint64(len(body)),
		head.Circumstance+head.Payload+sha256.Size != uint64(len(body)):
		return nil, 0, errors.New("it is cut short")
	}
	sum := sha256.Sum256(data[:len(data)-sha256.Size])
	if !bytes.Equal(sum[:], data[len(data)-sha256.Size:]) {
		return nil, 0, errors.New("its checksum is wrong")
	}
	// The name of a file says nothing: this is what it was compiled from and for.
	if head.Key != k || string(body[:head.Circumstance]) != circumstances {
		return nil, 0, errors.New("it is another program")
	}
	return body[head.Circumstance : head.Circumstance+head.Payload], time.Duration(head.CompileTime) * time.Millisecond,
		nil
}

func decode(data []byte, head *header) error {
	_, err := binary.Decode(data, binary.LittleEndian, head)
	return err
}
