package parts

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
)

// Scenes are composed images of which it is known what besides the shape tells the class: things on black, such as
// digits, get a piece of a photograph behind them and one that fills them, and class k mostly has photographs of its
// own for that. With K classes there are 2K photographs: k is that behind class k, and K+k the one that fills it.
// Backgrounds are darkened to 0..0.5, and what fills is brightened to 0.5..1, so that the shape can be seen.
type Scenes struct {
	// with as many channels as the images and at least of their size; two for each class, more are left
	Photos *data.Dataset
	// Background and Fill are how often an image has the photograph of its class behind it, and in it, from 0 to 1; else
	// it has another class's, each equally often. 0 always has another class's.
	Background, Fill float64
	Level            float64 // what is brighter belongs to the thing, see [Halves]
	Seed             uint64  // of the photographs and of the places in them
}

// Scene is what [Scenes] makes: images [N, H, W, C] float32 in 0..1, a label for each, and masks [N, H, W] int32 with
// the halves of the thing as parts, 2k+1 and 2k+2 of class k.
type Scene struct {
	Images, Masks *tensors.Tensor
	Labels        []int
	Behind, Fills []int // the class whose photograph is behind the thing, and that whose photograph fills it
}

// Data is what part models learn from: see [Data].
func (s *Scene) Data(classes int) (*learn.Tensors, error) {
	return Data(s.Images, s.Labels, s.Masks, 2*classes)
}

// Bundle shows the first scenes, and below them their parts.
func (s *Scene) Bundle() mime.Bundle { return display.Shown(s.grid()) }

func (s *Scene) grid() (display.Grid, error) {
	if s == nil || s.Images == nil || s.Masks == nil {
		return display.Grid{}, fmt.Errorf("parts: there is no scene to show")
	}
	masks, err := masksOf(s.Images, s.Masks)
	if err != nil {
		return display.Grid{}, err
	}
	coloured, err := Coloured(s.Images, s.Masks, max(int(slices.Max(masks)), 1))
	if err != nil {
		return display.Grid{}, err
	}
	return rowsOf([]string{"images", "parts"}, s.Images, coloured)
}

// Of composes scenes of a dataset's images of things on black.
func (s Scenes) Of(things *data.Dataset) (*Scene, error) {
	if things == nil || s.Photos == nil {
		return nil, fmt.Errorf("parts: scenes are made of things and photographs, and one of them is nil")
	}
	classes := len(things.Classes())
	if classes < 2 || s.Photos.Len() < 2*classes {
		return nil, fmt.Errorf(
			"parts: scenes of %d classes take two photographs for each, of two classes at least, and there are %d", classes,
			s.Photos.Len())
	}
	if !(s.Background >= 0 && s.Background <= 1 && s.Fill >= 0 && s.Fill <= 1) {
		return nil, fmt.Errorf("parts: scenes that have their own photograph in %v and %v of all cases: these are in 0..1",
			s.Background, s.Fill)
	}
	images, err := things.All()
	if err != nil {
		return nil, err
	}
	scene := &Scene{Labels: things.Labels()}
	if scene.Masks, err = Halves(images, scene.Labels, s.Level); err != nil {
		return nil, err
	}
	photos := make([]data.Image, 2*classes)
	for i := range photos {
		if photos[i], err = s.Photos.Image(i); err != nil {
			return nil, err
		}
	}
	rng := rand.New(rand.NewPCG(s.Seed, 19))
	d := images.Shape().Dimensions
	pieces := func(own float64, from int, low float32, of *[]int) (*tensors.Tensor, error) {
		flat := make([]float32, 0, images.Size())
		for _, label := range scene.Labels {
			if rng.Float64() >= own {
				label = (label + 1 + rng.IntN(classes-1)) % classes
			}
			*of = append(*of, label)
			p := photos[from+label]
			if p.Height < d[1] || p.Width < d[2] || p.Channels != d[3] {
				return nil, fmt.Errorf("parts: photograph %d is %d x %d x %d: pieces of it are to be %v", from+label, p.Height,
					p.Width, p.Channels, d[1:])
			}
			top, left := rng.IntN(p.Height-d[1]+1), rng.IntN(p.Width-d[2]+1)
			for y := range d[1] {
				at := ((top+y)*p.Width + left) * d[3]
				for _, v := range p.Pix[at : at+d[2]*d[3]] {
					flat = append(flat, low+v/2)
				}
			}
		}
		return tensors.FromFlatDataAndDimensions(flat, d...), nil
	}
	behind, err := pieces(s.Background, 0, 0, &scene.Behind)
	if err != nil {
		return nil, err
	}
	within, err := pieces(s.Fill, classes, 0.5, &scene.Fills)
	if err != nil {
		return nil, err
	}
	if images, err = Filled(images, scene.Masks, within); err != nil {
		return nil, err
	}
	scene.Images, err = OnBackgrounds(images, scene.Masks, behind)
	return scene, err
}

// ShapeBias is how often a prediction is the class of the shape, of those that are its class or that of the texture,
// which is another: Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR 2019. Predictions of
// neither, and images whose texture is of their shape's class, do not count.
func ShapeBias(predicted, shape, texture []int) (stats.Accuracy, error) {
	var a stats.Accuracy
	if len(predicted) != len(shape) || len(texture) != len(shape) {
		return a, fmt.Errorf("parts: %d predictions of %d shapes with %d textures", len(predicted), len(shape), len(texture))
	}
	for i, p := range predicted {
		if shape[i] == texture[i] || p != shape[i] && p != texture[i] {
			continue
		}
		if a.Total++; p == shape[i] {
			a.Correct++
		}
	}
	if a.Total == 0 {
		return a, fmt.Errorf("parts: of %d predictions none is of the shape or of a texture that is another class's",
			len(predicted))
	}
	return a, nil
}
