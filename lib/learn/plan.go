package learn

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// plan is a run that has been checked: its state, a map of tensors on the device, and the programs that change it.
//
// A step is one call of the device, of one program that holds the augmentation, the networks, the gradient and the
// optimizer, and one before it for each round of its [loop], if it has one; or, for microbatches and for batches that
// differ in size, a call for each microbatch, padded to one size, and one for the update. Several steps in one call, in
// a loop on the device, would save a millisecond of each call, but XLA's CPU plugin computed a whole step within a loop
// thirty times slower (of a small CNN, 36 ms alone and 1,500 in a loop, with XLA's own gradients by kernels; a
// convolution by itself is not slower there).
type plan struct {
	r        Run
	gradient Gradient
	models   map[string]*model.Model // the run's networks, and those that are averages
	averages []EMA                   // with names filled in
	columns  []Column
	n        int     // examples
	size     float64 // of a step, in the mean
	exact    bool    // a step has always so many
	rows     int     // examples of a call of the device
	parted   bool    // a step is several calls
	epoch    int     // steps
	total    int

	change     map[string][]string // the weights that may change, by networks
	keys       []string            // of the state, sorted
	state      map[string]*tensors.Tensor
	trained    []string // keys of what the optimizer changes
	moving     []string // keys of what the networks and the step change, such as statistics
	statistics string   // a batch normalisation that takes the batch's; "" for none
	metrics    []string
	loop       *loop                                      // that a program of its own does; nil where there is none
	onto       map[string]func(w *graph.Node) *graph.Node // by keys: see Step.OnTo
}

func weightKey(net, weight string) string { return "net/" + net + "/" + weight }
func slotKey(slot, of string) string      { return "optimizer/" + slot + "/" + of }
func stateKey(name string) string         { return "state/" + name }
func parameterKey(name string) string     { return "parameter/" + name }

const (
	randomKey = "random"
	failedKey = "failed" // the step, counted from 1, whose loss or gradient was no number; 0 while all is well
)

// plan checks a run, and builds its step once without compiling it, to find what state it has.
func (r Run) plan() (*plan, error) {
	p := &plan{r: r, gradient: r.Gradient, models: maps.Clone(r.Nets), averages: slices.Clone(r.Average),
		onto: map[string]func(w *graph.Node) *graph.Node{}}
	if p.gradient == nil {
		p.gradient = Mean{}
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	p.n, p.columns = r.Data.Len(), r.Data.Columns()
	if p.n == 0 || len(p.columns) == 0 {
		return nil, fmt.Errorf("learn: there are no examples to learn from")
	}
	if err := checkData(r.Data, r.Augment); err != nil {
		return nil, err
	}
	if err := r.Sampler.Check(p.n); err != nil {
		return nil, err
	}
	if err := p.gradient.Check(); err != nil {
		return nil, err
	}
	p.size, p.exact = r.Sampler.Size(p.n)
	p.epoch = r.Sampler.Epoch(p.n)
	p.total = r.Steps
	if r.Epochs > 0 {
		p.total = r.Epochs * p.epoch
	}
	if err := r.checkSchedule(p.total); err != nil {
		return nil, err
	}
	if d, private := p.gradient.(DP); private {
		settled, err := d.settle(p.size, float64(p.n), p.total)
		if err != nil {
			return nil, err
		}
		p.gradient = settled
		for _, a := range r.Augment {
			if _, mixes := a.(Mixing); mixes {
				return nil, fmt.Errorf("learn: %T puts several examples into one, which voids the privacy of DP", a)
			}
		}
	}
	switch most := p.gradient.Examples(); {
	case most > 0 && (float64(most) < p.size || !p.exact):
		p.rows, p.parted = most, true
	case p.exact:
		p.rows = int(p.size)
	default: // a batch that is larger by chance takes two calls
		p.rows, p.parted = min(p.n, int(math.Ceil(p.size+4*math.Sqrt(p.size)))), true
	}
	if err := p.findAverages(); err != nil {
		return nil, err
	}
	if err := p.findWeights(); err != nil {
		return nil, err
	}
	traced, err := p.trace()
	if err != nil {
		return nil, ours(err)
	}
	if err := p.start(traced); err != nil {
		return nil, ours(err)
	}
	if err := p.rehearse(); err != nil {
		return nil, ours(err)
	}
	return p, nil
}

// ours is an error of a graph function as this package has put it, or another one whose step or augmentation it is,
// without what else was put in front.
func ours(err error) error {
	if at := strings.LastIndex(err.Error(), "learn: "); at > 0 {
		return errors.New(err.Error()[at:])
	}
	if text := strings.TrimPrefix(err.Error(), "model: "); named.MatchString(text) {
		return errors.New(text)
	}
	return err
}

// named is an error that begins with the name of the package that it comes from.
var named = regexp.MustCompile(`^[a-z]+: `)

// findAverages fills the averages' names in and makes networks of them.
func (p *plan) findAverages() error {
	for i := range p.averages {
		e := &p.averages[i]
		if err := e.check(); err != nil {
			return err
		}
		if e.Net == "" && len(p.r.Nets) == 1 {
			e.Net = slices.Collect(maps.Keys(p.r.Nets))[0]
		}
		of := p.r.Nets[e.Net]
		if of == nil {
			return fmt.Errorf("learn: an average of the network %q, which the run has not", e.Net)
		}
		if e.As == "" {
			e.As = e.Net + " average"
		}
		for _, other := range p.averages[:i] {
			if other.As == e.As {
				return fmt.Errorf("learn: two averages are called %q", e.As)
			}
		}
		if e.As == e.Net {
			return fmt.Errorf("learn: the network %q is to be its own average: call the average otherwise", e.Net)
		}
		if p.models[e.As] == nil {
			p.models[e.As] = of
		}
	}
	for _, e := range p.averages {
		if p.average(e.Net) != nil {
			return fmt.Errorf("learn: an average of %q, which is an average", e.Net)
		}
	}
	return nil
}

// average is the average that a network is; nil for one that is trained.
func (p *plan) average(net string) *EMA {
	for i := range p.averages {
		if p.averages[i].As == net {
			return &p.averages[i]
		}
	}
	return nil
}

// findWeights lists the weights that may change: of every network those for which Trainable is true, and the running
// statistics of their batch normalisations; of an average those of what it averages.
func (p *plan) findWeights() error {
	p.change = map[string][]string{}
	for net, m := range p.r.Nets {
		if p.average(net) != nil {
			continue
		}
		change := func(weight string) bool { return p.r.Trainable == nil || p.r.Trainable(net, weight) }
		for name, w := range m.Weights() {
			if w.DType() == floatType && change(name) && (!m.IsStatistic(name) || change(m.ScaleOf(name))) {
				p.change[net] = append(p.change[net], name)
			}
		}
		slices.Sort(p.change[net]) // one order, one program
	}
	for _, e := range p.averages {
		p.change[e.As] = p.change[e.Net]
		has, of := p.models[e.As].Weights(), p.models[e.Net].Weights()
		for _, name := range p.change[e.Net] {
			if w := has[name]; w == nil || !w.Shape().Equal(of[name].Shape()) {
				return fmt.Errorf("learn: %q is to be the average of %q, and has no weight %q of its shape", e.As, e.Net, name)
			}
		}
	}
	return nil
}

// weights are the nodes of a network's weights that change.
func (p *plan) weights(s *Step, net string) map[string]*graph.Node {
	nodes := map[string]*graph.Node{}
	for _, name := range p.change[net] {
		if node := s.nodes[weightKey(net, name)]; node != nil {
			nodes[name] = node
		}
	}
	return nodes
}

// trace builds a step without compiling it: what it calls, reports and changes is found out so.
func (p *plan) trace() (*Step, error) {
	var s *Step
	first := slices.Min(slices.Collect(maps.Keys(p.r.Nets)))
	err := p.r.Nets[first].Trace(func(g *graph.Graph) {
		nodes := map[string]*graph.Node{}
		for net, names := range p.change {
			for _, name := range names {
				nodes[weightKey(net, name)] = graph.Parameter(g, weightKey(net, name), p.models[net].Weights()[name].Shape())
			}
		}
		nodes[randomKey] = graph.Parameter(g, randomKey, graph.RNGStateShape)
		columns := map[string]*graph.Node{}
		for _, c := range p.columns {
			columns[c.Name] = graph.Parameter(g, "column/"+c.Name, batchShape(p.rows, c))
		}
		s = &Step{p: p, tracing: true, nodes: nodes, called: map[string]bool{}, variables: map[string]*tensors.Tensor{}}
		number := func(name string) *graph.Node { return graph.Parameter(g, name, scalarShape) }
		s.given = scalars{rate: number("rate"), number: number("number"), done: number("done")}
		p.begin(s, g, columns, graph.Parameter(g, "numbers", shapes.Make(dtypes.Int32, p.rows)), nil)
		// Other gradients follow each example through the whole step.
		if _, mean := p.gradient.(Mean); mean && !p.parted {
			s.loop = &loop{}
		}
		_, values := p.forward(s)
		p.metrics = slices.Sorted(maps.Keys(values))
		if s.loop != nil && s.loop.takenOut() {
			p.loop = s.loop
		}
	})
	return s, err
}

// start makes the state that a step needs, which was traced: what networks have, what the step itself keeps, and what
// belongs to the optimizer.
func (p *plan) start(s *Step) error {
	p.state = map[string]*tensors.Tensor{}
	if err := p.startWeights(s); err != nil {
		return err
	}
	for key, start := range s.variables {
		clone, err := start.LocalClone()
		if err != nil {
			return fmt.Errorf("learn: %w", err)
		}
		p.state[key] = clone
		if strings.HasPrefix(key, parameterKey("")) {
			p.trained = append(p.trained, key)
		}
	}
	if len(p.trained) == 0 && len(s.variables) == 0 {
		if !slices.Contains(slices.Collect(maps.Values(s.called)), true) {
			return fmt.Errorf("learn: the step calls no network and has no state: there is nothing to train")
		}
		for net := range s.called {
			m := p.models[net]
			return fmt.Errorf("learn: Trainable is true for none of the %d weights of %s: Weights lists their names",
				len(m.Weights()), m.Name())
		}
	}
	slices.Sort(p.trained)
	for _, slot := range p.r.slots() {
		for _, key := range p.trained {
			p.state[slotKey(slot, key)] = tensors.FromShape(p.state[key].Shape())
		}
	}
	random, err := graph.RNGStateFromSeed(int64(p.r.Seed))
	if err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	p.state[randomKey], p.state[failedKey] = random, tensors.FromScalar(int32(0))
	p.keys = slices.Sorted(maps.Keys(p.state))
	return p.move(s)
}

// startWeights takes the weights of the networks that the step calls, and of their averages, into the state. A
// statistic of a batch normalisation is there only if the step changes it.
func (p *plan) startWeights(s *Step) error {
	for net, names := range p.change {
		of := net // the network whose call changes the statistics
		e := p.average(net)
		if e != nil {
			of = e.Net
		}
		if !s.called[net] && !s.called[of] {
			continue
		}
		m := p.models[net]
		for _, name := range names {
			statistic := m.IsStatistic(name)
			if statistic && s.next[weightKey(of, name)] == nil {
				continue
			}
			key := weightKey(net, name)
			if e == nil && !statistic {
				p.trained = append(p.trained, key)
			}
			clone, err := m.Weights()[name].LocalClone()
			if err != nil {
				return fmt.Errorf("learn: %w", err)
			}
			p.state[key] = clone
		}
	}
	return nil
}

// move lists what the networks and the step change by themselves, and finds statistics of the batch among it.
func (p *plan) move(s *Step) error {
	for _, key := range slices.Sorted(maps.Keys(s.next)) {
		p.moving = append(p.moving, key)
		for net, m := range p.models {
			if name, ok := strings.CutPrefix(key, weightKey(net, "")); ok && p.statistics == "" && m.IsStatistic(name) {
				p.statistics = name
			}
		}
	}
	p.moving = append(p.moving, randomKey)
	slices.Sort(p.moving)
	if p.statistics != "" && p.parted && (!p.exact || int(p.size)%p.rows != 0) {
		return fmt.Errorf("learn: %s is a statistic of the batch, and batches are padded where they differ in size or are "+
			"parted unevenly: take group normalisation, or Shuffled batches that the microbatch divides", p.statistics)
	}
	return nil
}

// rehearse builds the gradient without compiling it, where it is one that may refuse a graph.
func (p *plan) rehearse() error {
	if _, never := p.gradient.(Mean); never {
		return nil
	}
	first := slices.Min(slices.Collect(maps.Keys(p.r.Nets)))
	return p.r.Nets[first].Trace(func(g *graph.Graph) {
		var in []*graph.Node
		parameter := func(name string, shape shapes.Shape) { in = append(in, graph.Parameter(g, name, shape)) }
		for _, key := range p.keys {
			parameter(key, p.state[key].Shape())
		}
		parameter("given", shapes.Make(floatType, 3+len(p.averages)))
		for _, c := range p.columns {
			parameter("column/"+c.Name, batchShape(p.rows, c))
		}
		parameter("numbers", shapes.Make(dtypes.Int32, p.rows))
		if p.parted {
			parameter("mask", shapes.Make(floatType, p.rows))
		}
		s, rest := p.open(in)
		p.read(s, rest, make([]bool, len(p.columns)))
		part, _ := p.forward(s)
		p.gradient.Of(part)
	})
}

func batchShape(rows int, c Column) shapes.Shape {
	return shapes.Make(c.Shape.DType, append([]int{rows}, c.Shape.Dimensions...)...)
}

// begin gives a step its batch.
func (p *plan) begin(s *Step, g *graph.Graph, columns map[string]*graph.Node, numbers, mask *graph.Node) {
	s.Batch = &Batch{g: g, columns: columns, numbers: numbers, mask: mask, views: 1, random: s.nodes[randomKey]}
	s.next = map[string]*graph.Node{}
	if s.called == nil {
		s.called = map[string]bool{}
	}
}

// forward builds the augmentation and the step, and returns the losses and the metrics, each the sum over the examples.
func (p *plan) forward(s *Step) (Part, map[string]*graph.Node) {
	for _, a := range p.r.Augment {
		a.Augment(s.Batch)
	}
	var from []*graph.Node
	for _, name := range slices.Sorted(maps.Keys(s.columns)) {
		from = append(from, s.columns[name])
	}
	from = append(from, s.numbers)
	loss := p.r.Step(s)
	rows, views := p.rows, s.views
	each := func(what string, x *graph.Node) *graph.Node {
		switch {
		case x == nil:
			panic(fmt.Errorf("learn: the step has no %s", what))
		case x.Rank() == 1 && x.Shape().Dimensions[0] == rows*views && views > 1:
			x = graph.ReduceMean(graph.Reshape(x, rows, views), 1)
		case x.Rank() != 1 || x.Shape().Dimensions[0] != rows:
			panic(fmt.Errorf("learn: the %s has the shape %s: it is one number for each of the %d examples of a batch", what,
				x.Shape(), rows))
		}
		x = graph.ConvertDType(x, floatType)
		if s.mask != nil {
			x = graph.Where(graph.GreaterThan(s.mask, graph.ZerosLike(s.mask)), x, graph.ZerosLike(x))
		}
		return x
	}
	part := Part{Each: each("loss", loss.Each), Views: views, Mask: s.mask, Rows: from, Size: p.size,
		BatchStatistics: p.statistics}
	if loss.Plus != nil {
		if !loss.Plus.Shape().IsScalar() {
			panic(fmt.Errorf("learn: what is added to the mean loss is a scalar, not %s", loss.Plus.Shape()))
		}
		part.Plus = graph.ConvertDType(loss.Plus, floatType)
	}
	for _, key := range p.trained {
		part.Weights, part.Names = append(part.Weights, s.nodes[key]), append(part.Names, key)
	}
	sums := map[string]*graph.Node{}
	for name, x := range loss.Metrics {
		if x = graph.StopGradient(x); x.Shape().IsScalar() {
			sums[name] = graph.Mul(graph.ConvertDType(x, floatType), part.Count())
		} else {
			sums[name] = graph.ReduceAllSum(each("metric "+name, x))
		}
	}
	return part, sums
}

// open is a step whose state is the first of the nodes.
func (p *plan) open(in []*graph.Node) (*Step, []*graph.Node) {
	s := &Step{p: p, nodes: map[string]*graph.Node{}}
	for i, key := range p.keys {
		s.nodes[key] = in[i]
	}
	given := in[len(p.keys)]
	at := func(i int) *graph.Node { return graph.Reshape(graph.Slice(given, graph.AxisElem(i))) }
	s.given = scalars{rate: at(0), number: at(1), done: at(2)}
	for i := range p.averages {
		s.given.decays = append(s.given.decays, at(3+i))
	}
	return s, in[len(p.keys)+1:]
}

// read gives a step its batch, from columns that are the batch's, or the whole data's where these lie on the device.
func (p *plan) read(s *Step, in []*graph.Node, resident []bool) (rest []*graph.Node) {
	columns, numbers := map[string]*graph.Node{}, in[len(p.columns)]
	for i, c := range p.columns {
		columns[c.Name] = in[i]
		if resident[i] {
			columns[c.Name] = graph.Gather(in[i], graph.ExpandAxes(numbers, -1))
		}
	}
	rest = in[len(p.columns)+1:]
	var mask *graph.Node
	if p.parted {
		mask, rest = rest[0], rest[1:]
	}
	p.begin(s, numbers.Graph(), columns, numbers, mask)
	return rest
}

// report is what a step tells the host: sums over its examples of the loss and the metrics, and their number.
func (p *plan) report(part Part, sums map[string]*graph.Node) *graph.Node {
	count := part.Count()
	loss := graph.ReduceAllSum(part.Each)
	if part.Plus != nil {
		loss = graph.Add(loss, graph.Mul(part.Plus, count))
	}
	values := []*graph.Node{loss}
	for _, name := range p.metrics {
		values = append(values, sums[name])
	}
	return graph.Stack(append(values, count), 0)
}

// guarded are the next values of what a step changes, or those before it if something in it is no number: so the state
// stays at what it was before the first such step, however late the host hears of it.
func (p *plan) guarded(s *Step, finite *graph.Node) map[string]*graph.Node {
	failed := s.nodes[failedKey]
	well := graph.Equal(failed, graph.ZerosLike(failed))
	ok := graph.LogicalAnd(well, finite)
	out := map[string]*graph.Node{}
	for _, key := range slices.Sorted(maps.Keys(s.next)) {
		out[key] = graph.Where(ok, s.next[key], s.nodes[key])
	}
	out[failedKey] = graph.Where(graph.LogicalAnd(well, graph.LogicalNot(finite)),
		graph.ConvertDType(s.given.number, dtypes.Int32), failed)
	return out
}

// whole is the program of a step that is one call, but for its loop: the state after it, and its report.
func (p *plan) whole(resident []bool) func(in []*graph.Node) []*graph.Node {
	return func(in []*graph.Node) []*graph.Node {
		s, rest := p.open(in)
		rest = p.read(s, rest, resident)
		if p.loop != nil {
			s.loop = &loop{as: loopDone, given: rest[0]}
		}
		part, sums := p.forward(s)
		report := p.report(part, sums)
		next := p.update(s, p.gradient.Of(part), report)
		return p.results(s, next, report)
	}
}

// part is the program of a microbatch: what moves after it, the sums of gradients and reports with its own added.
func (p *plan) part(resident []bool) func(in []*graph.Node) []*graph.Node {
	return func(in []*graph.Node) []*graph.Node {
		s, rest := p.open(in)
		rest = p.read(s, rest, resident)
		part, sums := p.forward(s)
		report := p.report(part, sums)
		gradients := p.gradient.Of(part)
		s.next[randomKey] = s.random
		next := p.guarded(s, finite(report))
		var out []*graph.Node
		for _, key := range p.moving {
			out = append(out, next[key])
		}
		out = append(out, next[failedKey])
		for i, g := range append(gradients, report) {
			out = append(out, graph.Add(rest[i], g))
		}
		return out
	}
}

// finish is the program of the update after the last microbatch.
func (p *plan) finish(in []*graph.Node) []*graph.Node {
	s, rest := p.open(in)
	p.begin(s, in[0].Graph(), nil, nil, nil)
	sums, report := rest[:len(p.trained)], rest[len(p.trained)]
	return p.results(s, p.update(s, sums, report), report)
}

// results are a program's: the state, and the report with the step that failed behind it.
func (p *plan) results(s *Step, next map[string]*graph.Node, report *graph.Node) []*graph.Node {
	var out []*graph.Node
	for _, key := range p.keys {
		if next[key] == nil {
			next[key] = s.nodes[key]
		}
		out = append(out, next[key])
	}
	failed := graph.Reshape(graph.ConvertDType(next[failedKey], floatType), 1)
	return append(out, graph.Concatenate([]*graph.Node{report, failed}, 0))
}

// update builds the optimizer's step and the averages, and returns what the whole step changes.
func (p *plan) update(s *Step, sums []*graph.Node, report *graph.Node) map[string]*graph.Node {
	gradients := p.gradient.Finish(sums, p.size, func(shape shapes.Shape) *graph.Node {
		return noise{s.Batch}.Normal(shape)
	})
	ok := finite(report)
	for i, key := range p.trained {
		g := gradients[i]
		ok = graph.LogicalAnd(ok, finite(g))
		w := Weight{Name: p.weightName(key), Value: s.nodes[key], Gradient: g, Rate: s.given.rate, Number: s.given.number}
		for _, slot := range p.r.slots() {
			w.Slots = append(w.Slots, s.nodes[slotKey(slot, key)])
		}
		next, slots := p.r.Optimizer.Update(w)
		if onto := p.onto[key]; onto != nil {
			if next = onto(next); next == nil || !next.Shape().Equal(w.Value.Shape()) {
				panic(fmt.Errorf("learn: OnTo keeps the shape of %s, %s", w.Name, w.Value.Shape()))
			}
		}
		s.next[key] = next
		for k, slot := range p.r.slots() {
			s.next[slotKey(slot, key)] = slots[k]
		}
	}
	s.next[randomKey] = s.random
	for i, e := range p.averages {
		decay := s.given.decays[i]
		for _, name := range p.change[e.As] {
			key, of := weightKey(e.As, name), weightKey(e.Net, name)
			if s.nodes[key] == nil {
				continue
			}
			now := s.next[of]
			if now == nil {
				now = s.nodes[of]
			}
			s.next[key] = graph.Add(graph.Mul(s.nodes[key], decay), graph.Mul(now, graph.OneMinus(decay)))
		}
	}
	return p.guarded(s, ok)
}

// weightName is the name of a weight or parameter without its network's.
func (p *plan) weightName(key string) string {
	for net := range p.models {
		if name, ok := strings.CutPrefix(key, weightKey(net, "")); ok && slices.Contains(p.change[net], name) {
			return name
		}
	}
	return strings.TrimPrefix(key, parameterKey(""))
}

// finite is whether all of x are numbers, a scalar.
func finite(x *graph.Node) *graph.Node { return graph.LogicalAll(graph.IsFinite(x)) }
