package data

import (
	"errors"
	"fmt"
	"image"
	"io"
)

// netpbm is the head of a PBM, PGM or PPM file. https://netpbm.sourceforge.net/doc/ppm.html
type netpbm struct {
	kind          byte // '1' to '6'
	width, height int
	most          int // the value of white
	rest          []byte
}

func readNetpbm(raw []byte) (netpbm, error) {
	n := netpbm{kind: raw[1], most: 1, rest: raw[2:]}
	numbers := []*int{&n.width, &n.height}
	if n.kind != '1' && n.kind != '4' {
		numbers = append(numbers, &n.most)
	}
	for _, v := range numbers {
		var err error
		if *v, err = n.number(false); err != nil {
			return n, err
		}
	}
	if n.most < 1 || n.most > 65535 {
		return n, fmt.Errorf("netpbm: white is %d, it is 1 to 65535", n.most)
	}
	if n.kind >= '4' { // one space before the pixels
		if len(n.rest) == 0 {
			return n, io.ErrUnexpectedEOF
		}
		n.rest = n.rest[1:]
	}
	return n, nil
}

// number takes the next number in words, or one digit alone.
func (n *netpbm) number(digit bool) (int, error) {
	for len(n.rest) > 0 && (isSpace(n.rest[0]) || n.rest[0] == '#') {
		if n.rest[0] == '#' {
			for len(n.rest) > 0 && n.rest[0] != '\n' && n.rest[0] != '\r' {
				n.rest = n.rest[1:]
			}
			continue
		}
		n.rest = n.rest[1:]
	}
	if len(n.rest) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	v, digits := 0, 0
	for len(n.rest) > 0 && '0' <= n.rest[0] && n.rest[0] <= '9' && !(digit && digits == 1) {
		v = min(10*v+int(n.rest[0]-'0'), 1<<31-1)
		n.rest = n.rest[1:]
		digits++
	}
	if digits == 0 {
		return 0, errors.New("netpbm: there is no number where one has to be")
	}
	return v, nil
}

func configOfNetpbm(raw []byte) (image.Config, error) {
	n, err := readNetpbm(raw)
	return image.Config{Width: n.width, Height: n.height}, err
}

// decodeNetpbm reads a file whose size was checked. Values are shares of white, where Pillow rounds them to 255ths.
func decodeNetpbm(raw []byte) (Image, error) {
	n, err := readNetpbm(raw)
	if err != nil {
		return Image{}, err
	}
	channels := 1
	if n.kind == '3' || n.kind == '6' {
		channels = 3
	}
	size := 1
	if n.most > 255 {
		size = 2
	}
	line := n.width * channels * size
	if n.kind == '4' {
		line = (n.width + 7) / 8
	}
	if n.kind >= '4' && len(n.rest) < line*n.height {
		return Image{}, io.ErrUnexpectedEOF
	}
	values := make([]float32, 0, n.width*n.height*channels)
	for y := range n.height {
		for x := range n.width * channels {
			v := 0
			switch n.kind {
			case '1', '2', '3':
				if v, err = n.number(n.kind == '1'); err != nil {
					return Image{}, err
				}
			case '4':
				v = int(n.rest[y*line+x/8]) >> (7 - x%8) & 1
			default:
				at := y*line + x*size
				if v = int(n.rest[at]); size == 2 {
					v = v<<8 | int(n.rest[at+1])
				}
			}
			if v > n.most {
				return Image{}, fmt.Errorf("netpbm: a pixel has the value %d, and white is %d", v, n.most)
			}
			if n.kind == '1' || n.kind == '4' { // 1 is black
				v = 1 - v
			}
			values = append(values, float32(v)/float32(n.most))
		}
	}
	img := Image{Pix: values, Height: n.height, Width: n.width, Channels: channels}
	return RGB().Apply(img)
}
