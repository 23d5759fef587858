package tasks

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// Encoder is the name of the network of a run whose outputs tasks are read from.
const Encoder = "encoder"

// planes is the state of a run that has the hyperplanes, [tasks, D].
const planes = "hyperplanes"

// Discovery looks for tasks with a high agreement score. An encoder maps an image to D numbers h, its outputs, and a
// hyperplane w through their origin is a task: softmax(Temperature·(w·h, -w·h)). In each step of the encoder a
// hyperplane is drawn, two networks learn its task by some steps of gradient descent from where they always begin, and
// their soft agreement on other images is differentiated with respect to the encoder, through all of these steps and
// the gradients in them. So the encoder comes to tell images apart in ways that networks learn alike. For the
// hyperplanes not all to become one task, its outputs are spread over the sphere:
//
//	agreement loss + Uniformity · (log mean_{i<j} exp(-Tau |z_i - z_j|²) + 4 Tau),  z = h/|h|
//
// The uniformity is Wang and Isola's, ICML 2020. The zero Discovery has the released program's numbers, but for Test.
type Discovery struct {
	// Steps is how many steps the two networks learn, of BatchSize images each, and Test on how many others they are
	// compared. 0 means 50, 512 and 512. The program grows with the steps, since each is differentiated through.
	Steps, BatchSize, Test int
	// Rate is the learning rate of the networks' gradient descent; 0 means 0.01. Both learn from the mean of their two
	// losses, as in the released program, so that each one's gradient is half of its own.
	Rate float64
	// Temperature multiplies a task's logits; 0 means 5.
	Temperature float64
	// Tasks is how many hyperplanes there are, at right angles to each other, drawn by Seed; 0 means as many as the
	// encoder has outputs, which is the most.
	Tasks int
	Seed  uint64
	// Uniformity is what the uniformity is multiplied by and Tau how fast it falls; 0 means 5 and 2. With NotUniform
	// there is none.
	Uniformity, Tau float64
	NotUniform      bool
	// NotAgreeing leaves the agreement out of what is minimised, so that the outputs are only spread: what becomes of the
	// same encoder in the same steps where nothing is discovered. The history still says how far the networks agree.
	NotAgreeing bool
	// Apart gives each network one half of a batch, as the released program does unless told otherwise, so that they
	// learn from different images.
	Apart bool
	// FirstOrder leaves out how the gradients of a step depend on the weights before it, as first-order MAML does
	// (Finn, Abbeel and Levine, ICML 2017): an approximation, of which the paper has none of this kind.
	FirstOrder bool
}

func (d Discovery) filled() Discovery {
	whole := func(x *int, otherwise int) {
		if *x == 0 {
			*x = otherwise
		}
	}
	number := func(x *float64, otherwise float64) {
		if *x == 0 {
			*x = otherwise
		}
	}
	whole(&d.Steps, 50)
	whole(&d.BatchSize, 512)
	whole(&d.Test, 512)
	number(&d.Rate, 0.01)
	number(&d.Temperature, 5)
	number(&d.Uniformity, 5)
	number(&d.Tau, 2)
	return d
}

// Images is how many images a step of the encoder needs: the size of the run's Sampler.
func (d Discovery) Images() int {
	d = d.filled()
	return d.Steps*d.BatchSize + d.Test
}

// Check tells what is wrong with the settings.
func (d Discovery) Check() error {
	d = d.filled()
	positive := func(x float64) bool { return x > 0 && !math.IsInf(x, 1) }
	switch {
	case d.Steps < 1 || d.BatchSize < 2 || d.Test < 1:
		return fmt.Errorf(
			"tasks: %d steps of %d images, and %d to compare on: there is one step at least, of two images, and one image",
			d.Steps, d.BatchSize, d.Test)
	case d.Apart && d.BatchSize%2 != 0:
		return fmt.Errorf("tasks: a batch of %d images is not divided in halves", d.BatchSize)
	case !positive(d.Rate) || !positive(d.Temperature) || !positive(d.Uniformity) || !positive(d.Tau):
		return fmt.Errorf("tasks: the rate is %v, the temperature %v, the uniformity %v, its tau %v: they are positive",
			d.Rate, d.Temperature, d.Uniformity, d.Tau)
	case d.NotUniform && d.NotAgreeing:
		return fmt.Errorf("tasks: with neither agreement nor uniformity there is nothing to minimise")
	case d.Tasks < 0:
		return fmt.Errorf("tasks: %d hyperplanes", d.Tasks)
	}
	return nil
}

// Of returns the run that discovers tasks: its Nets are an "encoder", and a "first" and a "second" network of two
// classes, whose weights are where they always begin; Sampler is learn.Shuffled(d.Images()), and it has no Step yet.
// All else is the caller's; the paper has Adam at 0.001. The history has the metric "agreement", the networks'
// agreement score on the test images of a step.
//
// The two networks are differentiated twice. Networks of linear layers and [PatchCNN] can be; learn's and networks'
// convolutions cannot, and neither can max-pooling: an error says which operation it is. Their batch normalisations
// take the statistics of each batch.
func (d Discovery) Of(run learn.Run) (learn.Run, error) {
	if err := d.Check(); err != nil {
		return run, err
	}
	d = d.filled()
	encoder, first, second := run.Nets[Encoder], run.Nets[First], run.Nets[Second]
	switch {
	case len(run.Nets) != 3 || encoder == nil || first == nil || second == nil:
		return run, fmt.Errorf("tasks: the networks of a discovery are %q, %q and %q", Encoder, First, Second)
	case first.NumClasses() != 2 || second.NumClasses() != 2:
		return run, fmt.Errorf("tasks: %q and %q tell %d and %d classes apart: a task has two", First, Second,
			first.NumClasses(), second.NumClasses())
	case encoder.NumClasses() < 1:
		return run, fmt.Errorf("tasks: the encoder's outputs are no vector")
	case run.Step != nil:
		return run, fmt.Errorf("tasks: the run has a Step already: discovery is one")
	case run.Data == nil || run.Sampler == nil:
		return run, fmt.Errorf("tasks: a run without Data or a Sampler, such as learn.Shuffled(%d)", d.Images())
	}
	if size, exact := run.Sampler.Size(run.Data.Len()); !exact || int(size) != d.Images() {
		return run, fmt.Errorf(
			"tasks: a step has %d images, %d steps of %d and %d to compare on: set Sampler to learn.Shuffled(%d)", d.Images(),
			d.Steps, d.BatchSize, d.Test, d.Images())
	}
	width := encoder.NumClasses()
	if d.Tasks == 0 {
		d.Tasks = width
	}
	if d.Tasks > width {
		return run, fmt.Errorf("tasks: %d hyperplanes at right angles do not fit in the encoder's %d outputs", d.Tasks, width)
	}
	across := hyperplanes(d.Tasks, width, d.Seed)
	begin := map[string]map[string]*tensors.Tensor{First: trainable(first), Second: trainable(second)}
	if err := twice(first, d.FirstOrder); err != nil {
		return run, err
	}
	if err := twice(second, d.FirstOrder); err != nil {
		return run, err
	}
	run.Step = func(s *learn.Step) learn.Loss {
		all := s.State(planes, across).Value()
		drawn := graph.ConvertDType(graph.Floor(graph.MulScalar(s.Uniform(1), d.Tasks)), dtypes.Int32)
		var nets [2]network
		for i, name := range []string{First, Second} {
			nets[i].weights = map[string]*graph.Node{}
			for _, weight := range sorted(begin[name]) {
				nets[i].weights[weight] = s.State(name+"/"+weight, begin[name][weight]).Value()
			}
			nets[i].logits = func(x *graph.Node, weights map[string]*graph.Node) *graph.Node {
				return s.CallAs(name, x, model.CallOptions{Weights: weights, BatchStats: func(string) bool { return true }}).Logits
			}
		}
		x := s.Images()
		loss, agreement := d.loss(x, graph.Gather(all, drawn),
			func(x *graph.Node) *graph.Node { return s.Call(Encoder, x).Logits }, nets)
		return learn.Loss{Each: graph.BroadcastToDims(loss, x.Shape().Dimensions[0]),
			Metrics: map[string]*graph.Node{"agreement": agreement}}
	}
	return run, nil
}

// network is one of the two that learn a task, in a graph.
type network struct {
	weights map[string]*graph.Node
	logits  func(x *graph.Node, weights map[string]*graph.Node) *graph.Node
}

func sorted[V any](of map[string]V) []string {
	var names []string
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names) // one order, one program
	return names
}

// trainable are the weights that learn: all but statistics.
func trainable(m *model.Model) map[string]*tensors.Tensor {
	out := map[string]*tensors.Tensor{}
	for name, w := range m.Weights() {
		if w.DType() == dtypes.Float32 && !m.IsStatistic(name) {
			out[name] = w
		}
	}
	return out
}

// loss builds the loss of a step and the agreement score, scalars, from images [Steps·BatchSize + Test, ...] and the
// hyperplane, [D] or [1, D].
func (d Discovery) loss(x, plane *graph.Node, encode func(x *graph.Node) *graph.Node, nets [2]network) (loss,
	agreement *graph.Node) {
	part := func(x *graph.Node, from, to int) *graph.Node { return graph.Slice(x, graph.AxisRange(from, to)) }
	learnt := d.Steps * d.BatchSize
	h := encode(part(x, 0, learnt))
	plane = graph.Reshape(plane, h.Shape().Dimensions[1], 1)
	along := graph.MulScalar(graph.Dot(h, plane).MatMul(), d.Temperature) // [N, 1]
	logits := graph.Concatenate([]*graph.Node{along, graph.Neg(along)}, -1)
	var spread *graph.Node
	for step := range d.Steps {
		from, to := step*d.BatchSize, (step+1)*d.BatchSize
		if u := Uniform(part(h, from, to), d.Tau); spread == nil {
			spread = u
		} else {
			spread = graph.Add(spread, u)
		}
		for i := range nets {
			low, high := from, to
			if d.Apart {
				low, high = from+i*d.BatchSize/2, from+(i+1)*d.BatchSize/2
			}
			nets[i].learn(part(x, low, high), graph.Softmax(part(logits, low, high)), d.Rate/2, d.FirstOrder)
		}
	}
	test := part(x, learnt, learnt+d.Test)
	a, b := nets[0].logits(test, nets[0].weights), nets[1].logits(test, nets[1].weights)
	spread = graph.MulScalar(spread, d.Uniformity/float64(d.Steps))
	switch loss = crossAgreement(a, b); {
	case d.NotAgreeing:
		loss = spread
	case !d.NotUniform:
		loss = graph.Add(loss, spread)
	}
	return loss, graph.ReduceAllMean(learn.Correct(a, graph.ArgMax(b, -1)))
}

// learn is a step of gradient descent on the cross entropy with soft labels, [B, 2].
func (n *network) learn(x, labels *graph.Node, rate float64, firstOrder bool) {
	names := sorted(n.weights)
	from := n.weights
	if firstOrder {
		from = map[string]*graph.Node{}
		for name, w := range n.weights {
			from[name] = graph.Identity(graph.StopGradient(w)) // to a node at which gradients stop there is none either
		}
	}
	said := graph.LogSoftmax(n.logits(x, from))
	loss := graph.Neg(graph.ReduceAllMean(graph.ReduceSum(graph.Mul(labels, said), -1)))
	var at []*graph.Node
	for _, name := range names {
		at = append(at, from[name])
	}
	next := map[string]*graph.Node{}
	for i, g := range graph.Gradient(loss, at...) {
		next[names[i]] = graph.Sub(n.weights[names[i]], graph.MulScalar(g, rate))
	}
	n.weights = next
}

// Uniform is how far outputs h, [N, D], are from being spread over the sphere, a scalar:
//
//	log mean_{i<j} exp(-tau |z_i - z_j|²) + 4 tau,  z = h/|h|
//
// It is 4 tau where all lie in one direction, and never less than 0, which two opposite outputs have.
func Uniform(h *graph.Node, tau float64) *graph.Node {
	d := h.Shape().Dimensions
	if len(d) != 2 || d[0] < 2 {
		panic(fmt.Errorf("tasks: outputs are [N, D] of two images at least, not %s", h.Shape()))
	}
	length := graph.Sqrt(graph.MaxScalar(graph.ReduceAndKeep(graph.Square(h), graph.ReduceSum, -1), 1e-24))
	z := graph.Div(h, length)
	apart := graph.AddScalar(graph.MulScalar(graph.Dot(z, graph.Transpose(z, 0, 1)).MatMul(), -2), 2) // |z_i - z_j|²
	near := graph.Exp(graph.MulScalar(apart, -tau))
	others := make([]float32, d[0]*d[0])
	for i := range others {
		if i/d[0] != i%d[0] {
			others[i] = 1 / float32(d[0]*(d[0]-1))
		}
	}
	mask := graph.ConvertDType(graph.Reshape(graph.Const(h.Graph(), others), d[0], d[0]), h.DType())
	return graph.AddScalar(graph.Log(graph.ReduceAllSum(graph.Mul(near, mask))), 4*tau)
}

// hyperplanes are unit vectors at right angles, [n, width], drawn at random: Gram-Schmidt of normal draws.
func hyperplanes(n, width int, seed uint64) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(seed, 2))
	var all [][]float64
	for len(all) < n {
		v := make([]float64, width)
		for i := range v {
			v[i] = rng.NormFloat64()
		}
		for range 2 { // once more, for what rounding has left
			for _, other := range all {
				dot := 0.0
				for i := range v {
					dot += v[i] * other[i]
				}
				for i := range v {
					v[i] -= dot * other[i]
				}
			}
		}
		length := 0.0
		for _, x := range v {
			length += x * x
		}
		if length = math.Sqrt(length); length < 1e-6 {
			continue
		}
		for i := range v {
			v[i] /= length
		}
		all = append(all, v)
	}
	flat := make([]float32, 0, n*width)
	for _, v := range all {
		for _, x := range v {
			flat = append(flat, float32(x))
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, n, width)
}

// twice is an error that names the operation by which a network cannot be differentiated twice.
func twice(m *model.Model, firstOrder bool) error {
	spec := m.Spec()
	var failed error
	err := m.Trace(func(g *graph.Graph) {
		x := graph.MulScalar(graph.IotaFull(g, shapes.Make(dtypes.Float32, 2, spec.Height, spec.Width, spec.Channels)), 0)
		weights := map[string]*graph.Node{}
		start := trainable(m)
		labels := graph.Parameter(g, "labels", shapes.Make(dtypes.Float32, 2, 2))
		for _, name := range sorted(start) {
			weights[name] = graph.Parameter(g, "start/"+name, start[name].Shape())
		}
		n := network{weights: weights, logits: func(x *graph.Node, weights map[string]*graph.Node) *graph.Node {
			return m.CallAs(x, model.CallOptions{Weights: weights, BatchStats: func(string) bool { return true }}).Logits
		}}
		for range 2 {
			n.learn(x, graph.Softmax(labels), 1, firstOrder)
		}
		graph.Gradient(graph.ReduceAllSum(n.logits(x, n.weights)), labels)
	})
	if err != nil {
		failed = fmt.Errorf(
			"tasks: %s cannot be differentiated twice, as discovery does: %w; take a network of linear layers, or PatchCNN",
			m.Name(), plain(err))
	}
	return failed
}

// plain is an error of a graph function without the package that it comes from.
func plain(err error) error { return errors.New(strings.TrimPrefix(err.Error(), "model: ")) }

// Discovered are the tasks that an encoder has come to, of the images of a dataset: for each hyperplane of the run that
// trained it the side that they lie on, 0 where w·h > 0. They are named by their numbers.
func Discovered(trained *learn.Trained, images model.Dataset) ([]Task, error) {
	if trained == nil || trained.Nets[Encoder] == nil || trained.State[planes] == nil {
		return nil, fmt.Errorf("tasks: there is no run of a discovery: its Nets have an %q", Encoder)
	}
	h, err := trained.Nets[Encoder].OutputOf(images)
	if err != nil {
		return nil, err
	}
	out, err := tensors.CopyFlatData[float32](h)
	if err != nil {
		return nil, fmt.Errorf("tasks: %w", err)
	}
	across, err := tensors.CopyFlatData[float32](trained.State[planes])
	if err != nil {
		return nil, fmt.Errorf("tasks: %w", err)
	}
	d := trained.State[planes].Shape().Dimensions
	n := len(out) / d[1]
	var all []Task
	for k := range d[0] {
		t := Task{Name: fmt.Sprintf("discovered %d", k), Labels: make([]int, n)}
		for i := range n {
			dot := 0.0
			for at, w := range across[k*d[1] : (k+1)*d[1]] {
				dot += float64(w) * float64(out[i*d[1]+at])
			}
			if math.IsNaN(dot) {
				return nil, fmt.Errorf("tasks: the encoder's outputs of image %d are no numbers", i)
			}
			if !(dot > 0) {
				t.Labels[i] = 1
			}
		}
		all = append(all, t)
	}
	return all, nil
}
