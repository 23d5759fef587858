package background

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
)

// Placement makes subjects of things on black, such as garments or digits: each comes in a size of its own to a place
// of its own in a larger image, so that where it lies says nothing. Its mask is exact.
type Placement struct {
	Height, Width int // of the images, in pixels
	// Scale is the least and the greatest size of a thing's image, as a share of the largest that fits, more than 0 and
	// at most 1; the size is drawn uniformly between them. The zero value is 1 to 1.
	Scale [2]float64
	// Level is what a thing is at least, in one of its channels, 0..1: what is darker is the black around it.
	Level float64
	Seed  uint64
}

// Of returns the subjects on black, [N, Height, Width, C], with their masks, 1 where the subject is, and their labels.
// It is an error if an image has no label or nothing in it, as in a size that is too small. Interrupted, it returns
// those that are done beside the error.
func (p Placement) Of(things *data.Dataset) (Subjects, error) {
	none := Subjects{}
	if p.Scale == [2]float64{} {
		p.Scale = [2]float64{1, 1}
	}
	switch {
	case things == nil || things.Len() == 0:
		return none, fmt.Errorf("background: there is nothing to place")
	case p.Height < 1 || p.Width < 1:
		return none, fmt.Errorf("background: images of %d x %d pixels", p.Height, p.Width)
	case !(p.Scale[0] > 0 && p.Scale[0] <= p.Scale[1] && p.Scale[1] <= 1):
		return none, fmt.Errorf("background: things of %v to %v of the largest size: it is more than 0 and at most 1",
			p.Scale[0], p.Scale[1])
	case !(p.Level > 0 && p.Level <= 1):
		return none, fmt.Errorf("background: things from the level %v on: it is more than 0 and at most 1", p.Level)
	}
	labels := things.Labels()
	for i, label := range labels {
		if label < 0 {
			return none, fmt.Errorf("background: %s has no label: composed images have known classes", things.Name(i))
		}
	}
	first, err := things.Image(0)
	if err != nil {
		return none, err
	}
	n, c, area := things.Len(), first.Channels, p.Height*p.Width
	pixels, masks := make([]float32, n*area*c), make([]int32, n*area)
	done, err := parallel.Each("background: placing", n, func(i int) error {
		thing, err := things.Image(i)
		if err != nil {
			return err
		}
		if thing.Channels != c {
			return fmt.Errorf("background: %s has %d channels and %s has %d", things.Name(0), c, things.Name(i), thing.Channels)
		}
		rng := rand.New(rand.NewPCG(p.Seed, uint64(i)<<8|4))
		share := p.Scale[0] + (p.Scale[1]-p.Scale[0])*rng.Float64()
		share *= min(float64(p.Height)/float64(thing.Height), float64(p.Width)/float64(thing.Width))
		h, w := int(math.Round(share*float64(thing.Height))), int(math.Round(share*float64(thing.Width)))
		if h < 1 || w < 1 {
			return fmt.Errorf("background: nothing is left of %s in %d x %d pixels", things.Name(i), h, w)
		}
		if thing, err = data.Resize(h, w).Apply(thing); err != nil {
			return err
		}
		top, left := rng.IntN(p.Height-h+1), rng.IntN(p.Width-w+1)
		some := false
		for q := range h * w {
			at := i*area + (top+q/w)*p.Width + left + q%w
			for ch, v := range thing.Pix[q*c : (q+1)*c] {
				pixels[at*c+ch] = v
				if float64(v) >= p.Level {
					masks[at], some = 1, true
				}
			}
		}
		if !some {
			return fmt.Errorf("background: nothing of %s reaches the level %v", things.Name(i), p.Level)
		}
		return nil
	})
	if done == 0 || err != nil && !interrupt.Is(err) {
		return none, err
	}
	return Subjects{
		Images: tensors.FromFlatDataAndDimensions(pixels[:done*area*c], done, p.Height, p.Width, c),
		Masks:  tensors.FromFlatDataAndDimensions(masks[:done*area], done, p.Height, p.Width), Labels: labels[:done],
	}, err
}

// Pieces are places cut out of photographs, each of a kind of its own: count pieces of height x width pixels of every
// photograph, from anywhere in it, drawn uniformly. The kind is the photograph's number. It is an error if one is
// smaller than a piece or has other channels than the first.
func Pieces(photographs *data.Dataset, height, width, count int, seed uint64) (Places, error) {
	none := Places{}
	switch {
	case photographs == nil || photographs.Len() == 0:
		return none, fmt.Errorf("background: pieces of no photographs")
	case height < 1 || width < 1 || count < 1:
		return none, fmt.Errorf("background: %d pieces of %d x %d pixels", count, height, width)
	}
	rng := rand.New(rand.NewPCG(seed, 5))
	var pixels []float32
	var kinds []int
	channels := 0
	for kind := range photographs.Len() {
		photo, err := photographs.Image(kind)
		if err != nil {
			return none, err
		}
		if kind == 0 {
			channels = photo.Channels
		}
		if photo.Height < height || photo.Width < width || photo.Channels != channels {
			return none, fmt.Errorf("background: %s is %d x %d x %d: pieces of it are to be %d x %d x %d",
				photographs.Name(kind), photo.Height, photo.Width, photo.Channels, height, width, channels)
		}
		for range count {
			top, left := rng.IntN(photo.Height-height+1), rng.IntN(photo.Width-width+1)
			for y := top; y < top+height; y++ {
				at := (y*photo.Width + left) * channels
				pixels = append(pixels, photo.Pix[at:at+width*channels]...)
			}
			kinds = append(kinds, kind)
		}
	}
	return Places{tensors.FromFlatDataAndDimensions(pixels, len(kinds), height, width, channels), kinds}, nil
}

// Bundle shows the first subjects.
func (s Subjects) Bundle() mime.Bundle { return display.Shown(sheet(s.Images)) }

// Bundle shows the first places.
func (p Places) Bundle() mime.Bundle { return display.Shown(sheet(p.Images)) }

// sheet is a grid of the first of images.
func sheet(images *tensors.Tensor) (display.Grid, error) {
	if images == nil || images.Rank() != 4 {
		return display.Grid{}, fmt.Errorf("background: there are no images to show")
	}
	n := min(images.Shape().Dimensions[0], 20)
	first, err := rows.Take(images, 0, n, n)
	if err != nil {
		return display.Grid{}, fmt.Errorf("background: %w", err)
	}
	return display.Gallery(first), nil
}
