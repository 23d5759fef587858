package learn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/internal/wholefile"
	"github.com/loupeml/loupe/lib/internal/left"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/sink"
)

// wave is scale·sin(12.9898·(i+start)) + add, the weights of the oracles' networks.
func wave(add, scale, start float64, dims ...int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(add + scale*math.Sin(12.9898*(float64(i)+start)))
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

// pixelWave are the oracles' images.
func pixelWave(dims ...int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(0.5 + 0.5*math.Sin(78.233*float64(i)))
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

func linearOracle(t *testing.T) (*model.Model, *Tensors) {
	t.Helper()
	m, err := MLP(model.Spec{Height: 3, Width: 2, Channels: 1}, 4, 1)
	if err == nil {
		m, err = m.WithWeights(map[string]*tensors.Tensor{"linear.weight": wave(0, 1, 0, 4, 6),
			"linear.bias": wave(0, 0.1, 1000, 4)})
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := FromTensors(pixelWave(8, 3, 2, 1), []int{0, 1, 2, 3, 0, 1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	return m, data
}

func classify(s *Step) Loss { return s.Classification(s.Call("net", s.Images()).Logits) }

// The oracle is PyTorch and timm, bench/oracles/optimizers.py. After ten steps in single precision weights must agree
// to 1e-5, LARS, whose rate is large, to 1e-4.
func TestOptimizersAgreeWithPyTorch(t *testing.T) {
	const file = "testdata/optimizers.npz"
	m, data := linearOracle(t)
	for name, o := range map[string]Optimizer{
		"sgd":        SGD{LearningRate: 0.3, Momentum: 0.9, Nesterov: true, WeightDecay: 0.05},
		"adam":       Adam{LearningRate: 0.02},
		"adam_decay": Adam{LearningRate: 0.02, Beta1: 0.8, Beta2: 0.95, Epsilon: 1e-3, WeightDecay: 0.1},
		"adamw":      AdamW{LearningRate: 0.02, WeightDecay: 0.1},
		"lars":       LARS{LearningRate: 30, Momentum: 0.9, WeightDecay: 0.05},
		"lamb":       LAMB{LearningRate: 0.02, WeightDecay: 0.05},
	} {
		trained, err := Run{Nets: map[string]*model.Model{"net": m}, Data: data, Sampler: Shuffled(8), Step: classify,
			Optimizer: o, Steps: 10,
			Average: []EMA{{Decay: 0.8}}}.Do()
		if err != nil {
			t.Fatal(name, err)
		}
		weights := weightsOf(t, trained.Nets["net"])
		within := 1e-5
		if name == "lars" {
			within = 1e-4
		}
		for _, part := range []string{"weight", "bias"} {
			if err := approx.All(weights["linear."+part], oracle.Read[float32](t, file, name+"_"+part), within); err != nil {
				t.Errorf("%s: %s: %v", name, part, err)
			}
		}
		if name == "sgd" {
			average := weightsOf(t, trained.Nets["net average"])
			if err := approx.All(average["linear.weight"], oracle.Read[float32](t, file, "average_weight"), 1e-5); err != nil {
				t.Errorf("the average: %v", err)
			}
		}
	}
}

// The oracle is PyTorch's schedulers, bench/oracles/optimizers.py, whose one-cycle counts its 101 steps otherwise.
func TestSchedulesAgreeWithPyTorch(t *testing.T) {
	for name, s := range map[string]Schedule{"cosine": CosineTo(0.01), "one_cycle": OneCycle(0.3),
		"steps": Steps(0.2, 0.3, 0.6, 0.8), "warm_up": WarmUp(0.2, Cosine)} {
		var got []float64
		for i := range 100 {
			got = append(got, s(float64(i)/100))
		}
		if err := approx.All(got, oracle.Read[float64](t, "testdata/optimizers.npz", "schedule_"+name), 1e-9); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A warming average of a weight that never moves is that weight, and the decays are De et al.'s.
func TestDecaysWarmUp(t *testing.T) {
	e := EMA{Decay: 0.9999, WarmUp: true}
	for step, want := range map[int]float64{0: 0.1, 1: 2. / 11, 90: 0.91, 1e6: 0.9999} {
		if got := e.decay(step, 1e6); !approx.Equal(got, want, 1e-12) {
			t.Errorf("the decay of step %d is %v, want %v", step, got, want)
		}
	}
}

// normNet has batch normalisation, and a linear layer.
func normNet(t *testing.T, seed float64) *model.Model {
	t.Helper()
	m, err := model.FromTensors(map[string]*tensors.Tensor{
		"bn.weight": wave(1, 0.1, seed, 1), "bn.bias": wave(0, 0.1, seed, 1), "bn.running_mean": wave(0, 0, 0, 1),
		"bn.running_var": wave(1, 0, 0, 1),
		"linear.weight":  wave(0, 0.2, seed, 3, 64),
	}, model.Spec{Name: "normalised", Height: 8, Width: 8, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			x = b.BatchNorm("bn", x, 1e-5)
			return b.Linear("linear", b.Features(graph.Reshape(x, x.Shape().Dimensions[0], 64)))
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func examples(t *testing.T, n int, seed uint64) *Tensors {
	t.Helper()
	images, labels := bars(n, seed)
	data, err := FromTensors(images, labels)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A student learns from a teacher that stays as it is, a target follows the student, a variable counts the steps.
func TestSeveralNetworksInOneRun(t *testing.T) {
	student, teacher := normNet(t, 0), normNet(t, 50)
	before := weightsOf(t, teacher)
	run := Run{
		Nets:    map[string]*model.Model{"student": student, "teacher": teacher, "target": normNet(t, 50)},
		Data:    examples(t, 64, 1),
		Sampler: Shuffled(16),
		Step: func(s *Step) Loss {
			said, want := s.Call("student", s.Images()), s.Fixed("teacher", s.Images())
			s.Call("target", s.Images())
			count := s.State("count", tensors.FromScalar(float32(0)))
			count.Set(graph.AddScalar(count.Value(), 1))
			scale := s.Parameter("scale", tensors.FromScalar(float32(1)))
			off := graph.Sub(graph.Mul(said.Logits, graph.BroadcastToDims(scale, said.Logits.Shape().Dimensions...)),
				want.Logits)
			return Loss{Each: graph.ReduceSum(graph.Square(off), 1)}
		},
		Optimizer: SGD{LearningRate: 0.002, WeightDecay: 0.01},
		Average:   []EMA{{Net: "student", As: "target", Decay: 0.5}},
		Steps:     60,
	}
	trained, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weightsOf(t, trained.Nets["teacher"]), before) {
		t.Error("the teacher has changed")
	}
	if got := tensors.ToScalar[float32](trained.State["count"]); got != 60 {
		t.Errorf("the steps are counted as %v", got)
	}
	if got := tensors.ToScalar[float32](trained.State["scale"]); got == 1 {
		t.Error("the parameter is not trained")
	}
	loss := trained.History.Loss
	if len(loss) != 60 || !(meanOf(loss[50:]) < 0.5*meanOf(loss[:4])) {
		t.Errorf("the losses are %v", loss)
	}
	target, is := weightsOf(t, trained.Nets["target"]), weightsOf(t, trained.Nets["student"])
	for name, w := range is {
		if err := approx.All(target[name], w, 0.02); err != nil || slices.Equal(target[name], w) {
			t.Errorf("%s of the target is far from the student's or the same: %v", name, err)
		}
	}
	if is["bn.running_mean"][0] == 0 {
		t.Error("the student's running statistics are not updated")
	}
}

// The gradient of microbatches is that of the batch, and so are the weights after steps with momentum.
func TestMicrobatchesAreTheWholeBatch(t *testing.T) {
	run := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: examples(t, 100, 1), Sampler: Shuffled(50),
		Step:      classify,
		Optimizer: SGD{LearningRate: 0.1, Momentum: 0.9}, Steps: 6}
	whole, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	run.Gradient = Mean{Microbatch: 16} // 16, 16, 16 and 2
	parts, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(parts.History.Loss, whole.History.Loss, 1e-5); err != nil {
		t.Error(err)
	}
	if err := approx.All(parts.History.Metrics["accuracy"], whole.History.Metrics["accuracy"], 1e-6); err != nil {
		t.Error(err)
	}
	want := weightsOf(t, whole.Net())
	for name, w := range weightsOf(t, parts.Net()) {
		if err := approx.All(w, want[name], 1e-5); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Poisson batches differ in size, and some are empty, without another program; a step that takes all is a whole batch.
func TestPoissonBatches(t *testing.T) {
	run := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: examples(t, 30, 1), Sampler: Poisson(0.05),
		Step:      classify,
		Optimizer: SGD{LearningRate: 0.1}, Steps: 60}
	before := model.Compilations()
	trained, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	if n := model.Compilations() - before; n != 2 {
		t.Errorf("%d programs are compiled, want one for the examples and one for the update", n)
	}
	sizes := map[float64]int{}
	for i, n := range trained.History.Examples {
		sizes[n]++
		if (n == 0) != math.IsNaN(trained.History.Loss[i]) {
			t.Errorf("the loss of %v examples is %v", n, trained.History.Loss[i])
		}
	}
	if sizes[0] == 0 || sizes[1] == 0 || sizes[2] == 0 || sizes[3] == 0 {
		t.Errorf("the sizes of 60 batches are %v", sizes)
	}
	run.Sampler, run.Steps = Poisson(1), 3
	all, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	run.Sampler = Shuffled(30)
	whole, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	want := weightsOf(t, whole.Net())
	for name, w := range weightsOf(t, all.Net()) {
		if err := approx.All(w, want[name], 1e-6); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Over many draws each example is there as often as the rate says: 30·4000 draws of 0.05 have the deviation 75.
	next, total := Poisson(0.05).Batches(30, 7, 0), 0
	for range 4000 {
		total += len(next())
	}
	if !approx.Equal(total, 6000, 400) {
		t.Errorf("%d examples are drawn, 6000 are meant", total)
	}
}

// A sampler that begins in the middle draws what one does that came there.
func TestSamplersGoOn(t *testing.T) {
	for _, s := range []Sampler{Shuffled(7), Poisson(0.2)} {
		all := s.Batches(30, 3, 0)
		var batches [][]int
		for range 12 {
			batches = append(batches, slices.Clone(all()))
		}
		for from := range 12 {
			later := s.Batches(30, 3, from)
			for k := from; k < 12; k++ {
				if got := later(); !slices.Equal(got, batches[k]) {
					t.Fatalf("%T: batch %d from %d on is %v, want %v", s, k, from, got, batches[k])
				}
			}
		}
	}
	seen := slices.Concat(Shuffled(7).Batches(28, 1, 0)(), nil)
	next := Shuffled(7).Batches(28, 1, 1)
	for range 3 {
		seen = append(seen, next()...)
	}
	slices.Sort(seen)
	for i, v := range seen {
		if v != i {
			t.Fatalf("an epoch has %v", seen)
		}
	}
}

// dataset is images in memory that are read one batch at a time.
type dataset struct{ *Tensors }

func (d dataset) Images(indices ...int) (*tensors.Tensor, error) {
	batch, err := d.Read(indices, 0)
	if err != nil {
		return nil, err
	}
	return batch[0], nil
}

// What is streamed is learnt as what lies in memory is, to the bit.
func TestStreamsAreTensors(t *testing.T) {
	data := examples(t, 90, 1)
	run := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: data, Sampler: Shuffled(16), Step: classify,
		Augment: []Augmentation{Flip{}, Crop{Padding: 1}}, Optimizer: SGD{LearningRate: 0.1}, Epochs: 2, Seed: 5}
	whole, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	if run.Data, err = FromDataset(dataset{data}, data.Labels()); err != nil {
		t.Fatal(err)
	}
	streamed, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weightsOf(t, whole.Net()), weightsOf(t, streamed.Net())) {
		t.Error("what is streamed leads to other weights")
	}
	recipe := Recipe{Epochs: 1, BatchSize: 16, LearningRate: 0.1}
	trained, _, err := recipe.Train(network(t, 1), data.values[0], data.Labels())
	if err != nil {
		t.Fatal(err)
	}
	short, err := recipe.RunOn(network(t, 1), run.Data)
	if err != nil {
		t.Fatal(err)
	}
	if streamed, err = short.Do(); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weightsOf(t, trained), weightsOf(t, streamed.Net())) {
		t.Error("a recipe on what is streamed leads to other weights")
	}
	// Read by numbers that do not come in order, an error of the dataset is the run's.
	run.Data = broken{data}
	if _, err := run.Do(); err == nil || !strings.Contains(err.Error(), "the disk is gone") {
		t.Errorf("a dataset that cannot be read gives %v", err)
	}
}

type broken struct{ *Tensors }

func (b broken) Read(numbers []int, epoch int) ([]*tensors.Tensor, error) {
	if epoch > 0 {
		return nil, errors.New("the disk is gone")
	}
	return b.Tensors.Read(numbers, epoch)
}

// A loss that is no number any more ends the run with the weights before it, wherever its report is read.
func TestALossThatIsNoNumberKeepsTheLastGoodWeights(t *testing.T) {
	run := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: examples(t, 40, 1), Sampler: Shuffled(10),
		Optimizer: SGD{LearningRate: 0.1}, Steps: 30,
		Step: func(s *Step) Loss {
			count := s.State("count", tensors.FromScalar(float32(0)))
			count.Set(graph.AddScalar(count.Value(), 1))
			loss := classify(s)
			bad := graph.Equal(count.Value(), graph.Scalar(s.Graph(), dtypes.Float32, 7))
			loss.Each = graph.Where(bad, graph.Log(graph.Neg(graph.OnesLike(loss.Each))), loss.Each)
			return loss
		}}
	trained, err := run.Do()
	if err == nil || !strings.Contains(err.Error(), "is NaN in epoch 2, step 3: make the learning rate, 0.1, smaller") {
		t.Fatal(err)
	}
	if left.Last() != trained {
		t.Errorf("what a cell finds of it is %v", left.Last())
	}
	if trained.Steps != 6 || len(trained.History.Loss) != 6 || tensors.ToScalar[float32](trained.State["count"]) != 6 {
		t.Errorf("%d steps are told of, %d losses, %v counted", trained.Steps, len(trained.History.Loss),
			trained.State["count"])
	}
	run.Steps, run.Step = 6, classify
	shorter, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weightsOf(t, shorter.Net()), weightsOf(t, trained.Net())) {
		t.Error("the weights are not those before the step")
	}
	// A gradient can be none where the loss is one: that of √0.
	run.Step = func(s *Step) Loss {
		loss := classify(s)
		zero := graph.MulScalar(s.Weight("net", "linear.bias"), 0)
		loss.Plus = graph.ReduceAllSum(graph.Sqrt(zero))
		return loss
	}
	if trained, err = run.Do(); err == nil || !strings.Contains(err.Error(),
		"the gradient of small CNN is not finite in epoch 1, step 1") {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weightsOf(t, trained.Net()), weightsOf(t, network(t, 1))) {
		t.Error("a step without a gradient has changed weights")
	}
}

// long is a run with all that a checkpoint holds.
func long(t *testing.T, path string) Run {
	test := examples(t, 60, 9)
	return Run{
		Nets: map[string]*model.Model{"net": normNet(t, 3)}, Data: examples(t, 70, 1), Sampler: Shuffled(16),
		Optimizer: Adam{LearningRate: 0.003},
		Step: func(s *Step) Loss {
			count := s.State("count", tensors.FromScalar(float32(0)))
			count.Set(graph.Add(count.Value(), graph.Reshape(s.Uniform(1))))
			return classify(s)
		},
		Augment: []Augmentation{Flip{}, Crop{Padding: 2}}, Schedule: Cosine, Steps: 22, Seed: 4,
		Average: []EMA{{Decay: 0.9, WarmUp: true}},
		Every: []Hook{Evaluate{Net: "net", Measure: func(m *model.Model) (float64, error) {
			a, err := m.Accuracy(labeledSet{test})
			return a.Share(), err
		}, Name: "validation", Every: 3}, KeepBest{}},
		Checkpoint: path, CheckpointEvery: 3,
	}
}

// labeledSet is examples as a dataset with labels.
type labeledSet struct{ *Tensors }

func (l labeledSet) Images(indices ...int) (*tensors.Tensor, error) {
	return dataset(l).Images(indices...)
}

func same(t *testing.T, got, want *Trained) {
	t.Helper()
	for name, m := range want.Nets {
		if !reflect.DeepEqual(weightsOf(t, got.Nets[name]), weightsOf(t, m)) {
			t.Errorf("the weights of %s differ", name)
		}
	}
	if !reflect.DeepEqual(got.History, want.History) {
		t.Errorf("the histories differ: %v and %v", got.History, want.History)
	}
	if got.Best != want.Best || got.Steps != want.Steps || !got.State["count"].Equal(want.State["count"]) {
		t.Errorf("%v and %v differ", got, want)
	}
}

// A run that an interrupt or SIGKILL has ended goes on from its checkpoint to the same bits.
func TestARunGoesOnToTheSameBits(t *testing.T) {
	dir := t.TempDir()
	if path := os.Getenv("LOUPE_TEST_CHECKPOINT"); path != "" { // the child
		run := long(t, path)
		run.Every = append(run.Every, killed(10))
		_, err := run.Do()
		t.Fatal("the child lives:", err)
	}
	want, err := long(t, "").noCheckpoint().Do()
	if err != nil {
		t.Fatal(err)
	}
	if want.Best == 0 || len(want.History.Evaluations) != 8 {
		t.Fatalf("the run says %v", want)
	}

	path := filepath.Join(dir, "interrupted.safetensors")
	for range 40 { // as often as it takes
		release := interrupt.Use(testenv.CancelledAfter(6))
		got, err := long(t, path).Do()
		release()
		if err == nil {
			same(t, got, want)
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	again, err := long(t, path).Do() // is done already
	if err != nil {
		t.Fatal(err)
	}
	same(t, again, want)

	path = filepath.Join(dir, "killed.safetensors")
	child := exec.Command(os.Args[0], "-test.run=^TestARunGoesOnToTheSameBits$")
	child.Env = append(os.Environ(), "LOUPE_TEST_CHECKPOINT="+path)
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended with %v: %s", err, out)
	}
	got, err := long(t, path).Do()
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
	if left, _ := filepath.Glob(filepath.Join(dir, ".writing-*")); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

func (r Run) noCheckpoint() Run {
	r.Checkpoint, r.CheckpointEvery = "", 0
	return r
}

// killed kills the process after a step.
type killed int

func (k killed) Due(steps, _, _ int) bool { return steps == int(k) }
func (k killed) Do(*RunState) error       { return syscall.Kill(os.Getpid(), syscall.SIGKILL) }

// What cannot be gone on from is refused in a sentence, and the file stays as it is.
func TestCheckpointsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run.safetensors")
	if _, err := long(t, path).Do(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(r *Run){
		"is of another run, its seed: 4, and here 5": func(r *Run) { r.Seed = 5 },
		"is of another run, its sampler":             func(r *Run) { r.Sampler = Shuffled(8) },
		"is of another run, its optimizer": func(r *Run) {
			r.Optimizer = SGD{LearningRate: 1}
		},
		"its optimizer: learn.Adam{}, and here learn.Adam{WeightDecay: 0.1}": func(r *Run) {
			r.Optimizer = Adam{LearningRate: 0.1, WeightDecay: 0.1}
		},
		"its augmentation: learn.Flip{}, learn.Crop{Padding: 2}, and here learn.Flip{}, learn.Crop{Padding: 3}": func(
			r *Run) {
			r.Augment = []Augmentation{Flip{}, Crop{Padding: 3}}
		},
		"its augmentation: learn.Flip{}, learn.Crop{Padding: 2}, and here none": func(r *Run) { r.Augment = nil },
		"its averages: ": func(r *Run) { r.Average[0].Decay = 0.8 },
		"is of another run, its examples: 70, and here 71": func(r *Run) { r.Data = examples(t, 71, 1) },
		"it has no net/net average/conv1": func(r *Run) {
			r.Nets = map[string]*model.Model{"net": network(t, 1)}
		},
		"has done 22 steps, and here there are 10": func(r *Run) { r.Steps = 10 },
		"its name ends in .safetensors":            func(r *Run) { r.Checkpoint = path + ".bin" },
		"its folder is not there": func(r *Run) {
			r.Checkpoint = filepath.Join(dir, "none",
				"a.safetensors")
		},
	} {
		run := long(t, path)
		change(&run)
		if _, err := run.Do(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	damages := [][]byte{whole[:len(whole)/2], whole[:5], {}}
	for range 6 { // a byte of the arrays
		bad := slices.Clone(whole)
		bad[len(bad)-1-rng.IntN(len(bad)/2)] ^= 1
		damages = append(damages, bad)
	}
	for _, bad := range damages {
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := long(t, path).Do(); err == nil || !strings.Contains(err.Error(), "is damaged") ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("a damaged checkpoint gives %v", err)
		}
		if left, err := os.ReadFile(path); err != nil || !slices.Equal(left, bad) {
			t.Error("the damaged file was changed")
		}
	}
}

// Settings are told alike in every process: no address is in them, and functions are only there or not.
func TestSettingsAreTold(t *testing.T) {
	here := 3
	for want, v := range map[string]any{
		"none": nil, "learn.Views(4)": Views(4), "learn.Adam{}": Adam{}, "learn.Changed": Changed(nil), "*int": &here,
		"learn.SGD{Momentum: 0.9, Decays}":   SGD{Momentum: 0.9, Decays: func(string) bool { return true }},
		"learn.EMA{Net: a, Decay: 0.5}":      EMA{Net: "a", Decay: 0.5},
		"learn.ResizedCrop{Area: [[0.5 1]]}": ResizedCrop{Area: [][2]float64{{0.5, 1}}},
	} {
		if got := settings(v); got != want {
			t.Errorf("%T is told as %q, want %q", v, got, want)
		}
	}
	if got := settings(SGD{LearningRate: 3, Momentum: 0.5}, "LearningRate"); got != "learn.SGD{Momentum: 0.5}" {
		t.Errorf("without its rate it is told as %q", got)
	}
}

// A disk that is full ends the run in a sentence; what it has done and the checkpoint before are kept.
func TestAFullDisk(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run.safetensors")
	if os.Getenv("LOUPE_TEST_CHECKPOINT") != "" {
		t.Skip("needs a process of its own: this one is the child of another test")
	}
	run := long(t, path)
	run.Every = append(run.Every, full{dir})
	trained, err := run.Do()
	if err == nil || !strings.Contains(err.Error(), "cannot be written after step 12, the one before it is as it was") {
		t.Fatal(err)
	}
	if trained == nil || trained.Steps != 12 {
		t.Errorf("what was trained is %v", trained)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	want, err := long(t, "").noCheckpoint().Do()
	if err != nil {
		t.Fatal(err)
	}
	got, err := long(t, path).Do()
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
	if err := wholefile.Write(path, func(w io.Writer) error { return syscall.ENOSPC }); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if again, err := long(t, path).Do(); err != nil {
		t.Error(err)
	} else {
		same(t, again, want)
	}
}

// full takes the folder away before step 12, so that nothing can be written.
type full struct{ dir string }

func (f full) Due(steps, _, _ int) bool { return steps == 11 }
func (f full) Do(*RunState) error       { return os.Rename(f.dir, f.dir+".away") }

// The best weights are returned, and a run that gets no better ends.
func TestTheBestIsKeptAndPatienceEnds(t *testing.T) {
	values := []float64{0.3, 0.5, 0.4, math.NaN(), 0.5, 0.2, 0.1}
	var seen []map[string][]float32
	run := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: examples(t, 40, 1), Sampler: Shuffled(20),
		Step:      classify,
		Optimizer: SGD{LearningRate: 0.1}, Steps: 40,
		Every: []Hook{Evaluate{Name: "v", Measure: func(m *model.Model) (float64, error) {
			seen = append(seen, weightsOf(t, m))
			return values[len(seen)-1], nil
		}}, KeepBest{}, StopWhen{Patience: 4}}}
	trained, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	if trained.Steps != 12 || trained.Best != 4 || trained.Stopped != "v has not become better in 4 evaluations" {
		t.Errorf("the run says %v", trained)
	}
	if !reflect.DeepEqual(weightsOf(t, trained.Net()), seen[1]) {
		t.Error("the weights are not those of the best evaluation")
	}
	if got := fmt.Sprint(trained); !strings.Contains(got, "ended after 12 of 40 steps: v has not") ||
		!strings.Contains(got, "step 4") {
		t.Errorf("the run says %q", got)
	}
	table, err := trained.Table()
	if err != nil || len(table.Rows) != 6 {
		t.Errorf("the table is %v, %v", table, err)
	}
	run.Every = []Hook{KeepBest{}}
	if _, err := run.Do(); err == nil || !strings.Contains(err.Error(), "nothing was evaluated: put an Evaluate before") {
		t.Error(err)
	}
	run.Every = []Hook{KeepBest{Of: "w"}}
	if _, err := run.Do(); err == nil || !strings.Contains(err.Error(), `nothing called "w" was evaluated`) {
		t.Error(err)
	}
}

// notebook keeps what is shown.
type notebook struct {
	bundles []mime.Bundle
	updates []bool
}

func (n *notebook) Display(b mime.Bundle, update bool) {
	if !b.Passing { // no progress bar
		n.bundles, n.updates = append(n.bundles, b), append(n.updates, update)
	}
}

func (n *notebook) Clear(bool) {}

// In a notebook the curves are one output, which shows the whole run at the end; without one nothing is waited for.
func TestTheCurvesAreOneOutput(t *testing.T) {
	run := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: examples(t, 40, 1), Sampler: Shuffled(10),
		Step:      classify,
		Optimizer: SGD{LearningRate: 0.1}, Steps: 12, Every: []Hook{Plot()}}
	if _, err := run.Do(); err != nil { // nowhere to show them
		t.Fatal(err)
	}
	n := &notebook{}
	sink.Use(n)
	defer sink.Use(nil)
	run.Every = []Hook{Plot()}
	if _, err := run.Do(); err != nil {
		t.Fatal(err)
	}
	if len(n.bundles) < 2 { // after the first step, and at the end
		t.Fatalf("%d outputs", len(n.bundles))
	}
	for i, b := range n.bundles {
		if b.ID == "" || b.ID != n.bundles[0].ID || n.updates[i] != (i > 0) {
			t.Errorf("output %d has the ID %q and is an update: %v", i, b.ID, n.updates[i])
		}
	}
	last := n.bundles[len(n.bundles)-1].Data
	if !strings.Contains(last[mime.HTML], "data:image/png") || !strings.Contains(last[mime.Text], "12 steps, loss") {
		t.Errorf("the last output is %.200q", last)
	}
}

func TestRunsSayWhatIsWrong(t *testing.T) {
	good := func() Run {
		return Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: examples(t, 40, 1), Sampler: Shuffled(10),
			Step: classify, Optimizer: SGD{LearningRate: 0.1}, Steps: 1}
	}
	step := func(f func(s *Step) Loss) func(r *Run) { return func(r *Run) { r.Step = f } }
	for says, change := range map[string]func(r *Run){
		"no model to train":                func(r *Run) { r.Nets = nil },
		`the network "net" is nil`:         func(r *Run) { r.Nets["net"] = nil },
		"set Data":                         func(r *Run) { r.Data = nil },
		"Set Sampler":                      func(r *Run) { r.Sampler = nil },
		"without a Step":                   func(r *Run) { r.Step = nil },
		"without an Optimizer":             func(r *Run) { r.Optimizer = nil },
		"1 steps and 2 epochs":             func(r *Run) { r.Epochs = 2 },
		"0 steps and 0 epochs":             func(r *Run) { r.Steps = 0 },
		"batches of 41 from 40":            func(r *Run) { r.Sampler = Shuffled(41) },
		"Poisson sampler of rate 1.5":      func(r *Run) { r.Sampler = Poisson(1.5) },
		"the learning rate is 0":           func(r *Run) { r.Optimizer = Adam{} },
		"a β of Adam's is 1":               func(r *Run) { r.Optimizer = AdamW{LearningRate: 1, Beta2: 1} },
		"decay of an average is 1":         func(r *Run) { r.Average = []EMA{{Decay: 1}} },
		`an average of the network "nett"`: func(r *Run) { r.Average = []EMA{{Net: "nett"}} },
		`and has no weight "conv1.bias" of its shape`: func(r *Run) {
			r.Nets["target"], r.Average = normNet(t, 1), []EMA{{Net: "net", As: "target"}}
		},
		"one of Augment is nil":         func(r *Run) { r.Augment = []Augmentation{Flip{}, nil} },
		"one of Every is nil":           func(r *Run) { r.Every = []Hook{nil} },
		"by Measure: set one":           func(r *Run) { r.Every = []Hook{Evaluate{}} },
		"an evaluation every -1 steps":  func(r *Run) { r.Every = []Hook{Evaluate{On: labeledSet{}, Every: -1}} },
		"a patience of -1":              func(r *Run) { r.Every = []Hook{StopWhen{Patience: -1}} },
		"NaN times as large where 0 of": func(r *Run) { r.Schedule = WarmUp(-1, Cosine) },
		"NaN times as large where 0.5 of": func(r *Run) {
			r.Steps, r.Schedule = 2,
				func(done float64) float64 { return 1 / (1 - 2*done) * 0 }
		},
		"-1 times as large":           func(r *Run) { r.Schedule = func(float64) float64 { return -1 } },
		"a square of 9 pixels cannot": func(r *Run) { r.Augment = []Augmentation{CutOut{9}} },
		"microbatches of -1":          func(r *Run) { r.Gradient = Mean{Microbatch: -1} },
		"true for none": func(r *Run) {
			r.Trainable = func(_, weight string) bool {
				return weight == "lineer"
			}
		},
		`no network "student": it has ["net"]`: step(func(s *Step) Loss {
			return s.Classification(s.Call("student", s.Images()).Logits)
		}),
		`no column "masks": it has`: step(func(s *Step) Loss { s.Column("masks"); return Loss{} }),
		`no weight "linear.wieght" that is trained, did you mean`: step(func(s *Step) Loss {
			s.Weight("net", "linear.wieght")
			return Loss{}
		}),
		"the step has no loss":          step(func(s *Step) Loss { return Loss{} }),
		"one number for each of the 10": step(func(s *Step) Loss { return Loss{Each: graph.ReduceAllSum(s.Images())} }),
		"there is nothing to train": step(func(s *Step) Loss {
			return Loss{Each: CrossEntropy(s.Fixed("net", s.Images()).Logits, s.Labels())}
		}),
		"the label 2: the classes are 0 to 1": step(func(s *Step) Loss {
			return s.Classification(graph.Slice(s.Call("net", s.Images()).Logits, graph.AxisRange(), graph.AxisRange(0, 2)))
		}),
		"is a statistic of the batch": func(r *Run) { r.Nets["net"], r.Sampler = normNet(t, 1), Poisson(0.1) },
	} {
		run := good()
		change(&run)
		trained, err := run.Do()
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") || trained != nil {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
	images, labels := bars(4, 1)
	if _, err := FromTensors(images, labels[:3]); err == nil || !strings.Contains(err.Error(), "3 labels for 4 images") {
		t.Error(err)
	}
}
