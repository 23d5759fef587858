package perturb

import (
	"math"

	"github.com/loupeml/loupe/lib/internal/pixels"
)

// jpegCompression does to the image what writing and reading it as JPEG does, with half the resolution for colour, as
// Pillow and libjpeg do it: the steps are libjpeg's in its integers, so the result is the same to the bit. What a file
// would only pack and unpack again, which takes most of a codec's time, is left out.
func jpegCompression(p picture, quality int, _ chance) {
	toLuma, toChroma := newQuantiser(&jpegLuma, quality), newQuantiser(&jpegChroma, quality)
	luma, release := scratchPlane(p.h, p.w)
	defer release()
	if p.c == 1 {
		for y := range p.h {
			to := luma.row(y)
			for x, v := range p.row(y) {
				to[x] = eightBits(v)
			}
			luma.extend(y, p.w)
		}
		luma.roundTrip(p.h, &toLuma)
		for y := range p.h {
			to := p.row(y)
			for x, v := range luma.row(y)[:p.w] {
				to[x] = pixels.Unit8[v]
			}
		}
		return
	}
	rows, columns := (p.h+1)/2, (p.w+1)/2
	cb, release := scratchPlane(rows, columns)
	defer release()
	cr, release := scratchPlane(rows, columns)
	defer release()
	p.split(luma, cb, cr)
	luma.roundTrip(p.h, &toLuma)
	cb.roundTrip(rows, &toChroma)
	cr.roundTrip(rows, &toChroma)
	p.join(luma, cb, cr)
}

// plane is a channel in 8 bits, its sides multiples of 8.
type plane struct {
	pix  []uint8
	h, w int
}

func scratchPlane(h, w int) (p plane, release func()) {
	p = plane{h: (h + 7) &^ 7, w: (w + 7) &^ 7}
	p.pix, release = pixels.Scratch[uint8](p.h * p.w)
	return p, release
}

func (p plane) row(y int) []uint8 { return p.pix[y*p.w : (y+1)*p.w] }

// extend goes on with the last of w pixels.
func (p plane) extend(y, w int) {
	row := p.row(y)
	for x := w; x < len(row); x++ {
		row[x] = row[w-1]
	}
}

// What a level of red, green and blue adds to the three channels of JPEG, and what one of blue-difference and
// red-difference adds to green, in 16 binary places; what they add to the other colours is rounded.
var (
	toLuma, toCb, toCr [3][256]int32
	fromCb, fromCr     [256]struct{ most, green int32 }
)

func init() {
	fixed := func(v float64) int32 { return int32(math.Round(v * (1 << 16))) }
	const half, middle = 1 << 15, 128 << 16
	for i := range int32(256) {
		toLuma[0][i], toLuma[1][i], toLuma[2][i] = fixed(.299)*i+half, fixed(.587)*i, fixed(.114)*i
		toCb[0][i], toCb[1][i], toCb[2][i] = -fixed(.168735892)*i+middle+half-1, -fixed(.331264108)*i, fixed(.5)*i
		toCr[0][i], toCr[1][i], toCr[2][i] = fixed(.5)*i+middle+half-1, -fixed(.418687589)*i, -fixed(.081312411)*i
		c := i - 128
		fromCb[i].most, fromCb[i].green = (fixed(1.772)*c+half)>>16, -fixed(.344136286)*c+half
		fromCr[i].most, fromCr[i].green = (fixed(1.402)*c+half)>>16, -fixed(.714136286)*c
	}
}

// split makes JPEG's channels of the colours. Of blue-difference and red-difference, four pixels are one, rounded down
// and up in turn.
func (p picture) split(luma, cb, cr plane) {
	wide := 2 * cb.w
	blue, release := pixels.Scratch[int32](wide)
	defer release()
	red, release := pixels.Scratch[int32](wide)
	defer release()
	rows := (p.h + 1) / 2
	for y := range rows {
		for i, from := range [2]int{2 * y, min(2*y+1, p.h-1)} {
			row, to := p.row(from), luma.row(from)
			for x := range p.w {
				pixel := row[3*x : 3*x+3]
				r, g, b := eightBits(pixel[0]), eightBits(pixel[1]), eightBits(pixel[2])
				to[x] = uint8((toLuma[0][r] + toLuma[1][g] + toLuma[2][b]) >> 16)
				u, v := (toCb[0][r]+toCb[1][g]+toCb[2][b])>>16, (toCr[0][r]+toCr[1][g]+toCr[2][b])>>16
				if i == 0 {
					blue[x], red[x] = u, v
				} else {
					blue[x], red[x] = blue[x]+u, red[x]+v
				}
			}
			luma.extend(from, p.w)
		}
		for x := p.w; x < wide; x++ {
			blue[x], red[x] = blue[p.w-1], red[p.w-1]
		}
		toBlue, toRed := cb.row(y), cr.row(y)
		for x := range toBlue {
			up := int32(1 + x%2)
			toBlue[x], toRed[x] = uint8((blue[2*x]+blue[2*x+1]+up)>>2), uint8((red[2*x]+red[2*x+1]+up)>>2)
		}
	}
}

// join makes colours of JPEG's channels. The halved ones are enlarged: three quarters of the nearer pixel and a quarter
// of the next in each direction.
func (p picture) join(luma, cb, cr plane) {
	rows, columns := (p.h+1)/2, (p.w+1)/2
	sums, release := pixels.Scratch[[2]int32](columns + 2) // a pixel more at either end
	defer release()
	for y := range p.h {
		near := y / 2
		far := min(max(near-1+y%2*2, 0), rows-1)
		blue, nextBlue := cb.row(near)[:columns], cb.row(far)[:columns]
		red, nextRed := cr.row(near)[:columns], cr.row(far)[:columns]
		for x := range columns {
			sums[x+1] = [2]int32{3*int32(blue[x]) + int32(nextBlue[x]), 3*int32(red[x]) + int32(nextRed[x])}
		}
		sums[0], sums[columns+1] = sums[1], sums[columns]
		to, bright := p.row(y), luma.row(y)[:p.w]
		for x, l := range bright {
			odd := x & 1
			near, far := sums[x/2+1], sums[x/2+2*odd]
			round := int32(8 - odd)
			u, v := &fromCb[uint8((3*near[0]+far[0]+round)>>4)], &fromCr[uint8((3*near[1]+far[1]+round)>>4)]
			l := int32(l)
			pixel := to[3*x : 3*x+3]
			pixel[0] = pixels.Unit8[uint8(min(max(l+v.most, 0), 255))]
			pixel[1] = pixels.Unit8[uint8(min(max(l+(u.green+v.green)>>16, 0), 255))]
			pixel[2] = pixels.Unit8[uint8(min(max(l+u.most, 0), 255))]
		}
	}
}

// The steps of quality 50 for the 8 x 8 frequencies of brightness and of colour, from recommendation ITU-T T.81, tables
// K.1 and K.2.
var (
	jpegLuma = [64]int{
		16, 11, 10, 16, 24, 40, 51, 61,
		12, 12, 14, 19, 26, 58, 60, 55,
		14, 13, 16, 24, 40, 57, 69, 56,
		14, 17, 22, 29, 51, 87, 80, 62,
		18, 22, 37, 56, 68, 109, 103, 77,
		24, 35, 55, 64, 81, 104, 113, 92,
		49, 64, 78, 87, 103, 121, 120, 101,
		72, 92, 95, 98, 112, 100, 103, 99,
	}
	jpegChroma = [64]int{
		17, 18, 24, 47, 99, 99, 99, 99,
		18, 21, 26, 66, 99, 99, 99, 99,
		24, 26, 56, 99, 99, 99, 99, 99,
		47, 66, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
	}
)

// quantiser rounds frequencies, which come times 8, to multiples of their steps. It multiplies by a reciprocal in 28
// binary places, which is exact for what 8 bits can come to.
type quantiser [64]struct{ step, half, reciprocal uint32 }

func newQuantiser(steps *[64]int, quality int) (q quantiser) {
	percent := 200 - 2*quality
	if quality < 50 {
		percent = 5000 / quality
	}
	for i, s := range steps {
		step := uint32(min(max((s*percent+50)/100, 1), 255))
		q[i].step, q[i].half, q[i].reciprocal = step, 8*step/2, (1<<28+8*step-1)/(8*step)
	}
	return q
}

// roundTrip brings h rows, and those that fill them up to a multiple of 8, to frequencies, rounds these, and comes
// back.
func (p plane) roundTrip(h int, q *quantiser) {
	for y := h; y < p.h; y++ {
		copy(p.row(y), p.row(h-1))
	}
	var block [64]int32
	for y := 0; y < p.h; y += 8 {
		for x := 0; x < p.w; x += 8 {
			at := y*p.w + x
			for i := range 8 {
				row, to := p.pix[at+i*p.w:][:8], block[8*i:8*i+8]
				for j, v := range row {
					to[j] = int32(v) - 128
				}
			}
			forwardDCT(&block)
			for i := range block {
				v := block[i]
				sign := v >> 31
				size := uint64(uint32((v^sign)-sign) + q[i].half)
				n := int32(size*uint64(q[i].reciprocal)>>28) * int32(q[i].step)
				block[i] = (n ^ sign) - sign
			}
			inverseDCT(&block)
			for i := range 8 {
				row, from := p.pix[at+i*p.w:][:8], block[8*i:8*i+8]
				for j, v := range from {
					row[j] = uint8(min(max(v+128, 0), 255))
				}
			}
		}
	}
}

// The discrete cosine transform of 8 points by Loeffler, Ligtenberg and Moschytz, "Practical fast 1-D DCT algorithms
// with 11 multiplications", ICASSP 1989, as libjpeg has it in integers (jfdctint.c and jidctint.c): factors in 13
// binary places, and 2 more for what lies between the two directions.
const (
	factorPlaces, morePlaces = 13, 2

	c0298 = 2446  // 0.298631336, and so on
	c0390 = 3196  // 0.390180644
	c0541 = 4433  // 0.541196100
	c0765 = 6270  // 0.765366865
	c0899 = 7373  // 0.899976223
	c1175 = 9633  // 1.175875602
	c1501 = 12299 // 1.501321110
	c1847 = 15137 // 1.847759065
	c1961 = 16069 // 1.961570560
	c2053 = 16819 // 2.053119869
	c2562 = 20995 // 2.562915447
	c3072 = 25172 // 3.072711026
)

// forwardDCT comes out times 8.
func forwardDCT(b *[64]int32) {
	{
		const down, round = factorPlaces - morePlaces, 1 << (factorPlaces - morePlaces - 1)
		for i := 0; i < 64; i += 8 {
			r := (*[8]int32)(b[i : i+8])
			f0, f1, f2, f3, f4, f5, f6, f7 := forward8(r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7])
			r[0], r[4] = f0<<morePlaces, f4<<morePlaces
			r[1], r[2], r[3] = (f1+round)>>down, (f2+round)>>down, (f3+round)>>down
			r[5], r[6], r[7] = (f5+round)>>down, (f6+round)>>down, (f7+round)>>down
		}
	}
	const down, round = factorPlaces + morePlaces, 1 << (factorPlaces + morePlaces - 1)
	for i := range 8 {
		c := (*[57]int32)(b[i : i+57])
		f0, f1, f2, f3, f4, f5, f6, f7 := forward8(c[0], c[8], c[16], c[24], c[32], c[40], c[48], c[56])
		c[0], c[32] = (f0+1<<(morePlaces-1))>>morePlaces, (f4+1<<(morePlaces-1))>>morePlaces
		c[8], c[16], c[24] = (f1+round)>>down, (f2+round)>>down, (f3+round)>>down
		c[40], c[48], c[56] = (f5+round)>>down, (f6+round)>>down, (f7+round)>>down
	}
}

// forward8 returns frequencies times √8, those but 0 and 4 in factorPlaces binary places.
func forward8(d0, d1, d2, d3, d4, d5, d6, d7 int32) (f0, f1, f2, f3, f4, f5, f6, f7 int32) {
	s0, s1, s2, s3 := d0+d7, d1+d6, d2+d5, d3+d4
	t0, t1, t2, t3 := d3-d4, d2-d5, d1-d6, d0-d7

	a0, a1, a2, a3 := s0+s3, s1+s2, s1-s2, s0-s3
	f0, f4 = a0+a1, a0-a1
	z := (a2 + a3) * c0541
	f2, f6 = z+a3*c0765, z-a2*c1847

	z1, z2, z3, z4 := (t0+t3)*-c0899, (t1+t2)*-c2562, t0+t2, t1+t3
	z5 := (z3 + z4) * c1175
	z3, z4 = z3*-c1961+z5, z4*-c0390+z5
	f7, f5, f3, f1 = t0*c0298+z1+z3, t1*c2053+z2+z4, t2*c3072+z2+z3, t3*c1501+z1+z4
	return
}

// inverseDCT undoes forwardDCT once its 8 has been taken out.
func inverseDCT(b *[64]int32) {
	{
		const down, round = factorPlaces - morePlaces, 1 << (factorPlaces - morePlaces - 1)
		for i := range 8 {
			c := (*[57]int32)(b[i : i+57])
			if c[8]|c[16]|c[24]|c[32]|c[40]|c[48]|c[56] == 0 {
				v := c[0] << morePlaces
				c[0], c[8], c[16], c[24], c[32], c[40], c[48], c[56] = v, v, v, v, v, v, v, v
				continue
			}
			d0, d1, d2, d3, d4, d5, d6, d7 := inverse8(c[0], c[8], c[16], c[24], c[32], c[40], c[48], c[56])
			c[0], c[8], c[16], c[24] = (d0+round)>>down, (d1+round)>>down, (d2+round)>>down, (d3+round)>>down
			c[32], c[40], c[48], c[56] = (d4+round)>>down, (d5+round)>>down, (d6+round)>>down, (d7+round)>>down
		}
	}
	const down, round = factorPlaces + morePlaces + 3, 1 << (factorPlaces + morePlaces + 2)
	for i := 0; i < 64; i += 8 {
		r := (*[8]int32)(b[i : i+8])
		if r[1]|r[2]|r[3]|r[4]|r[5]|r[6]|r[7] == 0 {
			v := (r[0] + 1<<(morePlaces+2)) >> (morePlaces + 3)
			r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7] = v, v, v, v, v, v, v, v
			continue
		}
		d0, d1, d2, d3, d4, d5, d6, d7 := inverse8(r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7])
		r[0], r[1], r[2], r[3] = (d0+round)>>down, (d1+round)>>down, (d2+round)>>down, (d3+round)>>down
		r[4], r[5], r[6], r[7] = (d4+round)>>down, (d5+round)>>down, (d6+round)>>down, (d7+round)>>down
	}
}

// inverse8 returns values times √8, in factorPlaces binary places.
func inverse8(f0, f1, f2, f3, f4, f5, f6, f7 int32) (d0, d1, d2, d3, d4, d5, d6, d7 int32) {
	z := (f2 + f6) * c0541
	t2, t3 := z-f6*c1847, z+f2*c0765
	t0, t1 := (f0+f4)<<factorPlaces, (f0-f4)<<factorPlaces
	a0, a1, a2, a3 := t0+t3, t1+t2, t1-t2, t0-t3

	z1, z2, z3, z4 := (f7+f1)*-c0899, (f5+f3)*-c2562, f7+f3, f5+f1
	z5 := (z3 + z4) * c1175
	z3, z4 = z3*-c1961+z5, z4*-c0390+z5
	b0, b1, b2, b3 := f7*c0298+z1+z3, f5*c2053+z2+z4, f3*c3072+z2+z3, f1*c1501+z1+z4
	return a0 + b3, a1 + b2, a2 + b1, a3 + b0, a3 - b0, a2 - b1, a1 - b2, a0 - b3
}
