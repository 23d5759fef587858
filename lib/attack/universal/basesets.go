package universal

import (
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// BaseSets makes a perturbation for each few images, the base set, that turns them into one class. A Size of 1 is the
// usual targeted attack of single images, by projected gradient descent (Madry et al., ICLR 2018); the larger the sets,
// the more universal the perturbations: Park et al. go from 1 to 256. Each step takes all images of the set; otherwise
// steps are as in [Attack], of one length.
type BaseSets struct {
	Norm     attack.Norm
	Eps      float64 // it has to be more than 0
	Size     int     // images that share a perturbation; 0 means 1
	Steps    int     // 0 means 10, the paper's for single images
	StepSize float64 // 0 means Eps/3
	Seed     uint64  // of the targets, where they are drawn
}

// setsKey is what shapes the program.
type setsKey struct {
	norm      attack.Norm
	eps, step float64
	size      int
}

// On makes the perturbations of a dataset's images in their order: the first Size images have the first perturbation,
// and so on; the last may have fewer. targets are the classes, one for each perturbation; nil draws them uniformly. The
// images' labels do not matter.
//
// Interrupted, it returns the perturbations that are finished beside the error, nil if none is.
func (b BaseSets) On(m *model.Model, ds model.Dataset, targets []int) (*Perturbations, error) {
	images, err := imagesFor(m, ds)
	if err != nil {
		return nil, err
	}
	if b.Size == 0 {
		b.Size = 1
	}
	if b.Steps == 0 {
		b.Steps = 10
	}
	if err := checkBall(b.Norm, b.Eps, b.Steps, &b.StepSize); err != nil {
		return nil, err
	}
	if most := mostImages(m); b.Size < 0 || b.Size > most {
		return nil, fmt.Errorf("universal: base sets of %d images: there is at least one, and of %s at most %d, which go "+
			"through it at once; Attack takes any number", b.Size, m.Name(), most)
	}
	n := ds.Len()
	sets := (n + b.Size - 1) / b.Size
	if targets == nil {
		targets = make([]int, sets)
		rng := rand.New(rand.NewPCG(b.Seed, 0))
		for i := range targets {
			targets[i] = rng.IntN(m.NumClasses())
		}
	}
	if len(targets) != sets {
		return nil, fmt.Errorf("universal: %d targets for %d perturbations of %d images each: give one for each",
			len(targets), sets, b.Size)
	}
	if err := checkTargets(m, targets); err != nil {
		return nil, err
	}
	// A call for each step: in a loop of one call XLA's CPU plugin took four times as long for the same steps.
	exec, err := m.Exec(setsKey{b.Norm, b.Eps, b.StepSize, b.Size},
		func(images, counts, targets, delta *graph.Node) *graph.Node {
			return b.step(m, images, counts, targets, delta)
		})
	if err != nil {
		return nil, err
	}
	together := min(max(m.ChunkSize(n)/b.Size, 1), sets) // base sets
	p := &Perturbations{Size: b.Size, Norm: b.Norm, Eps: b.Eps, Classes: m.Classes()}
	var found []float32
	bar := progress.New(m.Name()+": perturbations", sets)
	defer bar.Close()
	var stopped error
	for lo := 0; lo < sets && stopped == nil; lo += together {
		hi := min(lo+together, sets)
		delta, err := b.chunk(exec, images, targets, lo, hi, together)
		if stopped = interrupt.After(err, "universal: base sets", lo, sets, "perturbations"); stopped != nil {
			if !interrupt.Is(stopped) {
				return nil, stopped
			}
			break
		}
		found, p.Targets = append(found, delta...), append(p.Targets, targets[lo:hi]...)
		bar.Add(hi - lo)
	}
	if len(p.Targets) == 0 {
		return nil, stopped
	}
	p.Deltas = tensors.FromFlatDataAndDimensions(found, len(p.Targets), images.shape[0], images.shape[1], images.shape[2])
	return p, stopped
}

// chunk makes the perturbations of the base sets from lo to hi (excluded), in a program for so many together.
func (b BaseSets) chunk(exec *model.Program, images *images, targets []int, lo, hi, together int) ([]float32, error) {
	last := min(hi*b.Size, images.ds.Len())
	read, err := images.between(lo*b.Size, last)
	if err != nil {
		return nil, err
	}
	// What fills a last set up does not count.
	counts := make([]float32, together*b.Size)
	for i := range last - lo*b.Size {
		counts[i] = 1
	}
	classes := make([]int32, together)
	for i := range classes {
		classes[i] = int32(targets[min(lo+i, hi-1)])
	}
	var state []*tensors.Tensor
	defer func() { model.Free(state...) }()
	rows := []*tensors.Tensor{
		read, tensors.FromFlatDataAndDimensions(counts, len(counts)), tensors.FromFlatDataAndDimensions(classes, together),
		tensors.FromScalarAndDimensions(float32(0), together, images.shape[0], images.shape[1], images.shape[2]),
	}
	for i, size := range []int{together * b.Size, len(counts), together, together} {
		placed, err := model.PlaceRows(rows[i], 0, rows[i].Shape().Dimensions[0], size)
		if err != nil {
			return nil, err
		}
		state = append(state, placed) // on the device until the last step
	}
	for range b.Steps {
		if err := interrupt.Err(); err != nil {
			return nil, err
		}
		next, err := exec.Call1(state[0], state[1], state[2], state[3])
		if err != nil {
			return nil, fmt.Errorf("universal: base sets: %w", err)
		}
		model.Free(state[3])
		state[3] = next
	}
	flat, err := tensors.CopyFlatData[float32](state[3])
	if err != nil {
		return nil, fmt.Errorf("universal: %w", err)
	}
	flat = flat[:(hi-lo)*len(flat)/together]
	for i, v := range flat {
		if v != v {
			return nil, fmt.Errorf("universal: perturbation %d is no number: the network's gradient is none",
				lo+i*(hi-lo)/len(flat))
		}
	}
	return flat, nil
}

// step is one of the descent: images [S·Size, H, W, C], of which those with a count of 1 and not 0 matter [S·Size],
// targets [S], and δ [S, H, W, C] before and after it.
func (b BaseSets) step(m *model.Model, images, counts, targets, delta *graph.Node) *graph.Node {
	d := delta.Shape().Dimensions                  // [S, H, W, C]
	each := func(perSet *graph.Node) *graph.Node { // for every image what is its set's
		dims := append([]int{d[0], b.Size}, perSet.Shape().Dimensions[1:]...)
		flat := append([]int{d[0] * b.Size}, perSet.Shape().Dimensions[1:]...)
		return graph.Reshape(graph.BroadcastToDims(graph.ExpandAxes(perSet, 1), dims...), flat...)
	}
	x := graph.Identity(graph.StopGradient(graph.ClipScalar(graph.Add(images, each(delta)), 0, 1)))
	loss := surprise(m, m.Call(m.Cast(x)).Logits, each(targets))
	gradient := inwards(x, graph.Gradient(graph.ReduceAllSum(loss), x)[0])
	gradient = graph.Mul(gradient, graph.Reshape(counts, -1, 1, 1, 1))
	gradient = graph.ReduceMean(graph.Reshape(gradient, d[0], b.Size, d[1], d[2], d[3]), 1)
	moved := graph.Sub(delta, graph.MulScalar(b.Norm.Direction(gradient), b.StepSize))
	return b.Norm.Within(graph.Scalar(moved.Graph(), moved.DType(), b.Eps), moved)
}
