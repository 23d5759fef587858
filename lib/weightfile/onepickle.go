package weightfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// onePickle copies a pickle from where it begins to its end, and follows its operations without doing them. Of a
// pickle that it returns, all that an operation asks for is there: gopickle makes room for what a length says before it
// looks whether there is as much. most is how many bytes the pickle can have.
//
// The operations are those of Python's pickletools, protocols 0 to 5.
func onePickle(r *bufio.Reader, most int64) ([]byte, error) {
	p := &pickleCopy{r: r, left: most}
	for {
		op, err := p.bytes(1)
		if err != nil {
			return nil, err
		}
		switch code := op[0]; code {
		case '.':
			return p.copied.Bytes(), nil
		case 'N', '0', '1', '2', '(', ')', '}', ']', 'a', 'b', 'd', 'e', 'l', 'o', 's', 't', 'u', 'Q', 'R',
			0x81, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8f, 0x90, 0x91, 0x92, 0x93, 0x94, 0x97, 0x98:
		case 'K', 'h', 'q', 0x80, 0x82:
			_, err = p.bytes(1)
		case 'M', 0x83:
			_, err = p.bytes(2)
		case 'J', 'j', 0x84:
			_, err = p.bytes(4)
		case 'r': // puts into the memory at a place: gopickle's grows up to it
			err = p.place()
		case 'G':
			_, err = p.bytes(8)
		case 0x95: // a frame, which only announces what follows
			err = p.sized(8, true)
		case 'U', 'C', 0x8a, 0x8c:
			err = p.sized(1, false)
		case 'T', 'X', 'B', 0x8b:
			err = p.sized(4, false)
		case 0x8d, 0x8e, 0x96:
			err = p.sized(8, false)
		case 'I', 'L', 'F', 'S', 'V', 'g', 'p', 'P':
			err = p.lines(1)
		case 'c', 'i':
			err = p.lines(2)
		default:
			err = fmt.Errorf("its pickle has the operation %#x, which there is not", code)
		}
		if err != nil {
			return nil, err
		}
	}
}

type pickleCopy struct {
	r      *bufio.Reader
	left   int64
	copied bytes.Buffer
}

var errPickleShort = errors.New("its pickle is cut short")

// bytes copies n bytes and returns them.
func (p *pickleCopy) bytes(n int64) ([]byte, error) {
	if n > p.left {
		return nil, errPickleShort
	}
	at := p.copied.Len()
	if _, err := io.CopyN(&p.copied, p.r, n); err != nil {
		return nil, errPickleShort
	}
	p.left -= n
	return p.copied.Bytes()[at:], nil
}

// sized copies a length of so many bytes and, unless it only announces, as many bytes as it says.
func (p *pickleCopy) sized(width int, announces bool) error {
	raw, err := p.bytes(int64(width))
	if err != nil {
		return err
	}
	var wide [8]byte
	copy(wide[:], raw)
	n := binary.LittleEndian.Uint64(wide[:])
	if n > uint64(p.left) {
		return errPickleShort
	}
	if !announces {
		_, err = p.bytes(int64(n))
	}
	return err
}

// place is where something is put: no more places than there were bytes until then.
func (p *pickleCopy) place() error {
	raw, err := p.bytes(4)
	if err == nil && int64(binary.LittleEndian.Uint32(raw)) > int64(p.copied.Len()) {
		err = errors.New("its pickle puts something where nothing can be")
	}
	return err
}

func (p *pickleCopy) lines(n int) error {
	for range n {
		for {
			b, err := p.bytes(1)
			if err != nil {
				return err
			}
			if b[0] == '\n' {
				break
			}
		}
	}
	return nil
}
