// Package learn trains networks: a [Recipe] turns a model and labelled images into the same network with other weights,
// and a [Run] trains several networks by any loss.
package learn

import (
	"fmt"
	"math"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
)

// Recipe says how a network is trained: by stochastic gradient descent on the cross entropy, on batches of shuffled
// images. The zero Recipe is not valid; start from [Default] and change what is to be different.
type Recipe struct {
	// Epochs is how often training sees every image.
	Epochs int
	// BatchSize is how many images a step averages over. Those that do not fill a last batch are left out of their
	// epoch.
	BatchSize int
	// LearningRate is the step's size at first, and Schedule what becomes of it; nil keeps it.
	LearningRate float64
	Schedule     Schedule
	// Momentum μ keeps a running sum of gradients v ← μv + g, along which the step goes; with Nesterov along μv + g. As
	// in PyTorch's SGD, the learning rate is no part of v.
	Momentum float64
	Nesterov bool
	// WeightDecay adds this much of each weight to its gradient.
	WeightDecay float64
	// Adam steps by Adam (Kingma and Ba, ICLR 2015; β 0.9 and 0.999) instead, which transformers want: Momentum and
	// Nesterov must be 0 and false, and WeightDecay goes beside the gradient and not through it (Loshchilov and Hutter,
	// ICLR 2019).
	Adam bool
	// Seed is that of the order of the images and of what else is drawn. On one machine the same seed, images and
	// initial weights give the same weights again, to the bit.
	Seed uint64
	// LabelSmoothing is the share of each label that is spread over all classes alike, from 0, none, to less than 1:
	// 0.1 is usual (Szegedy et al., CVPR 2016, section 7).
	LabelSmoothing float64
	// InputDropout is the share of an image's pixels that are replaced by the mean of the model's normalisation in each
	// step, all channels together, those that stay as they are: 0.2 is the paper's keep probability 0.8 (Carter et al.,
	// NeurIPS 2021). It works in training only.
	InputDropout float64
	// Augment changes a step's images, [B, H, W, C] in 0..1, before the network gets them; nil leaves them. uniform
	// draws numbers from 0 to less than 1, float32, of a shape, new ones in each step. It works in training only.
	Augment func(images *graph.Node, uniform func(dims ...int) *graph.Node) *graph.Node
	// Adversarial makes a step's images worse, after all else, before the network learns from them; the zero value
	// leaves them.
	Adversarial Adversarial
	// AugMix learns from mixtures beside the images, before all else that is done to them; nil is none, and
	// &learn.AugMix{} the paper's.
	AugMix *AugMix
	// Trainable says by their names which weights change; nil means all. Statistics of batch normalisation whose
	// weights do not change stay too.
	Trainable func(weight string) bool
}

// Default is a recipe for small networks: 5 epochs, batches of 128, Nesterov momentum 0.9, learning rate 0.05 down to 0
// by a cosine, weight decay 5e-4.
var Default = Recipe{Epochs: 5, BatchSize: 128, LearningRate: 0.05, Schedule: Cosine, Momentum: 0.9, Nesterov: true,
	WeightDecay: 5e-4}

// DefaultViT is a recipe for small vision transformers: 10 epochs, batches of 64, Adam, learning rate 0.002 down to 0
// by a cosine after a rise over a tenth of the steps, weight decay 0.01.
var DefaultViT = Recipe{Epochs: 10, BatchSize: 64, LearningRate: 0.002, Schedule: WarmUp(0.1, Cosine), Adam: true,
	WeightDecay: 0.01}

// Only makes a Trainable of the beginnings of names: Only("linear.") trains a head.
func Only(prefixes ...string) func(weight string) bool {
	return func(weight string) bool {
		for _, p := range prefixes {
			if strings.HasPrefix(weight, p) {
				return true
			}
		}
		return false
	}
}

func (r Recipe) check(images int) error {
	switch {
	case r.Epochs < 1:
		return fmt.Errorf("learn: a recipe of %d epochs: training takes at least one (learn.Default has %d)", r.Epochs,
			Default.Epochs)
	case r.BatchSize < 1:
		return fmt.Errorf("learn: batches of %d images: take at least one (learn.Default has %d)", r.BatchSize,
			Default.BatchSize)
	case r.BatchSize > images:
		return fmt.Errorf("learn: batches of %d from %d images: make BatchSize smaller", r.BatchSize, images)
	case !(r.LearningRate > 0) || math.IsInf(r.LearningRate, 0):
		return fmt.Errorf("learn: the learning rate is %v, it is positive (learn.Default has %v)", r.LearningRate,
			Default.LearningRate)
	case !(r.Momentum >= 0 && r.Momentum < 1):
		return fmt.Errorf("learn: the momentum is %v, it lies between 0 and 1", r.Momentum)
	case r.Adam && (r.Momentum != 0 || r.Nesterov):
		return fmt.Errorf("learn: Adam has moments of its own: leave Momentum and Nesterov out (learn.DefaultViT does)")
	case r.Nesterov && r.Momentum == 0:
		return fmt.Errorf("learn: Nesterov's step needs a momentum")
	case !(r.WeightDecay >= 0) || math.IsInf(r.WeightDecay, 0):
		return fmt.Errorf("learn: the weight decay is %v, it is not negative", r.WeightDecay)
	case !(r.LabelSmoothing >= 0 && r.LabelSmoothing < 1):
		return fmt.Errorf(
			"learn: the label smoothing is %v, it is the share of a label given to all classes, from 0 to less than 1",
			r.LabelSmoothing)
	case !(r.InputDropout >= 0 && r.InputDropout < 1):
		return fmt.Errorf("learn: the input dropout is %v, it is the share of pixels taken away, from 0 to less than 1",
			r.InputDropout)
	}
	return r.Adversarial.check()
}
