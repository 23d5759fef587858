package mask

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// AuthorsTieNoise is the standard deviation of the noise by which the authors' program breaks ties between gradients.
const AuthorsTieNoise = 1e-6

// BatchedGradientSIS masks the pixels of many images at once. With M the masks, 0 at first, each iteration evaluates
//
//	c = softmax f((1-M)·x + M·filler)[class],  g = ∂(Σ c)/∂M
//
// and masks in each image those k pixels, of the ones still there, whose g is largest: whose removal lowers the
// probability least, to first order. It makes ⌈H·W/k⌉ iterations, where [SIS] would evaluate every pixel in each.
// Carter et al., "Overinterpretation reveals image classification model pathologies", NeurIPS 2021, section 3.
type BatchedGradientSIS struct {
	// K is how many pixels an iteration masks; 0 means a hundredth of them, rounded up. The smaller, the better and
	// slower.
	K int
	// Filler stands where pixels are masked; the zero Filler means [DatasetMean], as in the paper.
	Filler Filler
	// Iterations ends the run early; 0 goes on until everything is masked.
	Iterations int
	// TieNoise is the standard deviation of normal noise that is added to g, as [AuthorsTieNoise]. With 0 the first
	// pixel in reading order goes first of those with equal gradients, and runs are alike.
	TieNoise float64
	// Seed makes the noise.
	Seed int64
}

// BackSelect returns the order in which each image's pixels are masked. images is [N, H, W, C] float32 in 0..1. The
// classes, as in the model's TargetClasses, are by default those predicted for the whole images, and stay the same all
// along.
//
// Interrupted, it returns what it has beside the error: the images that are done, and those of the batch under way as
// far as they are; nil if nothing is.
//
// The program is compiled once for each batch size and k. An iteration is one call of it, and what it changes stays on
// the device: all that is read meanwhile is a probability for each image. (It is no loop on the device, as [model.Loop]
// makes, because the choice of the k largest sorts, and GoMLX 0.28 cannot sort in a loop's body. Finding them there by
// counting takes 60 ms for 256 images of 32x32 on two cores, where a call with the sort takes 1.3.)
func (b BatchedGradientSIS) BackSelect(m *model.Model, images *tensors.Tensor, classes ...int) (*Ordering, error) {
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	d := images.Shape().Dimensions
	n, positions := d[0], d[1]*d[2]
	k := b.K
	if k == 0 {
		k = (positions + 99) / 100
	}
	if k < 1 || k > positions {
		return nil, fmt.Errorf("mask: k is %d, an iteration masks between 1 and %d of an image's pixels", k, positions)
	}
	if b.Iterations < 0 {
		return nil, fmt.Errorf("mask: %d iterations cannot be; 0 goes on until everything is masked", b.Iterations)
	}
	if !(b.TieNoise >= 0) || math.IsInf(b.TieNoise, 0) {
		return nil, fmt.Errorf("mask: the tie noise's standard deviation is %v; it is not negative, and small, as %v",
			b.TieNoise, AuthorsTieNoise)
	}
	filler := b.Filler
	if filler.fill == nil {
		filler = DatasetMean(m)
	}
	iterations := (positions + k - 1) / k
	if b.Iterations > 0 {
		iterations = min(iterations, b.Iterations)
	}
	fill, err := filled(images, filler)
	if err != nil {
		return nil, err
	}
	size := m.ChunkSize(n)
	run, err := m.Exec(backSelectKey{k, b.TieNoise}, func(in []*graph.Node) []*graph.Node {
		return gradientBackSelect(m, k, b.TieNoise, in)
	})
	if err != nil {
		return nil, err
	}
	allMasked, err := m.Map("probability of a class", probabilityKey{}, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.ConvertDType(m.ClassProbabilities(m.Call(in[0]).Logits, in[1]), dtypes.Float32)}
	}, fill, model.ClassTensor(classes))
	if err != nil {
		return nil, err
	}
	probabilityMasked, err := tensors.CopyFlatData[float32](allMasked[0])
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	noise, err := graph.RNGStateFromSeed(b.Seed)
	if err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}

	o := newOrdering("batched gradient SIS", m, images, k, filler)
	bar := progress.New(m.Name()+": order of the pixels", n*iterations)
	defer bar.Close()
	var placed []*tensors.Tensor // the batch on the device
	defer func() { model.Free(placed...) }()
	for lo := 0; lo < n; lo += size {
		hi := min(lo+size, n)
		model.Free(placed...)
		placed = nil
		var fixed []any
		for _, t := range []*tensors.Tensor{images, fill, model.ClassTensor(classes)} {
			part, err := model.PlaceRows(t, lo, hi, size)
			if err != nil {
				return nil, err
			}
			fixed, placed = append(fixed, part), append(placed, part)
		}
		rank := tensors.FromScalarAndDimensions(there, size, positions)
		before := make([][]float32, hi-lo)
		var stopped error
		for t := range iterations {
			if stopped = interrupt.Err(); stopped != nil {
				stopped = interrupt.After(stopped, "mask: batched gradient SIS", lo, n, "images")
				break
			}
			next, err := run.Call(append(fixed[:len(fixed):len(fixed)], rank, int32(t*k), noise)...)
			if err != nil {
				return nil, fmt.Errorf("mask: batched gradient SIS: %w", err)
			}
			model.Free(rank, noise)
			rank, noise = next[0], next[1]
			probabilities, err := tensors.CopyFlatData[float32](next[2])
			if err != nil {
				return nil, fmt.Errorf("mask: %w", err)
			}
			model.Free(next[2])
			for i := range before {
				if v := probabilities[i]; v != v {
					return nil, fmt.Errorf(
						"mask: the probability of image %d is not a number with %d pixels masked: the network overflows", lo+i, t*k)
				}
				before[i] = append(before[i], probabilities[i])
			}
			bar.Add(hi - lo)
		}
		if len(before[0]) > 0 {
			ranks, err := tensors.CopyFlatData[int32](rank)
			if err != nil {
				return nil, fmt.Errorf("mask: %w", err)
			}
			for i := range before {
				o.add(m, classes[lo+i], ranks[i*positions:(i+1)*positions], before[i], probabilityMasked[lo+i])
			}
		}
		if stopped != nil {
			if o.Len() == 0 {
				return nil, stopped
			}
			return o, stopped
		}
	}
	return o, nil
}

type (
	backSelectKey struct {
		pixels   int
		tieNoise float64
	}
	probabilityKey struct{}
)

// there is the rank of pixels that are still there.
const there = int32(math.MaxInt32)

// gradientBackSelect is one iteration for a batch. in are the images and the filler, [B, H, W, C], the classes, [B]
// int32, the ranks of the pixels, [B, H·W] int32, the number of pixels masked so far, int32, and a random number
// generator's state. It returns the new ranks and state, and the probabilities before, [B].
func gradientBackSelect(m *model.Model, k int, noise float64, in []*graph.Node) []*graph.Node {
	x, fill, classes, rank, done, rng := m.Cast(in[0]), m.Cast(in[1]), in[2], in[3], in[4], in[5]
	g := x.Graph()
	d := x.Shape().Dimensions
	size, positions := d[0], d[1]*d[2]

	gone := graph.LessThan(rank, graph.Const(g, there))
	mask := m.Cast(graph.ConvertDType(gone, dtypes.Float32))
	over := graph.Reshape(mask, size, d[1], d[2], 1)
	mixed := graph.Add(graph.Mul(graph.OneMinus(over), x), graph.Mul(over, fill))
	probability := m.ClassProbabilities(m.Call(mixed).Logits, classes)
	// The choice is by single precision, as the authors make it, also of a network in double precision.
	gradient := graph.ConvertDType(graph.Gradient(graph.ReduceAllSum(probability), mask)[0], dtypes.Float32)
	if noise > 0 {
		var z *graph.Node
		rng, z = graph.RandomNormal(rng, shapes.Make(dtypes.Float32, size, positions))
		gradient = graph.Add(gradient, graph.MulScalar(z, noise))
	}
	// Pixels that are gone come last. Where fewer than k are left some of them are chosen too, and the smaller rank
	// that they have stays.
	_, chosen := graph.TopK(graph.Where(gone, graph.Infinity(g, dtypes.Float32, -1), gradient), k, 1) // [B, k]
	row := graph.Iota(g, chosen.Shape().Clone(), 0)
	place := graph.Iota(g, chosen.Shape().Clone(), 1)
	at := graph.Add(graph.Mul(row, graph.Const(g, int32(positions))), chosen)
	rank = graph.ScatterMin(
		graph.Reshape(rank, size*positions),
		graph.Reshape(at, size*k, 1),
		graph.Reshape(graph.Add(done, place), size*k), false, true)
	return []*graph.Node{graph.Reshape(rank, size, positions), rng, graph.ConvertDType(probability, dtypes.Float32)}
}
