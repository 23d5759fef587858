package wire

import (
	"bufio"
	"errors"
	"net"
)

const (
	greetingSize = 64        // bytes of ZMTP's greeting
	maxMessage   = 512 << 20 // bytes of a message that a front end sends
	maxFrames    = 10_000    // of a message
)

var errTooBig = errors.New("wire: a message is larger than a front end's can be; its connection was closed")

// limited follows what a peer sends and ends it before a frame that is too large: zmq4 makes room for whatever length a
// frame announces, and no process survives an attempt to make room for all of it.
// https://rfc.zeromq.org/spec/23/#framing
type limited struct {
	net.Conn
	from *bufio.Reader // zmq4 reads a few bytes at a time

	skip     int    // bytes that say nothing of lengths: of the greeting, and of frames
	flags    byte   // of the frame whose length is being read
	length   uint64 // what is known of it
	missing  int    // bytes of the length to come; 0 where the flags come next
	size     uint64 // of the message so far
	frames   int    // of the message so far
	exceeded bool
}

func newLimited(conn net.Conn) *limited {
	return &limited{Conn: conn, from: bufio.NewReaderSize(conn, 64<<10), skip: greetingSize}
}

func (l *limited) Read(p []byte) (int, error) {
	if l.exceeded {
		return 0, errTooBig
	}
	n, err := l.from.Read(p)
	if !l.follow(p[:n]) {
		l.exceeded = true
		return 0, errTooBig
	}
	return n, err
}

// follow reports whether the bytes stay within the limits.
func (l *limited) follow(b []byte) bool {
	const more, long = 1, 2
	for len(b) > 0 {
		if l.skip > 0 {
			n := min(l.skip, len(b))
			l.skip -= n
			b = b[n:]
			continue
		}
		c := b[0]
		b = b[1:]
		if l.missing == 0 {
			l.flags, l.length, l.missing = c, 0, 1
			if c&long != 0 {
				l.missing = 8
			}
			continue
		}
		l.length = l.length<<8 | uint64(c)
		if l.missing--; l.missing > 0 {
			continue
		}
		l.frames++
		if l.length > maxMessage || l.size+l.length > maxMessage || l.frames > maxFrames {
			return false
		}
		l.skip = int(l.length)
		l.size += l.length
		if l.flags&more == 0 {
			l.size, l.frames = 0, 0
		}
	}
	return true
}
