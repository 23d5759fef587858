package attrib

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Smoothing is what a [NoiseTunnel] makes of the values that a method gives noisy copies of an image.
type Smoothing int

// The smoothings.
const (
	Mean Smoothing = iota // SmoothGrad: Smilkov et al., arXiv:1706.03825, section 3
	// SmoothGrad²: Hooker et al., "A Benchmark for Interpretability Methods", NeurIPS 2019, section 4.2
	MeanSquare
	// VarGrad: Adebayo et al., "Local Explanation Methods for Deep Neural Networks Lack Sensitivity", arXiv:1810.03307,
	// section 2; divided by n
	Variance
)

// NoiseTunnel is a method's mean over copies of the image with Gaussian noise, or the mean square or variance over
// them, of the shape that the method gives:
//
//	1/n Σ A(x + σ·z_i), z_i standard normal
//
// All images are given the same z_i, so that an image's result does not depend on which others are explained with it.
type NoiseTunnel struct {
	// Method explains the copies; nil means [Gradient].
	Method Method
	// Of says what is made of the explanations.
	Of Smoothing
	// Samples is the number n of noisy copies; 0 means 50.
	Samples int
	// Level is σ as a share of the image's range (its largest value less its smallest); 0 means 0.15.
	Level float64
	// Seed makes the noise: the same images, class and seed give the same result.
	Seed int64
	// Noise, if not nil, is used for the z_i: [Samples, H, W, C] float32.
	Noise *tensors.Tensor
}

// Name is the method's with what is made of it, such as "Grad-CAM, mean under noise".
func (nt NoiseTunnel) Name() string {
	name := Gradient{}.Name()
	if nt.Method != nil {
		name = nt.Method.Name()
	}
	of := "mean"
	switch nt.Of {
	case MeanSquare:
		of = "mean square"
	case Variance:
		of = "variance"
	}
	return name + ", " + of + " under noise"
}

// Attribute implements [Method].
func (nt NoiseTunnel) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	return nt.attribute(nt, m, images, classes)
}

// attribute is Attribute in the name of another method.
func (nt NoiseTunnel) attribute(as Method, m *model.Model, images *tensors.Tensor, classes []int) (*Attribution,
	error) {
	if nt.Method == nil {
		nt.Method = Gradient{}
	}
	if t, ok := nt.Method.(Toward); ok { // one model for all copies
		nt.Method = t.Method
		t.Method = nt
		a, err := t.Attribute(m, images, classes)
		if a != nil {
			a.Method = as.Name()
		}
		return a, err
	}
	if nt.Samples == 0 {
		nt.Samples = 50
		if nt.Noise != nil && nt.Noise.Rank() == 4 {
			nt.Samples = nt.Noise.Shape().Dimensions[0]
		}
	}
	if nt.Level == 0 {
		nt.Level = 0.15
	}
	if nt.Samples < 0 || !(nt.Level > 0) {
		return nil, fmt.Errorf("attrib: %s takes a positive number of samples and noise level, not %d and %v", as.Name(),
			nt.Samples, nt.Level)
	}
	if nt.Of < Mean || nt.Of > Variance {
		return nil, fmt.Errorf("attrib: there is no smoothing %d: Mean, MeanSquare and Variance are", nt.Of)
	}
	one, inProgram := nt.Method.(oneProgram)
	var key programKey
	var explain graphFunction
	if inProgram {
		var err error
		if key.method, explain, err = one.program(m); err != nil {
			return nil, err
		}
	}
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	spec := m.Spec()
	if nt.Noise != nil && !nt.Noise.Shape().Equal(shapes.Make(dtypes.Float32, nt.Samples, spec.Height, spec.Width,
		spec.Channels)) {
		return nil, fmt.Errorf("attrib: %s's noise has the shape %s, for these images it is [%d, %d, %d, %d] float32",
			as.Name(), nt.Noise.Shape(), nt.Samples, spec.Height, spec.Width, spec.Channels)
	}
	sigmas, err := ranges(images, nt.Level)
	if err != nil {
		return nil, err
	}
	noise := nt.Noise
	if noise == nil {
		if noise, err = drawn(m, nt.Samples, nt.Seed); err != nil {
			return nil, err
		}
		defer model.Free(noise)
	}
	var values *tensors.Tensor
	var stopped error
	if inProgram {
		values, stopped = nt.inProgram(as, m, images, classes, sigmas, noise, key, explain)
	} else {
		values, stopped = nt.copyByCopy(as, m, images, classes, sigmas, noise)
	}
	if values == nil {
		return nil, ours(stopped)
	}
	return NewAttribution(as, m, values, classes), stopped
}

// tunnelKey is the program's, whose noise is an argument.
type tunnelKey struct {
	method Method
	of     Smoothing
}

// inProgram explains many copies in one call of a program, in which the sums are kept.
func (nt NoiseTunnel) inProgram(as Method, m *model.Model, images *tensors.Tensor, classes []int, sigmas,
	noise *tensors.Tensor, key programKey, explain graphFunction) (*tensors.Tensor, error) {
	exec, err := m.Exec(tunnelKey{key.method, nt.Of}, func(in []*graph.Node) *graph.Node {
		x, classes, sigma, noise, at, weight, before, state := m.Cast(in[0]), in[1], m.Cast(in[2]), in[3], in[4],
			single(in[5]), in[6], in[7]
		count, dims := weight.Shape().Dimensions[0], x.Shape().Dimensions
		z := graph.ExpandAxes(m.Cast(graph.Gather(noise, graph.ExpandAxes(at, -1))), 1) // [A, 1, H, W, C]
		noisy := graph.Add(graph.ExpandAxes(x, 0), graph.Mul(graph.Reshape(sigma, 1, dims[0], 1, 1, 1), z))
		values := single(explain(graph.Reshape(noisy, count*dims[0], dims[1], dims[2], dims[3]), tile(classes, count)))
		values = graph.Reshape(values, append([]int{count, dims[0]}, values.Shape().Dimensions[1:]...)...)
		if nt.Of == MeanSquare {
			values = graph.Square(values)
		}
		if nt.Of != Variance {
			return graph.Add(state, graph.ReduceSum(graph.Mul(values, scalars(weight)), 0))
		}
		return spread(values, weight, single(before), state)
	})
	if err != nil {
		return nil, err
	}
	weights := make([]float64, nt.Samples)
	for i := range weights {
		weights[i] = 1 / float64(nt.Samples)
	}
	shape, err := explainedShape(m, explain)
	if err != nil {
		return nil, err
	}
	if nt.Of == Variance {
		shape[2] *= 2
	}
	start := func(size int) *tensors.Tensor {
		return tensors.FromScalarAndDimensions(float32(0), append([]int{size}, shape...)...)
	}
	inputs := []*tensors.Tensor{images, model.ClassTensor(classes), sigmas}
	values, stopped := sweep{m, as.Name(), nt.Samples}.run(inputs, start, func(d device, state *tensors.Tensor, first,
		count int) (*tensors.Tensor, error) {
		at := make([]int32, count) // past the last sample the weight is 0
		for i := range at {
			at[i] = int32(min(first+i, nt.Samples-1))
		}
		return exec.Call1(append(d.inputs[:len(d.inputs):len(d.inputs)], noise, at, window(weights, first, count),
			float64(first)/float64(nt.Samples), state)...)
	})
	if values == nil || nt.Of != Variance {
		return values, stopped
	}
	return secondHalf(values), stopped
}

// spread adds values, [A, B, H, W, C], of given weights, to the mean and the weighted sum of squared differences from
// it, which lie one behind the other along the channels of state, of values whose weights sum to before. Chan, Golub
// and LeVeque, "Algorithms for Computing the Sample Variance", 1983, equation 2.1b.
func spread(values, weight, before, state *graph.Node) *graph.Node {
	channels := values.Shape().Dimensions[4]
	all := []graph.SliceAxisSpec{graph.AxisRange(), graph.AxisRange(), graph.AxisRange()}
	mean := graph.Slice(state, append(slices.Clone(all), graph.AxisRange(0, channels))...)
	squares := graph.Slice(state, append(slices.Clone(all), graph.AxisRange(channels))...)
	more := graph.ReduceAllSum(weight)
	here := graph.Div(graph.ReduceSum(graph.Mul(values, scalars(weight)), 0), more)
	apart := graph.Sub(here, mean)
	total := graph.Add(before, more)
	within := graph.ReduceSum(graph.Mul(graph.Square(graph.Sub(values, graph.ExpandAxes(here, 0))), scalars(weight)), 0)
	between := graph.Mul(graph.Square(apart), graph.Div(graph.Mul(before, more), total))
	return graph.Concatenate([]*graph.Node{
		graph.Add(mean, graph.Mul(apart, graph.Div(more, total))),
		graph.Add(squares, graph.Add(within, between)),
	}, -1)
}

// secondHalf are the second half of the channels.
func secondHalf(t *tensors.Tensor) *tensors.Tensor {
	d := slices.Clone(t.Shape().Dimensions)
	flat := tensors.MustCopyFlatData[float32](t)
	d[3] /= 2
	half := make([]float32, 0, len(flat)/2)
	for at := 0; at < len(flat); at += 2 * d[3] {
		half = append(half, flat[at+d[3]:at+2*d[3]]...)
	}
	return tensors.FromFlatDataAndDimensions(half, d...)
}

// explainedShape is the shape of what a graph function makes of one image.
func explainedShape(m *model.Model, explain graphFunction) ([]int, error) {
	var shape []int
	spec := m.Spec()
	err := m.Trace(func(g *graph.Graph) {
		x := m.Cast(graph.Parameter(g, "images", shapes.Make(dtypes.Float32, 1, spec.Height, spec.Width, spec.Channels)))
		shape = slices.Clone(explain(x, graph.Const(g, []int32{0})).Shape().Dimensions[1:])
	})
	return shape, err
}

// copyByCopy explains one copy of a batch of images after the other.
func (nt NoiseTunnel) copyByCopy(as Method, m *model.Model, images *tensors.Tensor, classes []int, sigmas,
	noise *tensors.Tensor) (*tensors.Tensor, error) {
	var flats [3][]float32
	for i, t := range []*tensors.Tensor{images, sigmas, noise} {
		var err error
		if flats[i], err = tensors.CopyFlatData[float32](t); err != nil {
			return nil, fmt.Errorf("attrib: %w", err)
		}
	}
	pixels, sigma, z := flats[0], flats[1], flats[2]
	dims := slices.Clone(images.Shape().Dimensions)
	n, size := dims[0], len(pixels)/dims[0]
	batch := m.ChunkSize(n)
	join := rows.NewJoin(n)
	bar := progress.New(m.Name()+": "+as.Name(), n*nt.Samples)
	defer bar.Close()
	var stopped error
images:
	for lo := 0; lo < n; lo += batch {
		hi := min(lo+batch, n)
		dims[0] = hi - lo
		var mean, squares []float64
		var shape []int
		for s := range nt.Samples {
			noisy := make([]float32, (hi-lo)*size)
			for i := range noisy {
				noisy[i] = pixels[lo*size+i] + sigma[lo+i/size]*z[s*size+i%size]
			}
			a, err := nt.Method.Attribute(m, tensors.FromFlatDataAndDimensions(noisy, dims...), classes[lo:hi])
			if interrupt.Is(err) {
				stopped = interrupt.After(err, "attrib: "+as.Name(), lo, n, "images")
				break images
			}
			if err != nil {
				return nil, err
			}
			values, err := tensors.CopyFlatData[float32](a.Values)
			if err != nil {
				return nil, fmt.Errorf("attrib: %w", err)
			}
			if s == 0 {
				mean, squares, shape = make([]float64, len(values)), make([]float64, len(values)), a.Values.Shape().Dimensions
			}
			for i, v := range values {
				v := float64(v)
				if nt.Of == MeanSquare {
					v *= v
				}
				before := v - mean[i]
				mean[i] += before / float64(s+1)
				squares[i] += before * (v - mean[i])
			}
			bar.Add(hi - lo)
		}
		of := make([]float32, len(mean))
		for i := range of {
			if of[i] = float32(mean[i]); nt.Of == Variance {
				of[i] = float32(squares[i] / float64(nt.Samples))
			}
		}
		if err := join.Add(tensors.FromFlatDataAndDimensions(of, shape...), hi-lo); err != nil {
			return nil, err
		}
	}
	values, err := join.Tensor()
	if err != nil {
		return nil, err
	}
	return values, stopped
}

type noiseKey struct{ samples int }

// drawn are standard normal numbers [samples, H, W, C] on the device.
func drawn(m *model.Model, samples int, seed int64) (*tensors.Tensor, error) {
	spec := m.Spec()
	program, err := m.Exec(noiseKey{samples}, func(state *graph.Node) *graph.Node {
		_, noise := graph.RandomNormal(state, shapes.Make(dtypes.Float32, samples, spec.Height, spec.Width, spec.Channels))
		return noise
	})
	if err != nil {
		return nil, err
	}
	state, err := graph.RNGStateFromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("attrib: %w", err)
	}
	return program.Call1(state)
}

// ranges returns level times (largest - smallest value) of each image, [N].
func ranges(images *tensors.Tensor, level float64) (*tensors.Tensor, error) {
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("attrib: %w", err)
	}
	sigmas := make([]float32, images.Shape().Dimensions[0])
	size := len(flat) / len(sigmas)
	for i := range sigmas {
		image := flat[i*size : (i+1)*size]
		sigmas[i] = float32(level) * (slices.Max(image) - slices.Min(image))
	}
	return tensors.FromFlatDataAndDimensions(sigmas, len(sigmas)), nil
}
