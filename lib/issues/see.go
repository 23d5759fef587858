package issues

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/loupeml/loupe/lib/data"
)

// seen is what is kept of a picture.
type seen struct {
	height, width     int
	pixels            [32]byte // a digest of its size and pixels
	look              uint64   // its perceptual hash
	bright5, bright99 float64  // percentiles of brightness, 0..1
	entropy           float64  // of the values of all channels, in bits
	edges, tones      float64  // standard deviations of the edges at 64 pixels, and of how often each tone occurs there
	gray              bool
}

// see looks at a picture.
func see(img data.Image) (seen, error) {
	b, eight, err := bytesOf(img)
	if err != nil {
		return seen{}, err
	}
	s := seen{height: b.height, width: b.width, gray: b.channels == 1}
	s.pixels = digest(b, img, eight)
	s.bright5, s.bright99 = b.brightness()
	s.entropy = b.entropy()
	s.look = b.hash()
	s.edges, s.tones = b.blur()
	return s, nil
}

// picture has 8 bits, as those that cleanvision looks at: row-major [height, width, channels]. Of one whose channels
// are all equal there is one.
type picture struct {
	pix                     []uint8
	height, width, channels int
}

// bytesOf brings a picture to 8 bits, and says whether nothing is lost by it.
func bytesOf(img data.Image) (b picture, eight bool, err error) {
	if img.Channels != 1 && img.Channels != 3 || img.Height < 1 || img.Width < 1 ||
		len(img.Pix) != img.Height*img.Width*img.Channels {
		return b, false, fmt.Errorf("a picture of %d x %d pixels with %d channels: they have one channel, or three",
			img.Height, img.Width, img.Channels)
	}
	b = picture{make([]uint8, len(img.Pix)), img.Height, img.Width, img.Channels}
	eight = true
	for i, v := range img.Pix {
		if !(v >= -1e-3 && v <= 1+1e-3) {
			return b, false, fmt.Errorf("it has the pixel value %v: they lie in 0..1", v)
		}
		u := uint8(min(max(v, 0), 1)*255 + 0.5)
		b.pix[i] = u
		eight = eight && v == float32(u)/255
	}
	if b.channels == 3 {
		gray := true
		for i := 0; i < len(b.pix) && gray; i += 3 {
			gray = b.pix[i] == b.pix[i+1] && b.pix[i] == b.pix[i+2]
		}
		if gray {
			for i := range b.pix[:len(b.pix)/3] {
				b.pix[i] = b.pix[3*i]
			}
			b.pix, b.channels = b.pix[:len(b.pix)/3], 1
		}
	}
	return b, eight, nil
}

// digest is one of a picture's size and pixels, in all their bits.
func digest(b picture, img data.Image, eight bool) (sum [32]byte) {
	h := sha256.New()
	fmt.Fprintln(h, b.height, b.width, b.channels, eight)
	if eight {
		h.Write(b.pix)
	} else {
		var buffer []byte
		for i, v := range img.Pix {
			if buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(v)); len(buffer) >= 1<<16 ||
				i+1 == len(img.Pix) {
				h.Write(buffer)
				buffer = buffer[:0]
			}
		}
	}
	h.Sum(sum[:0])
	return sum
}

// brightness is the 5th and the 99th percentile of that of the pixels.
func (b picture) brightness() (low, high float64) {
	// The square of a brightness, times 1000 · 255², is a whole number, whose order is that of the brightness. Which of
	// them lie at a percentile is found by their upper bits, and then by the lower bits of those that share these.
	const lower = 12
	n := b.height * b.width
	squares := make([]uint32, n)
	for i := range squares {
		if b.channels == 1 {
			v := uint32(b.pix[i])
			squares[i] = 1000 * v * v
		} else {
			r, g, bl := uint32(b.pix[3*i]), uint32(b.pix[3*i+1]), uint32(b.pix[3*i+2])
			squares[i] = 241*r*r + 691*g*g + 68*bl*bl
		}
	}
	counts := make([]int, 1000*255*255>>lower+1)
	for _, s := range squares {
		counts[s>>lower]++
	}
	at := func(rank int) float64 { // the value that rank others come before
		upper := 0
		for ; rank >= counts[upper]; upper++ {
			rank -= counts[upper]
		}
		within := make([]int, 1<<lower)
		for _, s := range squares {
			if int(s>>lower) == upper {
				within[s&(1<<lower-1)]++
			}
		}
		rest := 0
		for ; rank >= within[rest]; rest++ {
			rank -= within[rest]
		}
		return math.Sqrt(float64(upper<<lower+rest)/1000) / 255
	}
	percentile := func(percent float64) float64 {
		place := percent / 100 * float64(n-1)
		rank := int(place)
		value := at(rank)
		if share := place - float64(rank); share > 0 {
			value += share * (at(rank+1) - value)
		}
		return value
	}
	return percentile(5), percentile(99)
}

// entropy is that of the values, each channel's counted by itself, as of Pillow's Image.entropy.
func (b picture) entropy() float64 {
	var counts [3][256]int
	for i, v := range b.pix {
		counts[i%b.channels][v]++
	}
	bits := 0.0
	for _, channel := range counts {
		for _, n := range channel {
			if n > 0 {
				p := float64(n) / float64(len(b.pix))
				bits -= p * math.Log2(p)
			}
		}
	}
	return bits
}

// luminance is the picture in grey, 0.299 R + 0.587 G + 0.114 B in Pillow's fixed point.
func (b picture) luminance() picture {
	if b.channels == 1 {
		return b
	}
	out := picture{make([]uint8, b.height*b.width), b.height, b.width, 1}
	for i := range out.pix {
		r, g, bl := uint32(b.pix[3*i]), uint32(b.pix[3*i+1]), uint32(b.pix[3*i+2])
		out.pix[i] = uint8((19595*r + 38470*g + 7471*bl + 1<<15) >> 16)
	}
	return out
}

// blur is the standard deviation of the edges of the picture, brought to 64 pixels where it is larger, and that of how
// often each of its 256 tones occurs.
func (b picture) blur() (edges, tones float64) {
	const side = 64
	small := b
	if longer := max(b.height, b.width); longer > side {
		ratio := float64(longer) / side
		small = b.resized(max(int(math.Floor(float64(b.height)/ratio)), 1), max(int(math.Floor(float64(b.width)/ratio)), 1),
			bicubic)
	}
	gray := small.luminance()
	n := float64(len(gray.pix))
	var counts [256]float64
	sum, squares := 0.0, 0.0
	for y := range gray.height {
		for x := range gray.width {
			v := int(gray.pix[y*gray.width+x])
			counts[v]++
			e := v // the border stays as it is
			if y > 0 && y+1 < gray.height && x > 0 && x+1 < gray.width {
				e = 9 * v
				for dy := -1; dy <= 1; dy++ {
					for dx := -1; dx <= 1; dx++ {
						e -= int(gray.pix[(y+dy)*gray.width+x+dx])
					}
				}
				e = min(max(e, 0), 255)
			}
			sum += float64(e)
			squares += float64(e * e)
		}
	}
	edges = math.Sqrt(max(squares-sum*sum/n, 0) / n)
	for _, count := range counts {
		tones += (count - n/256) * (count - n/256) / 256
	}
	return edges, math.Sqrt(tones)
}

// sharpness is the score of blur.
func (s seen) sharpness() float64 {
	tones := 1 - math.Exp(-s.tones/100)
	if tones <= 0.18 {
		tones = 0
	}
	return min(1-math.Exp(-s.edges/100)+tones, 1)
}

// hash is the perceptual hash, a bit for each of the 8 x 8 lowest frequencies of the picture at 32 x 32 pixels that is
// above the median of them: the package imagehash's phash, after
// https://www.hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html.
func (b picture) hash() (bits uint64) {
	const side, low = 32, 8
	small := b.luminance().resized(side, side, lanczos)
	var rows [low][side]float64 // frequencies along the columns
	for k := range low {
		for x := range side {
			for y := range side {
				rows[k][x] += 2 * float64(small.pix[y*side+x]) * cosines[k][y]
			}
		}
	}
	var values [low * low]float64
	largest := 0.0
	for k := range low {
		for l := range low {
			v := 0.0
			for x := range side {
				v += 2 * rows[k][x] * cosines[l][x]
			}
			values[k*low+l] = v
			largest = max(largest, math.Abs(v))
		}
	}
	for i, v := range values {
		if math.Abs(v) <= 1e-12*largest { // 0 but for rounding, as of a picture of one colour
			values[i] = 0
		}
	}
	median := percentile(values[:], 50)
	for i, v := range values {
		if v > median {
			bits |= 1 << i
		}
	}
	return bits
}

// cosines are those of the cosine transform of 32 values: cos(πk(2n+1)/64).
var cosines = func() (c [8][32]float64) {
	for k := range c {
		for n := range c[k] {
			c[k][n] = math.Cos(math.Pi * float64(k*(2*n+1)) / 64)
		}
	}
	return c
}()
