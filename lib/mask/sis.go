package mask

import (
	"fmt"
	"math/bits"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// SIS finds sufficient input subsets of images: sets of pixels, all channels together, that alone, with the filler
// everywhere else, keep the probability of a class at the threshold. It tries every pixel in every step: H·W·(H·W+1)/2
// evaluations of the network for each image, where [BatchedGradientSIS] makes H·W/k. Carter et al., "What made you do
// this?", AISTATS 2019; the pixels as in Carter et al., "Overinterpretation reveals image classification model
// pathologies", NeurIPS 2021, section 3.
type SIS struct {
	// Threshold τ is the probability that a subset must reach, in 0..1; 0 means 0.99.
	Threshold float64
	// Filler stands where pixels are masked; the zero Filler means [DatasetMean].
	Filler Filler
	// Most is how many subsets of an image [SIS.Collection] looks for; 0 means all there are.
	Most int
}

// Subset is one sufficient input subset.
type Subset struct {
	// Positions are those that were not masked, the one masked last in front: row·W + column for an image.
	Positions []int
	// Value is the function's value on the subset alone, at least the threshold.
	Value float64
	// Back is the selection that it was found by: over all positions that belong to none of the subsets before.
	Back BackSelection
}

// Collection returns an image's sufficient input subsets, which have no pixel in common: each is found with those
// before it masked, until what is left does not reach the threshold. image is [1, H, W, C] float32 in 0..1. class is
// as in the model's TargetClasses. There are none where the probability of the whole image is below the threshold.
//
// It is an error if the filler alone reaches it. Interrupted, it returns the subsets found so far beside the error.
func (s SIS) Collection(m *model.Model, image *tensors.Tensor, class ...int) ([]Subset, error) {
	threshold, err := probabilityThreshold(s.Threshold)
	if err != nil {
		return nil, err
	}
	if s.Most < 0 {
		return nil, fmt.Errorf("mask: SIS looks for at most %d subsets: say how many, or 0 for all", s.Most)
	}
	classes, err := m.TargetClasses(image, class)
	if err != nil {
		return nil, err
	}
	if n := image.Shape().Dimensions[0]; n != 1 {
		return nil, fmt.Errorf("mask: a collection of subsets is that of one image, not %d: call Collection for each", n)
	}
	fs, err := s.masked(m, image, classes)
	if err != nil {
		return nil, err
	}
	bar := progress.New(m.Name()+": sufficient input subsets", 0)
	defer bar.Close()
	f, err := fs(0)
	if err != nil {
		return nil, err
	}
	f.evaluated = bar.Add
	return f.collection(threshold, s.Most)
}

// BackSelect returns the order in which each image's pixels are masked, in the form of [BatchedGradientSIS], with one
// pixel an iteration. images is [N, H, W, C] float32 in 0..1; classes are as in the model's TargetClasses. Interrupted,
// it returns the images that are done beside the error, and nil if there are none.
func (s SIS) BackSelect(m *model.Model, images *tensors.Tensor, classes ...int) (*Ordering, error) {
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	fs, err := s.masked(m, images, classes)
	if err != nil {
		return nil, err
	}
	d := images.Shape().Dimensions
	positions := d[1] * d[2]
	o := newOrdering("SIS", m, images, 1, s.filler(m))
	bar := progress.New(m.Name()+": sufficient input subsets", d[0]*positions*(positions+1)/2)
	defer bar.Close()
	for i := range d[0] {
		f, err := fs(i)
		if err != nil {
			return nil, err
		}
		f.evaluated = bar.Add
		everything := make([]float32, positions)
		for p := range everything {
			everything[p] = 1
		}
		b, err := f.backSelect(everything)
		if err != nil {
			err = interrupt.After(err, "mask: SIS", i, d[0], "images")
			if i == 0 {
				return nil, err
			}
			return o, err
		}
		rank := make([]int32, positions)
		before := make([]float32, positions)
		for at, p := range b.Order {
			rank[p] = int32(at)
			before[at] = float32(b.valueOf(positions - at))
		}
		o.add(m, classes[i], rank, before, float32(b.ValueAfter[positions-1]))
	}
	return o, nil
}

func (s SIS) filler(m *model.Model) Filler {
	if s.Filler.fill == nil {
		return DatasetMean(m)
	}
	return s.Filler
}

type sisKey struct{}

// masked returns, for each image, the probability of its class as a function of masks. All share a program.
func (s SIS) masked(m *model.Model, images *tensors.Tensor, classes []int) (func(i int) (masked, error), error) {
	fill, err := filled(images, s.filler(m))
	if err != nil {
		return nil, err
	}
	exec, err := m.Exec(sisKey{}, func(in []*graph.Node) *graph.Node {
		x, fill, class, mask, candidates := in[0], in[1], in[2], in[3], in[4]
		d := x.Shape().Dimensions
		n := candidates.Shape().Dimensions[0]
		keep := graph.Reshape(candidateMasks(mask, candidates), n, d[1], d[2], 1)
		mixed := graph.Add(graph.Mul(x, keep), graph.Mul(fill, graph.OneMinus(keep)))
		every := graph.BroadcastToDims(class, n)
		return graph.ConvertDType(m.ClassProbabilities(m.Call(mixed).Logits, every), dtypes.Float32)
	})
	if err != nil {
		return nil, err
	}
	d := images.Shape().Dimensions
	positions := d[1] * d[2]
	size := min(m.ChunkSize(1<<30), 1<<bits.Len(uint(positions-1)))
	return func(i int) (masked, error) {
		// One image, which stays on the device.
		x, err := rows.Take(images, i, i+1, 1)
		if err != nil {
			return masked{}, err
		}
		with, err := rows.Take(fill, i, i+1, 1)
		if err != nil {
			return masked{}, err
		}
		class := model.ClassTensor(classes[i : i+1])
		return masked{positions: positions, size: size, run: func(mask, candidates *tensors.Tensor) (*tensors.Tensor, error) {
			return exec.Call1(x, with, class, mask, candidates)
		}}, nil
	}, nil
}

// VectorSIS returns the sufficient input subsets of any function of a vector: as [SIS.Collection], with the value of f
// in the place of the probability, and any threshold. f is a graph function from a batch [S, D] float32 to its values,
// [S]; x is the input, [D], and maskedValues, [D], stands where its positions are masked. Interrupted, it returns the
// subsets found so far beside the error.
func VectorSIS(f func(x *graph.Node) *graph.Node, threshold float64, x, maskedValues []float32) ([]Subset, error) {
	if len(x) == 0 || len(x) != len(maskedValues) {
		return nil, fmt.Errorf("mask: an input of %d values has %d values to mask them with", len(x), len(maskedValues))
	}
	if threshold != threshold {
		return nil, fmt.Errorf("mask: the threshold is not a number")
	}
	exec, err := model.NewExec(func(x, with, mask, candidates *graph.Node) *graph.Node {
		keep := candidateMasks(mask, candidates)
		y := f(graph.Add(graph.Mul(graph.ExpandAxes(x, 0), keep), graph.Mul(graph.ExpandAxes(with, 0), graph.OneMinus(keep))))
		if n := candidates.Shape().Dimensions[0]; y.Rank() != 1 || y.Shape().Dimensions[0] != n {
			panic(fmt.Errorf("mask: the function returned %s for a batch of %d inputs: it returns one value for each, [%d]",
				y.Shape(), n, n))
		}
		return graph.ConvertDType(y, dtypes.Float32)
	})
	if err != nil {
		return nil, err
	}
	fn := masked{positions: len(x), size: min(1<<bits.Len(uint(len(x)-1)), 1024),
		run: func(mask, candidates *tensors.Tensor) (*tensors.Tensor, error) {
			return exec.Call1(x, maskedValues, mask, candidates)
		}}
	bar := progress.New("sufficient input subsets", 0)
	defer bar.Close()
	fn.evaluated = bar.Add
	return fn.collection(threshold, 0)
}

// collection finds one subset after another. Interrupted, it returns those found.
func (f masked) collection(threshold float64, most int) ([]Subset, error) {
	left := make([]float32, f.positions)
	nothing, err := f.value(left)
	if err != nil {
		return nil, interrupt.After(err, "mask: SIS", 0, most, "subsets")
	}
	if nothing >= threshold {
		return nil, fmt.Errorf("mask: with everything masked the function is %.4g, which reaches the threshold %.4g: no "+
			"subset says anything, raise the threshold or take another filler", nothing, threshold)
	}
	for p := range left {
		left[p] = 1
	}
	var all []Subset
	for most == 0 || len(all) < most {
		start, err := f.value(left)
		if err != nil {
			return all, interrupt.After(err, "mask: SIS", len(all), most, "subsets")
		}
		if start < threshold {
			return all, nil
		}
		back, err := f.backSelect(left)
		if err != nil {
			return all, interrupt.After(err, "mask: SIS", len(all), most, "subsets")
		}
		sis := back.FindSIS(threshold)
		all = append(all, Subset{Positions: sis, Value: back.valueOf(len(sis)), Back: back})
		left = append([]float32(nil), left...)
		for _, p := range sis {
			left[p] = 0
		}
	}
	return all, nil
}

// probabilityThreshold checks τ; 0 means 0.99.
func probabilityThreshold(threshold float64) (float64, error) {
	if threshold == 0 {
		return 0.99, nil
	}
	if !(threshold > 0 && threshold <= 1) {
		return 0, fmt.Errorf("mask: the threshold is %v, a probability lies between 0 and 1 (the paper takes 0.99)",
			threshold)
	}
	return threshold, nil
}
