package learn

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/left"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/table"
)

// Run is a training run: networks, data, and a step, which is a function that builds a graph. A [Recipe] is the short
// form for one classifier. Distillation, for example, is
//
//	learn.Run{
//		Nets:    map[string]*model.Model{"student": small, "teacher": large},
//		Data:    examples, Sampler: learn.Shuffled(128), Epochs: 10,
//		Augment: []learn.Augmentation{learn.Crop{Padding: 4}, learn.Flip{}},
//		Step: func(s *learn.Step) learn.Loss {
//			said, want := s.Call("student", s.Images()), s.Fixed("teacher", s.Images())
//			return learn.Loss{Each: divergence(want.Logits, said.Logits)}
//		},
//		Optimizer: learn.SGD{LearningRate: 0.1, Momentum: 0.9}, Schedule: learn.Cosine,
//	}.Do()
//
// On one machine the same run gives the same weights, to the bit.
type Run struct {
	// Nets are the run's networks by name. Those that the step calls by [Step.Call] are trained; the models themselves do
	// not change.
	Nets map[string]*model.Model
	// Trainable says which of their weights change; nil means all. Statistics of batch normalisations whose weights do not
	// change stay too.
	Trainable func(net, weight string) bool
	// Data is what is learnt from, and Sampler what of it each step has.
	Data    Source
	Sampler Sampler
	// Augment changes a step's examples on the device, one after the other, before the step gets them.
	Augment []Augmentation
	// Step builds the loss of a step. It is called several times, and must build the same each time.
	Step func(s *Step) Loss
	// Gradient is how the examples' losses become a gradient; nil is [Mean].
	Gradient Gradient
	// Optimizer is how the gradient becomes a step, and Schedule what becomes of its learning rate; nil keeps it.
	Optimizer Optimizer
	Schedule  Schedule
	// Steps is how many steps there are, or Epochs how often all examples are seen: one of the two.
	Steps, Epochs int
	// Seed is that of the order of the examples and of all that is drawn.
	Seed uint64
	// Average are moving averages of networks.
	Average []EMA
	// Every is what is done between steps: [Evaluate], [KeepBest], [StopWhen], [Plot].
	Every []Hook
	// Checkpoint is a file, .safetensors, that keeps where the run is: all of the state and the history. It is written
	// every CheckpointEvery steps, 0 meaning once an epoch, and at the end or an interrupt, as a whole or not at all.
	// A run whose file is there goes on from it, to the same bits as if it had never stopped; one that is done returns at
	// once. Steps, Epochs, Schedule, the learning rate and Every may be others then, all else must be the same; of what
	// another run has otherwise, all but the images and the functions themselves is told apart, and refused.
	Checkpoint      string
	CheckpointEvery int
}

// readEvery is how often the reports of steps are read. To read one waits for its step.
const readEvery = 200 * time.Millisecond

func (r Run) check() error {
	if len(r.Nets) == 0 {
		return fmt.Errorf("learn: there is no model to train")
	}
	for name, m := range r.Nets {
		if m == nil {
			return fmt.Errorf("learn: there is no model to train: the network %q is nil", name)
		}
		if name == "" || strings.ContainsAny(name, "/") {
			return fmt.Errorf("learn: a network called %q: a name is not empty and has no /", name)
		}
	}
	switch {
	case r.Data == nil:
		return fmt.Errorf("learn: there are no examples to learn from: set Data")
	case r.Sampler == nil:
		return fmt.Errorf("learn: what of the data does a step have? Set Sampler, such as learn.Shuffled(128)")
	case r.Step == nil:
		return fmt.Errorf("learn: a run without a Step")
	case r.Steps < 0 || r.Epochs < 0 || (r.Steps == 0) == (r.Epochs == 0):
		return fmt.Errorf("learn: a run of %d steps and %d epochs: set one of the two", r.Steps, r.Epochs)
	case r.CheckpointEvery < 0:
		return fmt.Errorf("learn: a checkpoint every %d steps", r.CheckpointEvery)
	case r.CheckpointEvery > 0 && r.Checkpoint == "":
		return fmt.Errorf("learn: a checkpoint every %d steps needs a file: set Checkpoint", r.CheckpointEvery)
	case r.Optimizer == nil:
		return fmt.Errorf("learn: a run without an Optimizer, such as learn.SGD{LearningRate: 0.1}")
	}
	for _, a := range r.Augment {
		if a == nil || table.IsNil(a) {
			return fmt.Errorf("learn: one of Augment is nil")
		}
	}
	for _, h := range r.Every {
		if h == nil || table.IsNil(h) {
			return fmt.Errorf("learn: one of Every is nil")
		}
		if c, checks := h.(interface{ Check() error }); checks {
			if err := c.Check(); err != nil {
				return err
			}
		}
	}
	return r.Optimizer.Check()
}

// checkSchedule is an error unless the learning rate is a number, and not negative, at each of so many steps.
func (r Run) checkSchedule(total int) error {
	if r.Schedule == nil {
		return nil
	}
	for step := range total {
		done := float64(step) / float64(total)
		if f := r.Schedule(done); !(f >= 0) || math.IsInf(f, 1) {
			return fmt.Errorf("learn: the Schedule makes the learning rate %v times as large where %.3g of the steps are "+
				"done: that is a number, 0 or more", f, done)
		}
	}
	return nil
}

func (r Run) slots() []string {
	if r.Optimizer == nil {
		return nil
	}
	return r.Optimizer.Slots()
}

// title is what bars and errors call the run.
func (r Run) title() string {
	var names []string
	for _, net := range slices.Sorted(maps.Keys(r.Nets)) {
		if name := r.Nets[net].Name(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Do trains. What was trained is returned beside an error too, as far as it came: after an interrupt as it is after the
// last step, and where a loss or a gradient is no number any more as it was before that step. A cell that takes no
// error has it from loupe.Partial.
func (r Run) Do() (*Trained, error) {
	p, err := r.plan()
	if err != nil {
		return nil, err
	}
	d := &onDevice{}
	defer d.close()
	return left.Beside(p.do(d))
}

// do trains with what lies on the device, or will.
func (p *plan) do(d *onDevice) (*Trained, error) {
	e := &engine{plan: p, on: d, history: &History{Epoch: p.epoch, Metrics: map[string][]float64{}}}
	defer e.close()
	if err := e.resume(); err != nil {
		return nil, err
	}
	stopped := e.train()
	trained, err := e.trained()
	if err != nil {
		return nil, err
	}
	return trained, stopped
}

// engine is a run under way.
type engine struct {
	*plan
	done    int // steps
	history *History
	bar     *progress.Bar
	best    map[string]*tensors.Tensor // of [KeepBest], by the state's keys
	bestAt  int

	on             *onDevice
	selection      *Selection        // nil where the data is another source
	zeros          []*tensors.Tensor // sums of nothing
	pending        []*tensors.Tensor // reports that have not been read
	lastRead       time.Time
	stopAfter      bool
	hooksLeft      bool // what is due after the last step is not done
	why            string
	lastCheckpoint int
}

func (e *engine) close() { model.Free(slices.Collect(maps.Values(e.state))...) }

// onDevice is what of a run does not change while it trains.
type onDevice struct {
	pool *Tensors
	// the columns, where they lie on the device; nil for one that comes with each batch
	resident           []*tensors.Tensor
	step, part, finish *model.Program
	looped             *model.Program // of the step's loop
}

func (d *onDevice) close() {
	for _, column := range d.resident {
		if column != nil {
			model.Free(column)
		}
	}
	for _, p := range []*model.Program{d.step, d.looped, d.part, d.finish} {
		if p != nil {
			p.Finalize()
		}
	}
	*d = onDevice{}
}

// train does the steps that are left.
func (e *engine) train() error {
	if !e.hooksLeft && (e.done >= e.total || e.stopAfter) {
		return nil
	}
	if err := e.place(); err != nil {
		return err
	}
	e.lastCheckpoint, e.lastRead = e.done, time.Now()
	e.bar = progress.New(e.r.title()+": training", e.total)
	defer e.bar.Close()
	e.bar.Add(e.done)
	batches := e.r.Sampler.Batches(e.n, e.r.Seed, e.done)
	read := e.reader(batches)
	defer read.stop()
	if e.hooksLeft {
		if err := e.between(); err != nil {
			return err
		}
	}
	for e.done < e.total && !e.stopAfter {
		if err := interrupt.Err(); err != nil {
			return e.interrupted(err)
		}
		err := e.one(read)
		if interrupt.Is(err) {
			return e.interrupted(err)
		} else if err != nil {
			if ours := ours(err); ours != err {
				return ours
			}
			return fmt.Errorf("learn: %s: %w", e.r.title(), err)
		}
		e.done++
		whole := e.done%e.epoch == 0 || e.done == e.total
		if whole || time.Since(e.lastRead) > readEvery || len(e.pending) >= 1000 {
			if err := e.drain(); err != nil {
				return err
			}
		}
		e.bar.Add(1)
		if err := e.between(); err != nil {
			return err
		}
	}
	return nil
}

// between does what is due between two steps.
func (e *engine) between() error {
	if err := e.hooks(); interrupt.Is(err) {
		return e.interrupted(err)
	} else if err != nil {
		return err
	}
	every := e.r.CheckpointEvery
	if every == 0 {
		every = e.epoch
	}
	if e.r.Checkpoint != "" && (e.done%every == 0 || e.done == e.total || e.stopAfter) {
		return e.save()
	}
	return nil
}

// interrupted is the error of an interrupt, after what there is has been written down.
func (e *engine) interrupted(cause error) error {
	err := interrupt.After(cause, "learn: training "+e.r.title(), e.done, e.total, "steps")
	if failed := e.drain(); failed != nil {
		return failed
	}
	if e.r.Checkpoint != "" && e.done > e.lastCheckpoint {
		if failed := e.save(); failed != nil {
			return failed
		}
	}
	return err
}

// place compiles nothing yet; it puts on the device what stays there, unless it is there.
func (e *engine) place() (err error) {
	pool, inMemory := e.r.Data.(*Tensors)
	if selection, ok := e.r.Data.(*Selection); ok {
		pool, inMemory, e.selection = selection.of, true, selection
	}
	if inMemory && e.on.pool != pool {
		e.on.pool = pool
		for i, c := range e.columns {
			values := pool.column(c.Name)
			if e.selection != nil && e.selection.labels != nil && c.Name == Labels {
				values = nil
			}
			var placed *tensors.Tensor
			if values != nil {
				if placed, err = model.PlaceRows(values, 0, pool.Len(), pool.Len()); err != nil {
					return err
				}
			}
			e.on.resident = append(e.on.resident[:i:i], placed)
		}
	}
	resident := make([]bool, len(e.columns))
	for i := range e.on.resident {
		resident[i] = e.on.resident[i] != nil
	}
	if e.parted {
		for _, key := range e.plan.trained {
			e.zeros = append(e.zeros, tensors.FromShape(e.state[key].Shape()))
		}
		e.zeros = append(e.zeros, tensors.FromShape(shapes.Make(floatType, 2+len(e.metrics))))
	}
	switch {
	case e.on.step != nil || e.on.part != nil:
	case !e.parted:
		if e.loop != nil {
			if e.on.looped, err = model.NewExec(e.plan.round(resident)); err != nil {
				return err
			}
		}
		e.on.step, err = model.NewExec(e.plan.whole(resident))
	default:
		if e.on.part, err = model.NewExec(e.plan.part(resident)); err == nil {
			e.on.finish, err = model.NewExec(e.plan.finish)
		}
	}
	return err
}

// scalars are the numbers of the step to come.
func (e *engine) scalars() []float32 {
	done := float64(e.done) / float64(e.total)
	given := []float32{float32(e.rate(e.done)), float32(e.done + 1), float32(done)}
	for _, a := range e.averages {
		given = append(given, float32(a.decay(e.done, e.total)))
	}
	return given
}

// rate is the learning rate of a step, counted from 0.
func (e *engine) rate(step int) float64 {
	factor := 1.0
	if e.r.Schedule != nil {
		factor = e.r.Schedule(float64(step) / float64(e.total))
	}
	return e.r.Optimizer.Rate() * factor
}

// one does one step on the device, without waiting for its report.
func (e *engine) one(read *reader) error {
	given := tensors.FromValue(e.scalars())
	args := func(more ...any) []any {
		all := make([]any, 0, len(e.keys)+1+len(more))
		for _, key := range e.keys {
			all = append(all, e.state[key])
		}
		return append(append(all, given), more...)
	}
	if !e.parted {
		b, err := read.next()
		if err != nil {
			return err
		}
		in := e.inputs(b)
		if e.loop != nil {
			x, err := e.rounds(func(more ...any) ([]*tensors.Tensor, error) {
				return e.on.looped.Call(args(slices.Concat(in, more)...)...)
			})
			if err != nil {
				return err
			}
			defer model.Free(x)
			in = append(in, x)
		}
		out, err := e.on.step.Call(args(in...)...)
		if err != nil {
			return err
		}
		e.take(e.keys, out)
		return nil
	}
	// Until the step is whole, what its parts have moved is kept beside: an interrupt between them takes it back.
	before := maps.Clone(e.state)
	sums := e.zeros
	out, err := func() ([]*tensors.Tensor, error) {
		for more := true; more; {
			b, err := read.next()
			if err != nil {
				return nil, err
			}
			more = b.more
			inputs := e.inputs(b)
			for _, sum := range sums {
				inputs = append(inputs, sum)
			}
			out, err := e.on.part.Call(args(inputs...)...)
			if err != nil {
				return nil, err
			}
			for i, key := range append(slices.Clone(e.moving), failedKey) {
				if e.state[key] != before[key] {
					model.Free(e.state[key])
				}
				e.state[key] = out[i]
			}
			if &sums[0] != &e.zeros[0] {
				model.Free(sums...)
			}
			sums = out[len(e.moving)+1:]
		}
		var inputs []any
		for _, sum := range sums {
			inputs = append(inputs, sum)
		}
		return e.on.finish.Call(args(inputs...)...)
	}()
	if err != nil {
		e.state = before
		return err
	}
	model.Free(sums...)
	for key, was := range before {
		if e.state[key] != was {
			model.Free(was)
		}
	}
	e.take(e.keys, out)
	return nil
}

// take replaces the state by what a step left, and keeps its report to be read.
func (e *engine) take(keys []string, out []*tensors.Tensor) {
	for i, key := range keys {
		model.Free(e.state[key])
		e.state[key] = out[i]
	}
	e.pending = append(e.pending, out[len(keys)])
}

// inputs are a batch as the program takes it.
func (e *engine) inputs(b batchRead) (in []any) {
	numbers := b.numbers
	for i := range e.columns {
		switch {
		case e.on.resident == nil:
			in = append(in, b.values[i])
		case e.on.resident[i] != nil:
			in = append(in, e.on.resident[i])
		default:
			in = append(in, tensors.FromFlatDataAndDimensions(e.selection.labelsOf(numbers), len(numbers)))
		}
	}
	if e.selection != nil {
		numbers = e.selection.numbersOf(numbers)
	}
	in = append(in, tensors.FromFlatDataAndDimensions(numbers, len(numbers)))
	if e.parted {
		in = append(in, tensors.FromFlatDataAndDimensions(b.mask, len(b.mask)))
	}
	return in
}

// drain reads the reports of all steps that are done into the history.
func (e *engine) drain() error {
	defer func() { e.lastRead = time.Now() }()
	for i, report := range e.pending {
		values, err := tensors.CopyFlatData[float32](report)
		if err != nil {
			return fmt.Errorf("learn: %w", err)
		}
		model.Free(report)
		step := e.done - len(e.pending) + i
		count, failed := float64(values[len(values)-2]), int(values[len(values)-1])
		if failed > 0 {
			e.pending, e.done = nil, failed-1
			return e.failure(float64(values[0]) / count)
		}
		e.history.add(e.rate(step), count, values[:len(values)-2], e.metrics)
	}
	e.pending = nil
	if n := len(e.history.Loss); n > 0 {
		e.bar.Say(fmt.Sprintf("loss %.4g", e.history.recent()))
	}
	return nil
}

// NotFinite is the error of a run that a loss or a gradient which is no number has ended, after so many good steps.
type NotFinite struct {
	Step  int
	Loss  float64 // of the step that was not taken; finite where only the gradient was not
	words string
}

func (n *NotFinite) Error() string { return n.words }

// failure is the error of a step whose loss or gradient is no number. What it was to change is as it was before.
func (e *engine) failure(loss float64) error {
	e.state[failedKey] = tensors.FromScalar(int32(0))
	what := fmt.Sprintf("the loss of %s is %v", e.r.title(), loss)
	if !math.IsNaN(loss) && !math.IsInf(loss, 0) {
		what = fmt.Sprintf("the gradient of %s is not finite", e.r.title())
	}
	return &NotFinite{e.done, loss, fmt.Sprintf("learn: %s in epoch %d, step %d: make the learning rate, %v, smaller",
		what, e.done/e.epoch+1, e.done%e.epoch+1, e.r.Optimizer.Rate())}
}

// trained makes models of the state.
func (e *engine) trained() (*Trained, error) {
	out := &Trained{Nets: map[string]*model.Model{}, State: map[string]*tensors.Tensor{}, History: e.history,
		Steps: e.done, Of: e.total, Best: e.bestAt, Private: e.private(e.done), Stopped: e.why}
	for net := range e.models {
		m, err := e.net(net, e.best)
		if err != nil {
			return nil, err
		}
		out.Nets[net] = m
	}
	if len(e.r.Nets) == 1 {
		out.only = slices.Collect(maps.Keys(e.r.Nets))[0]
	}
	for _, prefix := range []string{stateKey(""), parameterKey("")} {
		for _, key := range e.keys {
			if name, ok := strings.CutPrefix(key, prefix); ok {
				clone, err := e.state[key].LocalClone()
				if err != nil {
					return nil, fmt.Errorf("learn: %w", err)
				}
				out.State[name] = clone
			}
		}
	}
	return out, nil
}

// net is a network with the weights it has now, or those of best where it has any.
func (e *engine) net(name string, best map[string]*tensors.Tensor) (*model.Model, error) {
	weights := map[string]*tensors.Tensor{}
	for _, weight := range e.change[name] {
		value := e.state[weightKey(name, weight)]
		if b := best[weightKey(name, weight)]; b != nil {
			value = b
		}
		if value == nil {
			continue
		}
		clone, err := value.LocalClone()
		if err != nil {
			return nil, fmt.Errorf("learn: %w", err)
		}
		weights[weight] = clone
	}
	m := e.models[name]
	if len(weights) == 0 {
		return m, nil
	}
	return m.WithWeights(weights)
}
