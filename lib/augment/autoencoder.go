package augment

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	gomlx "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/internal/pixels"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/progress"
)

// Autoencoder is a small convolutional network that gives back the images that it gets. [DeepAugment] puts it out of
// order. It is made like the compressive autoencoder that the authors of DeepAugment took (Theis et al., ICLR 2017),
// and smaller: an encoder to a code of half the height and width, a residual block before the code and two behind it,
// and a decoder whose last step but one makes four pixels of one. It takes images of any size.
type Autoencoder struct {
	// RMSE is the root of the mean square error that training ended with, over its last tenth, in units of 0..1.
	RMSE float64

	channels int
	layers   []*layer // in the order of layerNames

	mu       sync.Mutex // guards programs
	programs map[[2]int]halves
}

const (
	encoderWidth = 32 // channels
	codeWidth    = 16
	lastWidth    = 16
	cropSide     = 48 // longest side that is trained on
	highestRate  = .004
)

// layerNames are the convolutions of an Autoencoder, in the order of computation.
var layerNames = []string{"in", "block1.1", "block1.2", "code", "up", "block2.1", "block2.2", "block3.1", "block3.2",
	"enlarge", "out"}

// The distorted layers lie about the code, as in the authors' program, and the residual ones behind it.
var (
	distortedLayers = []int{3, 4, 5, 6, 7}
	residualLayers  = []int{5, 6, 7, 8}
)

// layerChannels are the input and output channels of a layer.
func layerChannels(name string, channels int) (in, out int) {
	switch name {
	case "in":
		return channels, encoderWidth
	case "code":
		return encoderWidth, codeWidth
	case "up":
		return codeWidth, encoderWidth
	case "enlarge":
		return encoderWidth, 4 * lastWidth
	case "out":
		return lastWidth, channels
	}
	return encoderWidth, encoderWidth
}

// TrainAutoencoder trains an [Autoencoder] on images, [N, H, W, C] float32 in 0..1 or uint8, to the least square error,
// by Adam on batches of 16: of images that are longer or wider than 48 pixels on crops of that size. 0 steps means 800,
// which takes about a minute on two processors. Labels are not needed. On one machine the same images, steps and seed
// give the same network.
//
// Interrupted, it returns the network as it is after the last step beside the error.
//
// Its loop is no learn.Run, because package learn, which has AugMix in its recipes, stands on this one.
func TrainAutoencoder(images *tensors.Tensor, steps int, seed uint64) (*Autoencoder, error) {
	b, err := pixels.Of("augment", images)
	if err != nil {
		return nil, err
	}
	if steps == 0 {
		steps = 800
	}
	if steps < 0 {
		return nil, fmt.Errorf("augment: an autoencoder is trained in %d steps: it takes at least one, and 0 means 800",
			steps)
	}
	if b.H < 2 || b.W < 2 {
		return nil, fmt.Errorf("augment: the autoencoder is for images of 2 x 2 pixels or more, not %d x %d", b.H, b.W)
	}
	const batch = 16
	rng := rand.New(rand.NewPCG(seed, 0))
	a := newAutoencoder(b.C, rng)
	backend, err := backend.Get()
	if err != nil {
		return nil, err
	}
	store := gomlx.NewStore()
	for i, l := range a.layers {
		store.RootScope().VariableWithValue(layerNames[i]+".weight", l.weightTensor())
		store.RootScope().VariableWithValue(layerNames[i]+".bias", l.biasTensor())
	}
	trainer := train.NewTrainer(backend, store, func(scope *gomlx.Scope, in []*graph.Node) *graph.Node {
		var nodes []*graph.Node
		for _, name := range layerNames {
			nodes = append(nodes, scope.GetVariable(name+".weight").NodeValue(in[0].Graph()),
				scope.GetVariable(name+".bias").NodeValue(in[0].Graph()))
		}
		return decode(encode(in[0], nodes), nodes, in[0].Shape().Dimensions)
	}, loss.MeanSquaredError, optimizer.Adam().LearningRate(highestRate).Done(), nil, nil)
	rate := optimizer.LearningRateVar(store.RootScope(), dtypes.Float32, highestRate)

	h, w := min(b.H, cropSide), min(b.W, cropSide)
	bar := progress.New("training the autoencoder", steps)
	defer bar.Close()
	var stopped error
	var square, counted float64
	for step := range steps {
		if stopped = interrupt.Err(); stopped != nil {
			stopped = interrupt.After(stopped, "augment: training an autoencoder", step, steps, "steps")
			break
		}
		if err := rate.SetValue(
			tensors.FromScalar(float32(highestRate / 2 * (1 + math.Cos(math.Pi*float64(step)/float64(steps)))))); err != nil {
			return nil, fmt.Errorf("augment: %w", err)
		}
		flat := make([]float32, 0, batch*h*w*b.C)
		for range batch {
			image := b.Image(rng.IntN(b.N))
			top, left := rng.IntN(b.H-h+1), rng.IntN(b.W-w+1)
			for y := top; y < top+h; y++ {
				flat = append(flat, image[(y*b.W+left)*b.C:(y*b.W+left+w)*b.C]...)
			}
		}
		x := tensors.FromFlatDataAndDimensions(flat, batch, h, w, b.C)
		y := tensors.FromFlatDataAndDimensions(slices.Clone(flat), batch, h, w, b.C)
		metrics, err := trainer.TrainStep(train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{y}})
		if err != nil {
			return nil, fmt.Errorf("augment: %w", err)
		}
		if step >= steps-max(1, steps/10) {
			square, counted = square+float64(tensors.ToScalar[float32](metrics[0])), counted+1
		}
		bar.Add(1)
	}
	a.RMSE = math.NaN() // unless it comes to the end
	if stopped == nil {
		a.RMSE = math.Sqrt(square / counted)
	}
	for i, l := range a.layers {
		for name, into := range map[string]*[]float32{".weight": &l.weights, ".bias": &l.bias} {
			value, err := store.RootScope().GetVariable(layerNames[i] + name).Value()
			if err != nil {
				return nil, fmt.Errorf("augment: %w", err)
			}
			if *into, err = tensors.CopyFlatData[float32](value); err != nil {
				return nil, fmt.Errorf("augment: %w", err)
			}
		}
	}
	return a, stopped
}

// newAutoencoder has random weights: normal with variance 2/fan-in (He et al., ICCV 2015), and residual blocks that
// begin small.
func newAutoencoder(channels int, rng *rand.Rand) *Autoencoder {
	a := &Autoencoder{channels: channels}
	for _, name := range layerNames {
		in, out := layerChannels(name, channels)
		l := &layer{out: out, in: in, k: 3, weights: make([]float32, out*in*9), bias: make([]float32, out)}
		deviation := math.Sqrt(2 / float64(9*in))
		if name == "block1.2" || name == "block2.2" || name == "block3.2" {
			deviation /= 4
		}
		for i := range l.weights {
			l.weights[i] = float32(rng.NormFloat64() * deviation)
		}
		a.layers = append(a.layers, l)
	}
	return a
}

func (l *layer) weightTensor() *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(slices.Clone(l.weights), l.out, l.in, l.k, l.k)
}

func (l *layer) biasTensor() *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(slices.Clone(l.bias), l.out)
}

// clone is a copy to distort.
func (l *layer) clone() *layer {
	return &layer{l.out, l.in, l.k, slices.Clone(l.weights), slices.Clone(l.bias)}
}

// convolve is the convolution of a layer; nodes are the weights and biases of all.
func convolve(nodes []*graph.Node, at int, x *graph.Node, stride int) *graph.Node {
	kernel := graph.TransposeAllAxes(nodes[2*at], 2, 3, 1, 0)
	x = graph.Convolve(x, kernel).Strides(stride).PadSame().Done()
	return graph.Add(x, graph.Reshape(nodes[2*at+1], 1, 1, 1, nodes[2*at+1].Shape().Size()))
}

func leaky(x *graph.Node) *graph.Node { return graph.Max(x, graph.MulScalar(x, .01)) }

func residual(nodes []*graph.Node, at int, x *graph.Node) *graph.Node {
	return graph.Add(x, convolve(nodes, at+1, leaky(convolve(nodes, at, x, 1)), 1))
}

// encode makes the code, [N, ⌈H/2⌉, ⌈W/2⌉, codeWidth] in -1..1.
func encode(x *graph.Node, nodes []*graph.Node) *graph.Node {
	x = residual(nodes, 1, leaky(convolve(nodes, 0, graph.AddScalar(x, -.5), 2)))
	return graph.Tanh(convolve(nodes, 3, x, 1))
}

// decode makes images of these dimensions.
func decode(x *graph.Node, nodes []*graph.Node, dims []int) *graph.Node {
	x = residual(nodes, 7, residual(nodes, 5, leaky(convolve(nodes, 4, x, 1))))
	d := x.Shape().Dimensions
	// The channels become four pixels.
	x = graph.Reshape(leaky(convolve(nodes, 9, x, 1)), d[0], d[1], d[2], 2, 2, lastWidth)
	x = graph.Reshape(graph.TransposeAllAxes(x, 0, 1, 3, 2, 4, 5), d[0], 2*d[1], 2*d[2], lastWidth)
	x = graph.Slice(x, graph.AxisRange(), graph.AxisRange(0, dims[1]), graph.AxisRange(0, dims[2]), graph.AxisRange())
	return graph.AddScalar(convolve(nodes, 10, x, 1), .5)
}
