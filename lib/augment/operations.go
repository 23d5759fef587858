package augment

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/pixels"
)

// Operation is one of the simple changes that AugMix chains: those of AutoAugment (Cubuk et al., CVPR 2019) as Pillow
// does them, on 8 bits.
type Operation struct {
	// Name is the authors' name, such as "shear_x".
	Name string

	levelled, signed, coloured bool
	// apply may change p or return another. level is drawn from 0.1 up to the severity; negative turns it round.
	apply func(p picture, level float64, negative bool) picture
}

// Operations returns the nine operations of AugMix: autocontrast, equalize, posterize, rotate, solarize, shear_x,
// shear_y, translate_x and translate_y. None of them is among the corruptions of ImageNet-C.
func Operations() []Operation {
	return []Operation{
		{Name: "autocontrast", apply: autocontrast},
		{Name: "equalize", apply: equalize},
		{Name: "posterize", levelled: true, apply: posterize},
		{Name: "rotate", levelled: true, signed: true, apply: rotate},
		{Name: "solarize", levelled: true, apply: solarize},
		{Name: "shear_x", levelled: true, signed: true, apply: func(p picture, level float64, negative bool) picture {
			return p.affine(1, signed(level*.3/10, negative), 0, 0, 1, 0)
		}},
		{Name: "shear_y", levelled: true, signed: true, apply: func(p picture, level float64, negative bool) picture {
			return p.affine(1, 0, 0, signed(level*.3/10, negative), 1, 0)
		}},
		{Name: "translate_x", levelled: true, signed: true, apply: func(p picture, level float64, negative bool) picture {
			return p.affine(1, 0, signed(whole(level, float64(p.w)/3), negative), 0, 1, 0)
		}},
		{Name: "translate_y", levelled: true, signed: true, apply: func(p picture, level float64, negative bool) picture {
			return p.affine(1, 0, 0, 0, 1, signed(whole(level, float64(p.h)/3), negative))
		}},
	}
}

// OperationsAll returns the nine of [Operations] and color, contrast, brightness and sharpness, which overlap with the
// corruptions of ImageNet-C: whoever trains with these must not call an error on ImageNet-C one under unseen
// corruptions. They are for images of one channel or three.
func OperationsAll() []Operation {
	return append(Operations(),
		Operation{Name: "color", levelled: true, coloured: true, apply: func(p picture, level float64, _ bool) picture {
			return p.blend(level*1.8/10+.1, func(at int) uint8 { return p.grey(at / p.c) })
		}},
		Operation{Name: "contrast", levelled: true, coloured: true, apply: contrast},
		Operation{Name: "brightness", levelled: true, coloured: true, apply: func(p picture, level float64, _ bool) picture {
			return p.blend(level*1.8/10+.1, func(int) uint8 { return 0 })
		}},
		Operation{Name: "sharpness", levelled: true, coloured: true, apply: sharpness},
	)
}

// Apply changes images, [N, H, W, C] float32 in 0..1 or uint8, by this operation alone, at levels drawn from 0.1 up to
// severity, which goes to 10. The result has 8 bits. Image i depends only on its pixels, severity, seed and i.
//
// Interrupted, it returns the images that are done beside the error; nil if none is.
func (o Operation) Apply(images *tensors.Tensor, severity float64, seed uint64) (*tensors.Tensor, error) {
	if o.apply == nil {
		return nil, fmt.Errorf("augment: this Operation is empty; Operations and OperationsAll have them")
	}
	if err := checkSeverity(severity); err != nil {
		return nil, err
	}
	b, err := pixels.Of("augment", images)
	if err != nil {
		return nil, err
	}
	if err := o.check(b.C); err != nil {
		return nil, err
	}
	return b.Each("augment: "+o.Name, func(i int) {
		image := b.Image(i)
		p := o.draw(rand.New(rand.NewPCG(seed, uint64(i))), severity).apply(eightBits(image, b.H, b.W, b.C))
		for j, v := range p.pix {
			image[j] = float32(v) / 255
		}
	})
}

func checkSeverity(severity float64) error {
	if !(severity > .1 && severity <= 10) {
		return fmt.Errorf("augment: the severity is %v, it lies between 0.1 and 10 (the paper's is 3)", severity)
	}
	return nil
}

func (o Operation) check(channels int) error {
	if o.coloured && channels != 1 && channels != 3 {
		return fmt.Errorf("augment: %s is for images of 1 channel or 3, not %d", o.Name, channels)
	}
	return nil
}

// step is an operation whose level and direction are drawn.
type step struct {
	Operation
	level    float64
	negative bool
}

func (o Operation) draw(r *rand.Rand, severity float64) step {
	s := step{Operation: o}
	if o.levelled {
		s.level = .1 + (severity-.1)*r.Float64()
	}
	if o.signed {
		s.negative = r.Float64() > .5
	}
	return s
}

func (s step) apply(p picture) picture { return s.Operation.apply(p, s.level, s.negative) }

// whole is the parameter of a level between 0 and 10, as a whole number.
func whole(level, most float64) float64 { return math.Trunc(level * most / 10) }

func signed(v float64, negative bool) float64 {
	if negative {
		return -v
	}
	return v
}

// autocontrast spreads each channel's values to 0..255.
func autocontrast(p picture, _ float64, _ bool) picture {
	for ch := range p.c {
		low, high := 255, 0
		for v, n := range p.histogram(ch) {
			if n > 0 {
				low, high = min(low, v), max(high, v)
			}
		}
		if high <= low {
			continue
		}
		var table [256]uint8
		scale := 255 / float64(high-low)
		offset := -float64(low) * scale
		for v := range table {
			table[v] = uint8(min(max(math.Trunc(float64(float64(v)*scale)+offset), 0), 255))
		}
		p.look(ch, &table)
	}
	return p
}

// equalize makes the values of each channel about equally frequent.
func equalize(p picture, _ float64, _ bool) picture {
	for ch := range p.c {
		counts := p.histogram(ch)
		last, kinds := 0, 0
		for _, n := range counts {
			if n > 0 {
				last, kinds = n, kinds+1
			}
		}
		each := (p.h*p.w - last) / 255
		if kinds <= 1 || each == 0 {
			continue
		}
		var table [256]uint8
		below := each / 2
		for v, n := range counts {
			table[v] = uint8(min(below/each, 255))
			below += n
		}
		p.look(ch, &table)
	}
	return p
}

// posterize keeps the upper 4 bits or fewer.
func posterize(p picture, level float64, _ bool) picture {
	bits := 4 - int(whole(level, 4))
	mask := uint8(0xff << (8 - bits))
	for i := range p.pix {
		p.pix[i] &= mask
	}
	return p
}

// solarize inverts values from a threshold on.
func solarize(p picture, level float64, _ bool) picture {
	from := 256 - int(whole(level, 256))
	for i, v := range p.pix {
		if int(v) >= from {
			p.pix[i] = 255 - v
		}
	}
	return p
}

// rotate turns by whole degrees about the centre, up to 30.
func rotate(p picture, level float64, negative bool) picture {
	degrees := signed(whole(level, 30), negative)
	if degrees == 0 {
		return p
	}
	sin, cos := math.Sincos(-degrees * math.Pi / 180)
	x, y := float64(p.w)/2, float64(p.h)/2
	return p.affine(cos, sin, x-cos*x-sin*y, -sin, cos, y+sin*x-cos*y)
}

// contrast goes from the mean grey of the image to it and beyond.
func contrast(p picture, level float64, _ bool) picture {
	sum, n := 0, p.h*p.w
	for i := range n {
		sum += int(p.grey(i))
	}
	mean := uint8(float64(sum)/float64(n) + .5)
	return p.blend(level*1.8/10+.1, func(int) uint8 { return mean })
}

// sharpness goes from a smoothed image, whose border is that of the image, to it and beyond.
func sharpness(p picture, level float64, _ bool) picture {
	row := p.w * p.c
	return p.blend(level*1.8/10+.1, func(at int) uint8 {
		if y, x := at/row, at/p.c%p.w; y == 0 || x == 0 || y == p.h-1 || x == p.w-1 {
			return p.pix[at]
		}
		sum := 4 * int(p.pix[at])
		for dy := -row; dy <= row; dy += row {
			for dx := -p.c; dx <= p.c; dx += p.c {
				sum += int(p.pix[at+dy+dx])
			}
		}
		return uint8((2*sum + 13) / 26) // of weights 1 and, in the middle, 5
	})
}
