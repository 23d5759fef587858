package tasks

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

type patchKey struct{ layers int }

// PatchCNN makes a convolutional network with random weights that can be differentiated twice, for images such as 28x28
// or 32x32: for each width a 3x3 convolution of stride 2 with padding 1 and ReLU, and a linear layer. A convolution is
// a product of a kernel with patches, which a product with a constant matrix picks out; so it takes more time than one
// of package networks does. Layers are named conv1, relu1, …, linear, and weights as in learn.SmallCNN. No widths mean
// 16 and 32.
//
// Weights are normal with variance 2/fan-in (He et al., ICCV 2015), biases 0.
func PatchCNN(spec model.Spec, classes int, seed uint64, widths ...int) (*model.Model, error) {
	if classes < 1 {
		return nil, fmt.Errorf("tasks: a network of %d outputs", classes)
	}
	if spec.Height < 1 || spec.Width < 1 || spec.Channels < 1 {
		return nil, fmt.Errorf(
			"tasks: a network for images of %d x %d x %d: say their Height, Width and Channels in the Spec", spec.Height,
			spec.Width, spec.Channels)
	}
	if len(widths) == 0 {
		widths = []int{16, 32}
	}
	if spec.Name == "" {
		spec.Name = "patch CNN"
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	weights := map[string]*tensors.Tensor{}
	add := func(name string, fanIn, outputs int, dims ...int) {
		size := 1
		for _, d := range dims {
			size *= d
		}
		values := make([]float32, size)
		for i := range values {
			values[i] = float32(rng.NormFloat64() * math.Sqrt(2/float64(fanIn)))
		}
		weights[name+".weight"] = tensors.FromFlatDataAndDimensions(values, dims...)
		weights[name+".bias"] = tensors.FromFlatDataAndDimensions(make([]float32, outputs), outputs)
	}
	height, width, channels := spec.Height, spec.Width, spec.Channels
	for i, out := range widths {
		if out < 1 {
			return nil, fmt.Errorf("tasks: convolution %d has %d channels", i+1, out)
		}
		add(fmt.Sprintf("conv%d", i+1), 9*channels, out, 3, 3, channels, out)
		height, width, channels = (height+1)/2, (width+1)/2, out
	}
	add("linear", height*width*channels, classes, classes, height*width*channels)
	return model.FromArchitecture(patchKey{len(widths)}, weights, spec, func(b *model.Builder, x *graph.Node) *graph.Node {
		d := x.Shape().Dimensions
		n, height, width := d[0], d[1], d[2]
		x = graph.Reshape(x, n, height*width, d[3])
		for i := range widths {
			name := fmt.Sprintf("conv%d", i+1)
			kernel := b.Weight(name + ".weight")
			k := kernel.Shape().Dimensions
			down, right := (height+1)/2, (width+1)/2
			// [9, places, pixels] · [N, pixels, C] is [9, places, N, C].
			patches := graph.Dot(picked(x, height, width), x).General([]int{2}, nil, []int{1}, nil)
			patches = graph.Reshape(graph.TransposeAllAxes(patches, 2, 1, 0, 3), n*down*right, 9*k[2])
			x = graph.Dot(patches, graph.Reshape(kernel, 9*k[2], k[3])).MatMul()
			x = graph.Add(x, graph.Reshape(b.Weight(name+".bias"), 1, k[3]))
			height, width = down, right
			x = b.ReLU(fmt.Sprintf("relu%d", i+1), graph.Reshape(x, n, height*width, k[3]))
		}
		return b.Linear("linear", b.Features(graph.Reshape(x, n, -1)))
	})
}

// picked is the constant that picks a pixel for each of the 9 places of a kernel and each patch, [9, patches, pixels]:
// none beyond the edge.
func picked(x *graph.Node, height, width int) *graph.Node {
	down, right := (height+1)/2, (width+1)/2
	flat := make([]float32, 9*down*right*height*width)
	for k := range 9 {
		for p := range down * right {
			row, column := 2*(p/right)+k/3-1, 2*(p%right)+k%3-1
			if row >= 0 && row < height && column >= 0 && column < width {
				flat[(k*down*right+p)*height*width+row*width+column] = 1
			}
		}
	}
	matrix := graph.Reshape(graph.Const(x.Graph(), flat), 9, down*right, height*width)
	return graph.ConvertDType(matrix, x.DType())
}
