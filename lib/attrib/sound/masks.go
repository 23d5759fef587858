package sound

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/internal/paced"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Loss is what learning a mask makes small, of the probabilities p that the network gives to the mixed images on the
// average over what stands behind the mask.
type Loss int

// The losses, for the label a.
const (
	// CrossEntropy is -log p_a.
	CrossEntropy Loss = iota
	// DoubleSoftmax is -p_a + log Σ_k exp p_k: what the authors' program computes, whose CrossEntropyLoss takes the
	// probabilities for logits and puts them through a second softmax. It never comes below -1 + log(e + K - 1), and
	// its pull fades where p_a is small.
	DoubleSoftmax
)

func (l Loss) String() string {
	return map[Loss]string{CrossEntropy: "cross entropy", DoubleSoftmax: "double softmax"}[l]
}

// Masks learns, for each image x and label a, the mask M that keeps as few pixels as suffice for the network to say a:
// with θ of the image's size over Scale, M = enlarged sigmoid θ, and other images γ drawn anew for each step, Adam
// makes small
//
//	Loss(mean over γ of softmax f(M·x + (1-M)·γ), a) + L1 Σ M + TV Σ |∇M|²
//
// from θ = 0 on, that is from M = 1/2 everywhere. |∇M|² is the sum of squared forward differences to the right and
// down, at all pixels but those of the last row and column, as in the authors' code. [PaperMasks] returns the paper's
// settings; the zero values of L1, TV and Scale are no sparsity, no smoothness and no enlarging.
//
// It is an [attrib.Method] too.
type Masks struct {
	// Others are the images from which γ is drawn, with replacement, [M, H, W, C] float32 in 0..1: the authors take a
	// hundred of the training images.
	Others *tensors.Tensor
	// Scale says how many pixels a value of θ has at each side; 0 means 1. Enlarging is bilinear.
	Scale int
	// L1 weighs the sum of M, and TV its squared differences. The sum grows with the number of pixels, and the squared
	// differences of a mask that is enlarged do not.
	L1, TV float64
	// Steps of Adam; 0 means 2000.
	Steps int
	// LearningRate is Adam's; 0 means 0.05. Its other constants are 0.9, 0.999 and 1e-8.
	LearningRate float64
	// Fillers are how many γ a step averages over; 0 means 10.
	Fillers int
	// Loss is by default the cross entropy.
	Loss Loss
	// Seed is that of the draws of γ. Each pair has draws of its own, so its mask does not depend on what is learnt
	// beside it.
	Seed uint64
}

// PaperMasks returns the settings of the paper's full method for a model, with TV and enlarging, as the authors'
// program has them (github.com/agup/soundness_saliency): [DoubleSoftmax], Scale 4, TV 0.01, 2000 steps of 0.05 with 10
// γ each, and L1 2e-5 for images of 224x224, which here is as much more as the model's images have fewer pixels, so
// that a mask that covers everything always costs the same.
func PaperMasks(m *model.Model, others *tensors.Tensor) Masks {
	spec := m.Spec()
	return Masks{Others: others, Scale: 4, TV: 0.01, L1: 2e-5 * (224 * 224 / float64(spec.Height*spec.Width)),
		Steps: 2000, LearningRate: 0.05, Fillers: 10, Loss: DoubleSoftmax}
}

// Name is "learned mask", with what tells it from the plainest.
func (l Masks) Name() string {
	name := "learned mask"
	if l.TV > 0 {
		name += fmt.Sprintf(", TV %g", l.TV)
	}
	if l.Scale > 1 {
		name += fmt.Sprintf(", 1/%d size", l.Scale)
	}
	if l.Loss != CrossEntropy {
		name += ", " + l.Loss.String()
	}
	return name
}

// LearnedMasks are masks with how they came about.
type LearnedMasks struct {
	Maps // the masks, in 0..1
	// Loss is for each image and label that of each step, before it: [N][L][steps done]. It holds the terms of L1 and
	// TV.
	Loss [][][]float64
}

// Attribute implements [attrib.Method]: Values are the masks, [N, H, W, 1].
func (l Masks) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*attrib.Attribution, error) {
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	labels := make([][]int, len(classes))
	for i, c := range classes {
		labels[i] = []int{c}
	}
	learned, err := l.Learn(m, images, labels)
	if err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[float32](learned.Values)
	if err != nil {
		return nil, fmt.Errorf("sound: %w", err)
	}
	a := &attrib.Attribution{Method: l.Name(), Classes: classes}
	for _, names := range learned.ClassNames {
		a.ClassNames = append(a.ClassNames, names[0])
	}
	d := images.Shape().Dimensions
	a.Values = tensors.FromFlatDataAndDimensions(flat, d[0], d[1], d[2], 1)
	return a, nil
}

// Learn learns a mask for each image, [N, H, W, C] float32 in 0..1, and each of its labels, [N][L] such as [All] or
// [Likeliest] name.
//
// Many pairs are learnt at once, and the steps are a loop on the device that comes back a few times a second to see
// whether to go on. Interrupted, Learn returns the masks as far as they are beside the error: the length of a pair's
// Loss says how many steps it has had, and those that have had none are 1/2 everywhere.
func (l Masks) Learn(m *model.Model, images *tensors.Tensor, labels [][]int) (*LearnedMasks, error) {
	p, err := pairsOf(m, images, labels)
	if err != nil {
		return nil, err
	}
	if l, err = l.complete(m); err != nil {
		return nil, err
	}
	n := len(p.classes)
	draws := make([]*rand.Rand, n)
	for i := range draws {
		draws[i] = rand.New(rand.NewPCG(l.Seed, uint64(i)))
	}
	others := l.Others.Shape().Dimensions[0]
	return l.learn(m, p, func(pair, _, _ int) int { return draws[pair].IntN(others) })
}

// complete checks the settings and puts defaults in.
func (l Masks) complete(m *model.Model) (Masks, error) {
	if l.Scale == 0 {
		l.Scale = 1
	}
	if l.Steps == 0 {
		l.Steps = 2000
	}
	if l.LearningRate == 0 {
		l.LearningRate = 0.05
	}
	if l.Fillers == 0 {
		l.Fillers = 10
	}
	spec := m.Spec()
	ok := func(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }
	switch {
	case l.Others == nil:
		return l, fmt.Errorf(
			"sound: masks are learnt with other images behind them: give some as Others, such as a hundred to train on")
	case l.Scale < 0 || l.Scale > min(spec.Height, spec.Width):
		return l, fmt.Errorf("sound: a mask enlarged %d times for images of %dx%d: Scale lies between 1 and %d", l.Scale,
			spec.Height, spec.Width, min(spec.Height, spec.Width))
	case !ok(l.L1) || !ok(l.TV):
		return l, fmt.Errorf("sound: L1 is %v and TV is %v: neither is negative", l.L1, l.TV)
	case l.Steps < 0 || l.Fillers < 0:
		return l, fmt.Errorf("sound: %d steps with %d fillers each: give positive numbers, or 0 for 2000 and 10",
			l.Steps, l.Fillers)
	case !ok(l.LearningRate):
		return l, fmt.Errorf("sound: the learning rate is %v, it is positive; 0 means 0.05", l.LearningRate)
	case l.Loss != CrossEntropy && l.Loss != DoubleSoftmax:
		return l, fmt.Errorf("sound: there is no loss %d: CrossEntropy and DoubleSoftmax are", l.Loss)
	}
	if _, err := m.TargetClasses(l.Others, []int{0}); err != nil {
		return l, fmt.Errorf("sound: Others: %w", err)
	}
	return l, nil
}

// What the loop's state is made of: what changes comes first.
const (
	theta  = iota // [B, h, w]
	mean          // Adam's mean of gradients
	square        // and of their squares
	losses        // [steps of a call, B]
	changing

	picture = iota - 1 // [B, H, W, C]
	label              // [B] int32
	other              // [M, H, W, C]
	drawn              // which of them, [steps of a call, B, fillers] int32
	down               // enlarges columns, [H, h]
	across             // and rows, [W, w]
	rate               // the learning rate over Adam's correction of the mean, [steps of a call]
	root               // the root of Adam's correction of the squares, [steps of a call]
	weight             // L1 and TV, [2]
)

// masksKey is the program's; what else a run is set to are arguments.
type masksKey struct{ loss Loss }

// learn learns with the other images that draw names for a pair, a step and the number of a filler.
func (l Masks) learn(m *model.Model, p *pairs, draw func(pair, step, filler int) int) (*LearnedMasks, error) {
	spec := m.Spec()
	n := len(p.classes)
	size := l.size(m, n)
	run, err := m.Exec(masksKey{l.Loss}, func(in []*graph.Node) []*graph.Node {
		state := in[2:]
		for i, v := range state {
			if i != label && i != drawn {
				state[i] = m.Cast(v) // learning has the network's precision
			}
		}
		return model.LoopPart(in[0], in[1], state, func(round *graph.Node, s []*graph.Node) []*graph.Node {
			return l.step(m, round, s)
		}, m)[:changing]
	})
	if err != nil {
		return nil, err
	}
	enlarged, err := model.NewExec(func(t, down, across *graph.Node) *graph.Node {
		return graph.ConvertDType(masksOf(m.Cast(t), m.Cast(down), m.Cast(across)), dtypes.Float32)
	})
	if err != nil {
		return nil, err
	}
	height, width := (spec.Height+l.Scale-1)/l.Scale, (spec.Width+l.Scale-1)/l.Scale
	downs, acrosses := enlarging(spec.Height, height, l.Scale), enlarging(spec.Width, width, l.Scale)
	zeros := func(dims ...int) *tensors.Tensor { return tensors.FromScalarAndDimensions(float32(0), dims...) }

	masks := make([]float32, 0, n*spec.Height*spec.Width)
	history := make([][]float64, n)
	var stopped error
	pace := paced.Pace{Most: perCall}
	bar := progress.New(m.Name()+": learning masks", n*l.Steps)
	defer bar.Close()
	behind := l.Others.Shape().Dimensions[0]
	others, err := model.PlaceRows(l.Others, 0, behind, behind)
	if err != nil {
		return nil, err
	}
	placed := []*tensors.Tensor{others}
	defer func() { model.Free(placed...) }()
	for lo := 0; lo < n && stopped == nil; lo += size {
		hi := min(lo+size, n)
		images, err := model.PlaceRows(p.images, lo, hi, size)
		if err != nil {
			return nil, err
		}
		classes, err := model.PlaceRows(model.ClassTensor(p.classes), lo, hi, size)
		if err != nil {
			return nil, err
		}
		model.Free(placed[1:]...) // the last batch
		placed = []*tensors.Tensor{others, images, classes}
		state := []*tensors.Tensor{zeros(size, height, width), zeros(size, height, width), zeros(size, height, width),
			zeros(perCall, size)}
		_, err = pace.Steps(0, l.Steps, func(first, end int) error {
			count := end - first
			fillers := make([]int32, perCall*size*l.Fillers)
			rates, roots := make([]float64, perCall), make([]float64, perCall)
			for t := range count {
				rates[t] = l.LearningRate / (1 - math.Pow(meanDecay, float64(first+t+1)))
				roots[t] = math.Sqrt(1 - math.Pow(squareDecay, float64(first+t+1)))
				for i := range hi - lo {
					for f := range l.Fillers {
						fillers[(t*size+i)*l.Fillers+f] = int32(draw(lo+i, first+t, f))
					}
				}
			}
			next, err := run.Call(int32(0), int32(count), state[theta], state[mean], state[square], state[losses], images,
				classes, others,
				tensors.FromFlatDataAndDimensions(fillers, perCall, size, l.Fillers), downs, acrosses,
				tensors.FromFlatDataAndDimensions(rates, perCall), tensors.FromFlatDataAndDimensions(roots, perCall),
				[]float64{l.L1, l.TV})
			if err != nil {
				return fmt.Errorf("sound: learning masks: %w", err)
			}
			model.Free(state...)
			state = next
			values, err := float64s(state[losses])
			if err != nil {
				return err
			}
			for t := range count {
				for i := range hi - lo {
					v := values[t*size+i]
					if math.IsNaN(v) || math.IsInf(v, 0) {
						pair := lo + i
						return fmt.Errorf("sound: the loss of image %d and label %d is %v in step %d: the network overflows, or the "+
							"learning rate %v is too large",
							pair/len(p.labels[0]), p.classes[pair], v, first+t, l.LearningRate)
					}
					history[lo+i] = append(history[lo+i], v)
				}
			}
			bar.Add((hi - lo) * count)
			return nil
		})
		if stopped = interrupt.After(err, "sound: learning masks", lo, n, "pairs of image and label"); stopped != nil &&
			!interrupt.Is(err) {
			return nil, err
		}
		done, err := enlarged.Call1(state[theta], downs, acrosses)
		if err != nil {
			return nil, fmt.Errorf("sound: %w", err)
		}
		flat, err := tensors.CopyFlatData[float32](done)
		if err != nil {
			return nil, fmt.Errorf("sound: %w", err)
		}
		masks = append(masks, flat[:(hi-lo)*spec.Height*spec.Width]...)
	}
	for len(masks) < cap(masks) {
		masks = append(masks, 0.5)
	}
	maps, err := p.maps(m, l.Name(), tensors.FromFlatDataAndDimensions(masks, n, spec.Height, spec.Width))
	if err != nil {
		return nil, err
	}
	learned := &LearnedMasks{Maps: *maps}
	for i, of := range p.labels {
		learned.Loss = append(learned.Loss, history[i*len(of):(i+1)*len(of)])
	}
	return learned, stopped
}

// perCall is how many steps a call makes at most: it holds the draws and the losses of so many.
const perCall = 50

// size is how many of n pairs are learnt at once, so that the network sees its batch of mixed images.
func (l Masks) size(m *model.Model, n int) int {
	most := max(m.ChunkSize(1<<30)/l.Fillers, 1)
	batches := (n + most - 1) / most
	return (n + batches - 1) / batches
}

// Adam's constants.
const (
	meanDecay   = 0.9
	squareDecay = 0.999
	epsilon     = 1e-8
)

// step is one step of learning, of all pairs of a batch. It is no learn.Run: each pair is a training of its own, with
// its own draws, loss and end, and what is learnt are the masks of images that come and go, not the weights of a
// network.
func (l Masks) step(m *model.Model, round *graph.Node, in []*graph.Node) []*graph.Node {
	s := append([]*graph.Node(nil), in...)
	zero := graph.Sub(round, round) // a constant would be one with the program's
	now := func(v *graph.Node) *graph.Node {
		dims := append([]int{1}, v.Shape().Dimensions[1:]...)
		start := []*graph.Node{round}
		for range dims[1:] {
			start = append(start, zero)
		}
		part := graph.DynamicSlice(v, start, dims)
		if len(dims) == 1 {
			return graph.Reshape(part)
		}
		return graph.Reshape(part, dims[1:]...)
	}
	masks := masksOf(s[theta], s[down], s[across])
	behind := graph.Gather(s[other], graph.ExpandAxes(now(s[drawn]), -1)) // [B, F, H, W, C]
	d := behind.Shape().Dimensions
	over := graph.Reshape(masks, d[0], 1, d[2], d[3], 1)
	mixed := graph.Add(graph.Mul(over, graph.ExpandAxes(s[picture], 1)), graph.Mul(graph.OneMinus(over), behind))
	logits := m.Call(graph.Reshape(mixed, d[0]*d[1], d[2], d[3], d[4])).Logits
	logits = graph.Reshape(logits, d[0], d[1], -1) // [B, F, K]
	hot := graph.OneHot(s[label], m.NumClasses(), logits.DType())
	var loss *graph.Node
	if l.Loss == DoubleSoftmax {
		probabilities := graph.ReduceMean(m.ProbabilitiesFrom(logits), 1)
		loss = graph.Sub(graph.Log(graph.ReduceSum(graph.Exp(probabilities), -1)),
			graph.ReduceSum(graph.Mul(probabilities, hot), -1))
	} else {
		// By logarithms all along, so that labels far from likely have a gradient too.
		of := graph.ReduceSum(graph.Mul(m.LogProbabilitiesFrom(logits), graph.ExpandAxes(hot, 1)), -1) // [B, F]
		most := graph.StopGradient(graph.ReduceAndKeep(of, graph.ReduceMax, 1))
		mean := graph.ReduceMean(graph.Exp(graph.Sub(of, most)), 1)
		loss = graph.Neg(graph.Add(graph.Log(mean), graph.Squeeze(most, 1)))
	}
	here := graph.Slice(masks, graph.AxisRange(), graph.AxisRange(0, -1), graph.AxisRange(0, -1))
	below := graph.Slice(masks, graph.AxisRange(), graph.AxisRange(1), graph.AxisRange(0, -1))
	beside := graph.Slice(masks, graph.AxisRange(), graph.AxisRange(0, -1), graph.AxisRange(1))
	variation := graph.ReduceSum(graph.Add(graph.Square(graph.Sub(here, below)), graph.Square(graph.Sub(here, beside))), 1,
		2)
	weights := []*graph.Node{graph.Slice(s[weight], graph.AxisRange(0, 1)), graph.Slice(s[weight], graph.AxisRange(1, 2))}
	loss = graph.Add(loss, graph.Add(graph.Mul(graph.ReduceSum(masks, 1, 2), weights[0]),
		graph.Mul(variation, weights[1])))

	gradient := graph.Gradient(graph.ReduceAllSum(loss), s[theta])[0]
	s[mean] = graph.Add(graph.MulScalar(s[mean], meanDecay), graph.MulScalar(gradient, 1-meanDecay))
	s[square] = graph.Add(graph.MulScalar(s[square], squareDecay), graph.MulScalar(graph.Square(gradient), 1-squareDecay))
	length := graph.AddScalar(graph.Div(graph.Sqrt(s[square]), now(s[root])), epsilon)
	s[theta] = graph.Sub(s[theta], graph.Mul(now(s[rate]), graph.Div(s[mean], length)))
	s[losses] = graph.DynamicUpdateSlice(s[losses], graph.ExpandAxes(loss, 0), []*graph.Node{round, zero})
	return s
}

// masksOf are the enlarged sigmoids of θ, [B, H, W].
func masksOf(theta, down, across *graph.Node) *graph.Node {
	return graph.Einsum("bhx,wx->bhw", graph.Einsum("byx,hy->bhx", graph.Sigmoid(theta), down), across)
}

// enlarging is the matrix, [long, short], that enlarges short values bilinearly by scale to the first long: the centres
// of pixels lie where they do in the larger picture, and beyond the outermost centre its value goes on (PyTorch's
// align_corners=False).
func enlarging(long, short, scale int) *tensors.Tensor {
	flat := make([]float32, long*short)
	for i := range long {
		at := min(max((float64(i)+0.5)/float64(scale)-0.5, 0), float64(short-1))
		low := int(at)
		flat[i*short+low] += float32(1 - (at - float64(low)))
		flat[i*short+min(low+1, short-1)] += float32(at - float64(low))
	}
	return tensors.FromFlatDataAndDimensions(flat, long, short)
}

// float64s reads what a network of either precision computed.
func float64s(t *tensors.Tensor) ([]float64, error) {
	if t.DType() == dtypes.Float64 {
		return tensors.CopyFlatData[float64](t)
	}
	flat, err := tensors.CopyFlatData[float32](t)
	if err != nil {
		return nil, fmt.Errorf("sound: %w", err)
	}
	wide := make([]float64, len(flat))
	for i, v := range flat {
		wide[i] = float64(v)
	}
	return wide, nil
}
