package faithful

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/stats"
)

// Perturbation is what [Infidelity] does to images.
type Perturbation int

// The perturbations.
const (
	// NoisyBaseline puts z = b + ε in the image's place, ε being normal, and I is x-z: for values that are slopes, such
	// as a gradient's. It is the paper's noisy baseline, with z kept in 0..1 as in the authors' code.
	NoisyBaseline Perturbation = iota
	// Squares puts the baseline in the place of a square, and I is 1 within it: for values that are shares of the
	// answer, such as those of [attrib.IntegratedGradients]. Squares have sides of 1 to 10 pixels in images of 28x28,
	// and in proportion in others; each square is as likely as any other. It is the paper's square removal,
	// which takes all of them.
	Squares
)

func (p Perturbation) String() string {
	switch p {
	case NoisyBaseline:
		return "noisy baseline"
	case Squares:
		return "squares"
	}
	return fmt.Sprintf("Perturbation(%d)", int(p))
}

// Infidelity is how far the values Φ of an attribution are from telling what perturbations of the image do to the
// class's logit f,
//
//	E (IᵀΦ - (f(x) - f(x′)))²
//
// where x′ is the perturbed image, and I by how much it is perturbed. Yeh et al., NeurIPS 2019, definition 2.1. Smaller
// is better.
type Infidelity struct {
	// Perturbation is what is done to images.
	Perturbation Perturbation
	// Samples is the number of perturbations; 0 means 1,000, a tenth of what the authors take for small networks. All
	// images are given the same ones, so that an image's result does not depend on which others are tested with it.
	Samples int
	// Sigma is the standard deviation of the noise of NoisyBaseline; 0 means 0.2.
	Sigma float64
	// Baseline is what images or squares become; the zero Filler means black.
	Baseline mask.Filler
	// Seed draws the perturbations.
	Seed uint64
	// Given, if not nil, are the I, with x′ = x-I: [Samples, H, W, C] float32 for all images, or [Samples, N, H, W, C].
	// Nothing else is drawn then.
	Given *tensors.Tensor
}

// Infidelities are those of a method's values.
type Infidelities struct {
	// Model and Method are the names of what was tested, and Perturbation says how.
	Model, Method, Perturbation string
	Samples                     int
	// Classes are the classes explained, [N], and ClassNames their names.
	Classes    []int
	ClassNames []string
	// Scaled are the infidelities of the values times their Scale, the number that makes the infidelity least, [N]. So
	// methods whose values have other units can be compared; it is what the authors' code computes.
	Scaled, Scale []float64
	// Unscaled are those of the values as they are: definition 2.1.
	Unscaled []float64
	// Answers are the mean squares of f(x) - f(x′), [N]: the infidelity of values that are all 0.
	Answers []float64
}

// wholeKey and perturbKey are what the programs are kept under.
type wholeKey struct{}

type perturbKey struct {
	by    Perturbation
	given bool
}

// Run explains the class of each image, [N, H, W, C] float32 in 0..1, by a method, and perturbs the images. classes may
// be nil for the predicted ones, one for all, or one for each image. Values with one channel stand for all channels of
// their pixel.
//
// Interrupted, it returns the images that are done beside the error; nil if none is.
func (in Infidelity) Run(m *model.Model, images *tensors.Tensor, classes []int, method attrib.Method) (*Infidelities,
	error) {
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	if in, err = in.complete(images); err != nil {
		return nil, err
	}
	a, err := attribute(m, images, classes, method)
	if err != nil {
		return nil, err
	}
	return in.of(m, images, a)
}

// Of is [Infidelity.Run] of an attribution that is there already, of the same images.
func (in Infidelity) Of(m *model.Model, images *tensors.Tensor, a *attrib.Attribution) (*Infidelities, error) {
	if err := check(m, images, a); err != nil {
		return nil, err
	}
	in, err := in.complete(images)
	if err != nil {
		return nil, err
	}
	return in.of(m, images, a)
}

// complete checks the settings, and puts the defaults in.
func (in Infidelity) complete(images *tensors.Tensor) (Infidelity, error) {
	d := images.Shape().Dimensions
	if in.Perturbation < NoisyBaseline || in.Perturbation > Squares {
		return in, fmt.Errorf("faithful: there is no perturbation %d: NoisyBaseline and Squares are", int(in.Perturbation))
	}
	if g := in.Given; g != nil {
		each, all := d[1:], d
		s := g.Shape()
		fits := s.Rank() >= 4 && (slices.Equal(s.Dimensions[1:], each) || slices.Equal(s.Dimensions[1:], all))
		if s.DType != dtypes.Float32 || !fits || s.Dimensions[0] == 0 {
			return in, fmt.Errorf("faithful: perturbations of images %v are [samples]%v or [samples]%[1]v float32, not %[3]s",
				all, each, s)
		}
		flat, err := tensors.CopyFlatData[float32](g)
		if err != nil {
			return in, fmt.Errorf("faithful: %w", err)
		}
		if err := finite("a perturbation", flat); err != nil {
			return in, err
		}
		if in.Samples != 0 && in.Samples != g.Shape().Dimensions[0] {
			return in, fmt.Errorf("faithful: %d perturbations are given, and Samples is %d", g.Shape().Dimensions[0], in.Samples)
		}
		in.Samples = g.Shape().Dimensions[0]
	}
	if in.Samples == 0 {
		in.Samples = 1000
	}
	if in.Sigma == 0 {
		in.Sigma = 0.2
	}
	if in.Samples < 1 {
		return in, fmt.Errorf("faithful: infidelity from %d perturbations: take 1 or more", in.Samples)
	}
	if !(in.Sigma > 0) || math.IsInf(in.Sigma, 0) {
		return in, fmt.Errorf("faithful: the noise has a standard deviation of %v: take a number above 0, such as 0.2",
			in.Sigma)
	}
	if in.Baseline.Name == "" {
		in.Baseline = mask.Constant(0)
	}
	return in, nil
}

func (in Infidelity) of(m *model.Model, images *tensors.Tensor, a *attrib.Attribution) (*Infidelities, error) {
	d := images.Shape().Dimensions
	n := d[0]
	filled, err := mask.Apply(images, tensors.FromScalarAndDimensions(float32(1), n, d[1], d[2]), in.Baseline, 0)
	if err != nil {
		return nil, err
	}
	by, given := in.Perturbation, in.Given != nil
	run, err := m.Exec(perturbKey{by, given}, func(v []*graph.Node) []*graph.Node { return perturb(m, by, given, v) })
	if err != nil {
		return nil, err
	}
	// In the network's own precision, since it is taken away from what is hardly different.
	whole, err := m.Exec(wholeKey{}, func(v []*graph.Node) *graph.Node { return m.ClassLogits(m.Call(v[0]).Logits, v[1]) })
	if err != nil {
		return nil, err
	}
	var flat []float32
	if given {
		if flat, err = tensors.CopyFlatData[float32](in.Given); err != nil {
			return nil, fmt.Errorf("faithful: %w", err)
		}
	}
	r := &Infidelities{Model: m.Name(), Method: a.Method, Perturbation: by.String(), Samples: in.Samples}
	if given {
		r.Perturbation = "given"
	}
	size := m.ChunkSize(n)
	most := max(1, m.ChunkSize(1<<30)/size)
	calls := (in.Samples + most - 1) / most
	count := (in.Samples + calls - 1) / calls // perturbations of each image in a call
	bar := progress.New(m.Name()+": infidelity of "+a.Method, n*in.Samples)
	defer bar.Close()
	var placed []*tensors.Tensor // the batch on the device
	defer func() { model.Free(placed...) }()
	for lo := 0; lo < n; lo += size {
		hi := min(lo+size, n)
		model.Free(placed...)
		placed = nil
		var args []any
		for _, t := range []*tensors.Tensor{images, filled, a.Values, model.ClassTensor(a.Classes)} {
			part, err := model.PlaceRows(t, lo, hi, size)
			if err != nil {
				return nil, err
			}
			args, placed = append(args, part), append(placed, part)
		}
		before, err := whole.Call1(args[0], args[3])
		if err != nil {
			return nil, fmt.Errorf("faithful: infidelity: %w", err)
		}
		args, placed = append(args, before), append(placed, before)
		draws := rand.New(rand.NewPCG(in.Seed, 0)) // the same for each batch
		var results [][]*tensors.Tensor
		for first := 0; first < in.Samples; first += count {
			if err := interrupt.Err(); err != nil {
				err = interrupt.After(err, "faithful: infidelity", lo, n, "images")
				if lo == 0 {
					return nil, err
				}
				return r, err
			}
			result, err := run.Call(append(args[:len(args):len(args)], in.block(draws, flat, d, first, count, lo, hi, size))...)
			if err != nil {
				return nil, fmt.Errorf("faithful: infidelity: %w", err)
			}
			results = append(results, result)
			bar.Add((hi - lo) * min(count, in.Samples-first))
		}
		said, does := make([][]float64, hi-lo), make([][]float64, hi-lo)
		for _, result := range results {
			for k, to := range [][][]float64{said, does} {
				flat, err := tensors.CopyFlatData[float32](result[k])
				if err != nil {
					return nil, fmt.Errorf("faithful: %w", err)
				}
				for j := range count {
					for i := range to {
						if len(to[i]) < in.Samples { // a last block is filled up
							to[i] = append(to[i], float64(flat[j*size+i]))
						}
					}
				}
			}
		}
		for i := range said {
			if err := r.add(said[i], does[i]); err != nil {
				return nil, fmt.Errorf("faithful: infidelity of image %d: %w", lo+i, err)
			}
			r.Classes, r.ClassNames = append(r.Classes, a.Classes[lo+i]), append(r.ClassNames, m.ClassName(a.Classes[lo+i]))
		}
	}
	return r, nil
}

// add takes what the values said and what the network did of one image.
func (r *Infidelities) add(said, does []float64) error {
	var products, squares, unscaled, scaled, answers float64
	for k := range said {
		if math.IsNaN(said[k]) || math.IsNaN(does[k]) {
			return fmt.Errorf("perturbation %d gives no number: the network overflows", k)
		}
		products, squares = products+said[k]*does[k], squares+said[k]*said[k]
	}
	scale := 0.0
	if squares > 0 {
		scale = products / squares
	}
	n := float64(len(said))
	for k := range said {
		unscaled += (said[k] - does[k]) * (said[k] - does[k]) / n
		scaled += (scale*said[k] - does[k]) * (scale*said[k] - does[k]) / n
		answers += does[k] * does[k] / n
	}
	r.Unscaled, r.Answers = append(r.Unscaled, unscaled), append(r.Answers, answers)
	r.Scaled, r.Scale = append(r.Scaled, scaled), append(r.Scale, scale)
	return nil
}

// block is what the program is given of count perturbations from the first-th on, of images lo to hi (excluded) filled
// up to size rows: the noise, [count, 1, H, W, C], the squares, [count, 3] int32 with rows, columns and sides, or what
// the settings give, [count, 1 or size, H, W, C]. Past the last there are copies of the last.
func (in Infidelity) block(draws *rand.Rand, given []float32, d []int, first, count, lo, hi, size int) *tensors.Tensor {
	h, w, c := d[1], d[2], d[3]
	pixels := h * w * c
	if given != nil {
		images, rows := 1, 1
		if in.Given.Rank() == 5 {
			images, rows = d[0], size
		}
		var out []float32
		for j := range count {
			at := min(first+j, in.Samples-1) * images
			for i := range rows {
				row := at
				if images > 1 {
					row += min(lo+i, hi-1)
				}
				out = append(out, given[row*pixels:(row+1)*pixels]...)
			}
		}
		return tensors.FromFlatDataAndDimensions(out, count, rows, h, w, c)
	}
	if in.Perturbation == Squares {
		boxes := make([]int32, 0, 3*count)
		for range count {
			row, column, side := square(draws, h, w)
			boxes = append(boxes, int32(row), int32(column), int32(side))
		}
		return tensors.FromFlatDataAndDimensions(boxes, count, 3)
	}
	noise := make([]float32, count*pixels)
	for i := range noise {
		noise[i] = float32(in.Sigma * draws.NormFloat64())
	}
	return tensors.FromFlatDataAndDimensions(noise, count, 1, h, w, c)
}

// square draws one of all squares of 1 to 10 pixels in 28, in proportion.
func square(draws *rand.Rand, h, w int) (row, column, side int) {
	most := max(1, int(math.Round(10*float64(min(h, w))/28)))
	all := 0
	for s := 1; s <= most; s++ {
		all += (h - s + 1) * (w - s + 1)
	}
	at := draws.IntN(all)
	for side = 1; at >= (h-side+1)*(w-side+1); side++ {
		at -= (h - side + 1) * (w - side + 1)
	}
	return at / (w - side + 1), at % (w - side + 1), side
}

// perturb is the program: of images x and what fills them, [B, H, W, C], values, [B, H, W, C or 1], classes, [B] int32,
// the logits of whole images, [B], and a block of A perturbations, it returns what the values say of each and what the
// network does, [A, B] float32.
func perturb(m *model.Model, by Perturbation, given bool, in []*graph.Node) []*graph.Node {
	x, fill, values, classes, before, block := m.Cast(in[0]), m.Cast(in[1]), m.Cast(in[2]), in[3], in[4], in[5]
	d, count := x.Shape().Dimensions, block.Shape().Dimensions[0]
	all := append([]int{count}, d...)
	wide := func(n *graph.Node) *graph.Node { // [B, ...] or [A, 1, ...] for each perturbation and image
		if n.Rank() == 4 {
			n = graph.ExpandAxes(n, 0)
		}
		return graph.BroadcastToDims(n, all...)
	}
	var perturbed, said *graph.Node
	switch {
	case given:
		change := wide(m.Cast(block))
		perturbed, said = graph.Sub(wide(x), change), graph.Mul(change, wide(graph.BroadcastToDims(values, d...)))
	case by == Squares:
		of := func(k int) *graph.Node {
			each := graph.Reshape(graph.Slice(block, graph.AxisRange(), graph.AxisElem(k)), count, 1, 1)
			return graph.BroadcastToDims(each, count, d[1], d[2])
		}
		within := func(axis int, from, side *graph.Node) *graph.Node {
			at := graph.Iota(x.Graph(), from.Shape().Clone(), axis)
			return graph.LogicalAnd(graph.GreaterOrEqual(at, from), graph.LessThan(at, graph.Add(from, side)))
		}
		inside := graph.LogicalAnd(within(1, of(0), of(2)), within(2, of(1), of(2)))
		inside = graph.BroadcastToDims(graph.Reshape(inside, count, 1, d[1], d[2], 1), all...)
		perturbed = graph.Where(inside, wide(fill), wide(x))
		// A pixel counts once, whether its channels are told apart or not.
		pixel := graph.Slice(inside, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(), graph.AxisRange(),
			graph.AxisRange(0, 1))
		value := graph.ExpandAxes(graph.ReduceAndKeep(values, graph.ReduceSum, -1), 0)
		said = graph.Mul(graph.ConvertDType(pixel, x.DType()), graph.BroadcastToDims(value, count, d[0], d[1], d[2], 1))
	default:
		z := graph.Add(wide(fill), wide(m.Cast(block)))
		perturbed = graph.Min(graph.Max(z, graph.ZerosLike(z)), graph.OnesLike(z))
		said = graph.Mul(graph.Sub(wide(x), perturbed), wide(graph.BroadcastToDims(values, d...)))
	}
	each := graph.Reshape(graph.BroadcastToDims(graph.ExpandAxes(classes, 0), count, d[0]), count*d[0])
	after := m.ClassLogits(m.Call(graph.Reshape(perturbed, count*d[0], d[1], d[2], d[3])).Logits, each)
	does := graph.Sub(graph.BroadcastToDims(graph.ExpandAxes(before, 0), count, d[0]), graph.Reshape(after, count, d[0]))
	single := func(x *graph.Node) *graph.Node { return graph.ConvertDType(x, dtypes.Float32) }
	return []*graph.Node{single(graph.ReduceSum(said, 2, 3, 4)), single(does)}
}

// Len is the number of images.
func (r *Infidelities) Len() int { return len(r.Scaled) }

// Mean is the mean of Scaled, with Student's 95% interval over the images: see [stats.MeanInterval]. It is an error of
// fewer than two images.
func (r *Infidelities) Mean() (float64, stats.Interval, error) { return mean(r.Scaled) }
