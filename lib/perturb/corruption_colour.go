package perturb

import (
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/loupeml/loupe/lib/internal/pixels"
)

// brightness adds to the value of hue, saturation and value. Hue and saturation depend on
// ratios of the channels only, so the channels are scaled together; black has none and becomes grey.
func brightness(p picture, plus float32, _ chance) {
	for at := 0; at < len(p.pix); at += p.c {
		pixel := p.pix[at : at+p.c]
		value := pixel[0]
		for _, v := range pixel[1:] {
			value = max(value, v)
		}
		brighter := min(value+plus, 1)
		for i := range pixel {
			if value > 0 {
				pixel[i] *= brighter / value
			} else {
				pixel[i] = brighter
			}
		}
	}
}

// dye makes of a saturation s the saturation times·s + plus.
type dye struct{ times, plus float32 }

// saturate changes the saturation of hue, saturation and value: how far the channels lie below the largest. Grey has
// the hue of red, as in scikit-image, and an image of one channel no hue: it stays.
func saturate(p picture, d dye, _ chance) {
	if p.c != 3 {
		return
	}
	for at := 0; at < len(p.pix); at += 3 {
		pixel := p.pix[at : at+3]
		value, least := max(pixel[0], pixel[1], pixel[2]), min(pixel[0], pixel[1], pixel[2])
		if value <= 0 {
			continue
		}
		saturation := (value - least) / value
		changed := min(max(saturation*d.times+d.plus, 0), 1)
		if saturation == 0 {
			pixel[1], pixel[2] = value*(1-changed), value*(1-changed)
			continue
		}
		for i, v := range pixel {
			pixel[i] = value - (value-v)*changed/saturation
		}
	}
}

// contrast draws every channel towards its mean over the image.
func contrast(p picture, keep float64, _ chance) {
	row, release := pixels.Scratch[float32](p.w * p.c)
	defer release()
	clear(row)
	for y := range p.h {
		add(row, p.row(y), 1)
	}
	means := make([]float64, p.c)
	for i, v := range row {
		means[i%p.c] += float64(v)
	}
	for i := range row {
		row[i] = float32(means[i%p.c] / float64(p.h*p.w) * (1 - keep)) // what is added to what is kept
	}
	blas32.Scal(float32(keep), blas32.Vector{N: len(p.pix), Inc: 1, Data: p.pix})
	for y := range p.h {
		add(p.row(y), row, 1)
	}
}

// grey is the luma of a colour.
func grey(red, green, blue float32) float32 { return .299*red + .587*green + .114*blue }

// eightBits rounds a value in 0..1 to 8 bits.
func eightBits(v float32) uint8 { return uint8(int32(pixels.Clamped(v)*255 + .5)) }
