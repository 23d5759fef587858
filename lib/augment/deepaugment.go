package augment

import (
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/pixels"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// DeepAugment sends images through a network that gives its images back, and whose weights and code are distorted
// (Hendrycks et al., "The Many Faces of Robustness", ICCV 2021). What comes out still shows the thing, in colours,
// textures and blurs that no corruption has.
//
// The authors take two networks that were trained on other images, a compressive autoencoder and the super-resolution
// network EDSR. Here the network is an [Autoencoder] of one's own, by [TrainAutoencoder], and the distortions are those
// of their program for the autoencoder; [EDSRDistortions] has those of the other. Of its 128 filters it takes 12, or
// 25; here it is the same share. It draws new weights for one image in twenty, here each image has its own, and its
// code is binary, which here it is not.
type DeepAugment struct {
	Network *Autoencoder
	// Distortions are what is drawn from for each image: one of those of weights, and one of those of the code. Nil
	// means all that the released program for the autoencoder draws from.
	Distortions []Distortion
	// Released distorts as the released program does, with the two slips in it: where it flips filters it leaves the
	// second layer as it is, and where it multiplies by noise none becomes less.
	Released bool
}

// Apply returns what the distorted network makes of images, [N, H, W, C] float32 in 0..1 or uint8, cut to 0..1. Image i
// depends only on its pixels, d, seed and i. It returns an error for another number of channels than the network was
// trained on.
//
// Interrupted, it returns the images that are done beside the error; nil if none is.
func (d DeepAugment) Apply(images *tensors.Tensor, seed uint64) (*tensors.Tensor, error) {
	b, err := d.open(images)
	if err != nil {
		return nil, err
	}
	var ofWeights, ofCode []Distortion
	all := d.Distortions
	if all == nil {
		all = append(WeightDistortions()[:8], CodeDistortions()...)
	}
	for _, one := range all {
		switch {
		case one.weights != nil:
			ofWeights = append(ofWeights, one)
		case one.code != nil:
			ofCode = append(ofCode, one)
		default:
			return nil, fmt.Errorf(
				"augment: a distortion is empty; WeightDistortions, CodeDistortions and EDSRDistortions have them")
		}
	}
	return d.Network.each(b, func(i int, layers []*layer) func(*code) {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		if len(ofWeights) > 0 {
			one := ofWeights[r.IntN(len(ofWeights))]
			from := distortedLayers
			if one.residual {
				from = residualLayers
			}
			first, second := from[r.IntN(len(from))], from[r.IntN(len(from))]
			layers[first] = layers[first].clone()
			if second != first {
				layers[second] = layers[second].clone()
			}
			one.weights(layers[first], layers[second], r, d.Released)
		}
		return func(c *code) {
			if len(ofCode) > 0 {
				ofCode[r.IntN(len(ofCode))].code(c, r, d.Released)
			}
		}
	})
}

func (d DeepAugment) open(images *tensors.Tensor) (pixels.Batch, error) {
	if d.Network == nil {
		return pixels.Batch{}, fmt.Errorf("augment: DeepAugment needs a network to distort: TrainAutoencoder makes one")
	}
	return d.Network.open(images)
}

func (a *Autoencoder) open(images *tensors.Tensor) (pixels.Batch, error) {
	b, err := pixels.Of("augment", images)
	if err == nil && b.C != a.channels {
		err = fmt.Errorf("augment: the autoencoder is for images of %d channels, not %d", a.channels, b.C)
	}
	return b, err
}

// Reconstruct returns what the network, in order, makes of images, cut to 0..1.
//
// Interrupted, it returns the images that are done beside the error; nil if none is.
func (a *Autoencoder) Reconstruct(images *tensors.Tensor) (*tensors.Tensor, error) {
	b, err := a.open(images)
	if err != nil {
		return nil, err
	}
	return a.each(b, func(int, []*layer) func(*code) { return func(*code) {} })
}

// each sends the images of a batch through the network, one after the other. distort may put other layers in the places
// of a's, and returns what to do with the code.
func (a *Autoencoder) each(b pixels.Batch, distort func(i int, layers []*layer) func(*code)) (*tensors.Tensor, error) {
	programs, err := a.programsFor(b.H, b.W)
	if err != nil {
		return nil, err
	}
	const work = "augment: DeepAugment"
	bar := progress.New(work, b.N)
	defer bar.Close()
	done := 0
	var stopped error
	for ; done < b.N; done++ {
		if stopped = interrupt.Err(); stopped != nil {
			stopped = interrupt.After(stopped, work, done, b.N, "images")
			break
		}
		layers := append([]*layer(nil), a.layers...)
		ofCode := distort(done, layers)
		var weights []any
		for _, l := range layers {
			weights = append(weights, l.weightTensor(), l.biasTensor())
		}
		image := b.Image(done)
		out, err := programs.encoder.Call(append([]any{tensors.FromFlatDataAndDimensions(image, 1, b.H, b.W, b.C)},
			weights...)...)
		if err != nil {
			return nil, fmt.Errorf("augment: %w", err)
		}
		dims := out[0].Shape().Dimensions
		flat, err := tensors.CopyFlatData[float32](out[0])
		if err != nil {
			return nil, fmt.Errorf("augment: %w", err)
		}
		ofCode(&code{flat, dims[1], dims[2], dims[3]})
		if out, err = programs.decoder.Call(append([]any{tensors.FromFlatDataAndDimensions(flat, dims...)},
			weights...)...); err != nil {
			return nil, fmt.Errorf("augment: %w", err)
		}
		if flat, err = tensors.CopyFlatData[float32](out[0]); err != nil {
			return nil, fmt.Errorf("augment: %w", err)
		}
		for j, v := range flat {
			image[j] = min(max(v, 0), 1)
		}
		bar.Add(1)
	}
	if done == 0 {
		return nil, stopped
	}
	b.N, b.Data = done, b.Data[:done*b.H*b.W*b.C]
	return b.Tensor(), stopped
}

// halves are the compiled encoder and decoder.
type halves struct{ encoder, decoder *model.Program }

// programsFor returns the two halves of the network for images of one size.
func (a *Autoencoder) programsFor(h, w int) (halves, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if both, ok := a.programs[[2]int{h, w}]; ok {
		return both, nil
	}
	var both halves
	var err error
	if both.encoder, err = model.NewExec(func(in []*graph.Node) *graph.Node { return encode(in[0], in[1:]) }); err != nil {
		return both, err
	}
	if both.decoder, err = model.NewExec(func(in []*graph.Node) *graph.Node {
		return decode(in[0], in[1:],
			[]int{1, h, w})
	}); err != nil {
		return both, err
	}
	if a.programs == nil {
		a.programs = map[[2]int]halves{}
	}
	a.programs[[2]int{h, w}] = both
	return both, nil
}
