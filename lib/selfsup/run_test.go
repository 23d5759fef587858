package selfsup

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/background"
	"github.com/loupeml/loupe/lib/internal/draw"
	"github.com/loupeml/loupe/lib/internal/graphops"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/parts"
)

const images, side = 24, 6

// net is a backbone with batch normalisation, whose features are 5, and a classifier behind them.
func net(t *testing.T) *model.Model {
	t.Helper()
	testenv.Asset(t, "xla-cpu")
	ones := func(n int, v float32) *tensors.Tensor { return tensors.FromScalarAndDimensions(v, n) }
	m, err := model.FromTensors(map[string]*tensors.Tensor{
		"hidden.weight": oracle.Sines(0.3, 0, 5, side*side), "hidden.bias": oracle.Sines(0.1, 3, 5),
		"bn.weight": ones(5, 1), "bn.bias": ones(5, 0), "bn.running_mean": ones(5, 0), "bn.running_var": ones(5, 1),
		"linear.weight": oracle.Sines(0.3, 7, 3, 5), "linear.bias": ones(3, 0),
	}, model.Spec{Name: "backbone", Height: side, Width: side, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			n := x.Shape().Dimensions[0]
			x = b.Linear("hidden", graph.Reshape(x, n, side*side))
			x = graph.Reshape(b.BatchNorm("bn", graph.Reshape(x, n, 1, 1, 5), 1e-5), n, 5)
			return b.Linear("linear", b.Features(b.ReLU("relu", x)))
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pictures(t *testing.T) *learn.Tensors {
	t.Helper()
	data, err := learn.FromTensors(oracle.Pixels(images, side, side, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// plain is a run of a backbone without a step.
func plain(t *testing.T, steps int) learn.Run {
	return learn.Run{
		Nets: map[string]*model.Model{Backbone: net(t)}, Data: pictures(t), Sampler: learn.Shuffled(8), Steps: steps,
		Optimizer: learn.SGD{LearningRate: 0.05, Momentum: 0.9, WeightDecay: 0.01}, Seed: 1,
	}
}

func trained(t *testing.T, run learn.Run, err error) *learn.Trained {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	out, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func values(x *tensors.Tensor) []float32 { return tensors.MustCopyFlatData[float32](x) }

func mean(of []float64) (sum float64) {
	for _, v := range of {
		sum += v / float64(len(of))
	}
	return sum
}

// falls says whether the losses of a run end below where they began.
func falls(t *testing.T, out *learn.Trained) {
	t.Helper()
	loss := out.History.Loss
	if n := len(loss) / 4; !(mean(loss[len(loss)-n:]) < mean(loss[:n])) {
		t.Errorf("the losses are %v", loss)
	}
}

// A step of MoCo is what it is made of. Both networks begin alike, so that queries are keys, and all is known: the loss
// is InfoNCE of what the network says, the queue has the keys, the target follows, and what lies behind the features
// stays as it was.
func TestMoCo(t *testing.T) {
	run := plain(t, 1)
	run.Sampler = learn.Shuffled(images)
	run, err := MoCo{Queue: 20, Momentum: 0.75, Temperature: 0.2, Out: 4}.Of(run)
	first := trained(t, run, err)
	start := run.Nets[Online]
	x := oracle.Pixels(images, side, side, 1)
	said := call(t, func(in []*graph.Node) []*graph.Node {
		how := model.CallOptions{BatchStats: func(string) bool { return true }}
		q := graphops.Unit(start.CallAs(in[0], how).Logits)
		return []*graph.Node{q, graph.ReduceAllMean(InfoNCE(Contrast(q, q, in[1], nil, nil, 0.2)))}
	}, x, draw.UnitRows(20, 4, 1, 17))
	if want := tensors.ToScalar[float32](said[1]); !approx.Equal(first.History.Loss[0], want, 1e-4) {
		t.Errorf("the loss of the first step is %v, want %v", first.History.Loss[0], want)
	}
	features, keys := values(said[0]), values(first.State["queue"])
	for i := range 20 {
		found := false
		for k := range images {
			found = found || approx.All(keys[4*i:4*i+4], features[4*k:4*k+4], 1e-4) == nil
		}
		if !found {
			t.Errorf("key %d of the queue is no image's", i)
		}
	}
	// The target has a quarter of the way behind it.
	online, target, from := first.Nets[Online].Weights(), first.Nets[Target].Weights(), start.Weights()
	for name, w := range online {
		if strings.HasPrefix(name, "linear.") || strings.HasPrefix(name, "bn.running") {
			continue
		}
		var moved []float64
		for i, v := range values(from[name]) {
			moved = append(moved, 0.75*float64(v)+0.25*float64(values(w)[i]))
		}
		if err := approx.All(values(target[name]), moved, 1e-6); err != nil {
			t.Errorf("%s of the target: %v", name, err)
		}
	}
	backbone, err := Trained(net(t), first)
	if err != nil {
		t.Fatal(err)
	}
	before, after := net(t).Weights(), backbone.Weights()
	for name, w := range before {
		if same, behind := slices.Equal(values(w), values(after[name])), strings.HasPrefix(name, "linear."); same != behind {
			t.Errorf("%s is as it was: %v", name, same)
		}
	}
	// The features of the run's network are the backbone's.
	a, err := first.Nets[Online].Features(x)
	if err != nil {
		t.Fatal(err)
	}
	b, err := backbone.Features(x)
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(values(a), values(b), 1e-6); err != nil || a.Shape().Dimensions[1] != 5 {
		t.Error(a.Shape(), err)
	}
}

// The momentum update of a run is lightly's, over three steps: bench/oracles/selfsup.py.
func TestMomentumUpdateIsLightlys(t *testing.T) {
	single := func(name string, dims ...int) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(oracle.Read[float32](t, losses, name), dims...)
	}
	linear := func(prefix string) *model.Model {
		m, err := model.FromTensors(map[string]*tensors.Tensor{"w": single(prefix+"0", 5, 8), "b": single(prefix+"1", 5)},
			model.Spec{Name: "linear", Height: 1, Width: 1, Channels: 8},
			func(b *model.Builder, x *graph.Node) *graph.Node {
				x = graph.Einsum("nd,kd->nk", graph.Reshape(x, -1, 8), b.Weight("w"))
				return graph.Add(x, graph.ExpandAxes(b.Weight("b"), 0))
			})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	testenv.Asset(t, "xla-cpu")
	data, err := learn.FromTensors(tensors.FromScalarAndDimensions(float32(1), 1, 1, 1, 8), nil)
	if err != nil {
		t.Fatal(err)
	}
	// A rate of 1 along the distance leads the weights to what the oracle's are at each step.
	out := trained(t, learn.Run{
		Nets: map[string]*model.Model{"net": linear("online0_"), "average": linear("average")}, Data: data,
		Sampler: learn.Shuffled(1), Steps: 3,
		Average: []learn.EMA{{Net: "net", As: "average", Decay: 0.9}}, Optimizer: learn.SGD{LearningRate: 1},
		Step: func(s *learn.Step) learn.Loss {
			s.Call("net", s.Images())
			count := s.State("count", tensors.FromScalar(float32(0)))
			var sum *graph.Node
			for i, name := range []string{"w", "b"} {
				w := s.Weight("net", name)
				for step := range 3 {
					is := graph.ConvertDType(graph.Equal(count.Value(), graph.Scalar(s.Graph(), w.DType(), step)), w.DType())
					to := graph.ConstTensor(s.Graph(), single(fmt.Sprintf("online%d_%d", step, i), w.Shape().Dimensions...))
					off := graph.Mul(is, graph.MulScalar(graph.ReduceAllSum(graph.Square(graph.Sub(w, to))), 0.5))
					if sum == nil {
						sum = off
					} else {
						sum = graph.Add(sum, off)
					}
				}
			}
			count.Set(graph.AddScalar(count.Value(), 1))
			return learn.Loss{Each: graph.Reshape(sum, 1)}
		},
	}, nil)
	for i, name := range []string{"w", "b"} {
		if err := approx.All(values(out.Nets["average"].Weights()[name]),
			oracle.Read[float64](t, losses, fmt.Sprintf("averaged%d", i)), 1e-5); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BYOL's predictions come near to what the target makes, and its momentum rises from where it begins to 1 along half a
// cosine.
func TestBYOL(t *testing.T) {
	y := BYOL{Momentum: 0.99, Hidden: 8, Out: 4}
	run, err := y.Of(plain(t, 24))
	out := trained(t, run, err)
	falls(t, out)
	for _, loss := range out.History.Loss {
		if !(loss >= 0 && loss <= 8) {
			t.Errorf("a loss of %v: two squared distances of unit vectors are 0 to 8", loss)
		}
	}
	for i, loss := range out.History.Loss {
		if cosine := out.History.Metrics["cosine"][i]; !approx.Equal(loss, 4-4*cosine, 1e-4) {
			t.Errorf("step %d: the loss is %v and the cosine %v", i, loss, cosine)
		}
	}
	for done, want := range map[float64]float64{0: 0.99, 0.5: 0.995, 1. / 3: 0.9925} {
		if got := y.momentum(done); !approx.Equal(got, want, 1e-12) {
			t.Errorf("the momentum at %v is %v, want %v", done, got, want)
		}
	}
	if target := out.Nets[Target].Weights(); target["predictor.in.weight"] == nil ||
		target["projector.norm.weight"] == nil {
		t.Error("the target lacks a head")
	}
}

// SwAV's prototypes stay unit vectors and, where they are frozen, what they were; its queues fill with unit vectors
// from where they are to.
func TestSwAV(t *testing.T) {
	w := SwAV{Prototypes: 6, Temperature: 0.1, Epsilon: 0.05, Iterations: 3, Hidden: 8, Out: 4, Small: 1, Queue: 12,
		QueueFrom: 0.25, Freeze: 0.999}
	run, err := w.Of(plain(t, 24))
	out := trained(t, run, err)
	falls(t, out)
	for _, used := range out.History.Metrics["used"] {
		if !(used > 1 && used < 6.001) {
			t.Errorf("codes are spread over %v of 6 prototypes", used)
		}
	}
	for _, name := range []string{"queue 0", "queue 1"} {
		x := values(out.State[name])
		for i := 0; i < len(x); i += 4 {
			if length := math.Sqrt(float64(x[i]*x[i] + x[i+1]*x[i+1] + x[i+2]*x[i+2] + x[i+3]*x[i+3])); !approx.Equal(length, 1,
				1e-4) {
				t.Errorf("row %d of %s has the length %v", i/4, name, length)
			}
		}
	}
	start := values(draw.UnitRows(6, 4, 1, 18))
	if err := approx.All(values(out.State["prototypes"]), start, 1e-5); err != nil {
		t.Errorf("frozen prototypes have moved: %v", err)
	}
	w.Freeze, w.Queue, w.Small = 0, 0, 0
	run, err = w.Of(plain(t, 2))
	moved := values(trained(t, run, err).State["prototypes"])
	if approx.All(moved, start, 1e-4) == nil {
		t.Error("prototypes that are not frozen have not moved")
	}
	for i := 0; i < len(moved); i += 4 {
		if square := moved[i]*moved[i] + moved[i+1]*moved[i+1] + moved[i+2]*moved[i+2] +
			moved[i+3]*moved[i+3]; !approx.Equal(square, 1, 1e-5) {
			t.Errorf("prototype %d has the squared length %v", i/4, square)
		}
	}
}

// MoCo takes negatives with the query's background from a third view.
func TestMoCoWithMatchedNegatives(t *testing.T) {
	settings := MoCo{Queue: 16, Momentum: 0.9, Temperature: 0.2, Out: 4, Matched: true}
	run := plain(t, 3)
	masks := make([]int32, images*side*side)
	for i := range masks {
		if p := i % (side * side); p/side > 1 && p/side < 4 && p%side > 1 && p%side < 5 {
			masks[i] = 1
		}
	}
	with, err := pictures(t).With(parts.MasksColumn, tensors.FromFlatDataAndDimensions(masks, images, side, side))
	if err != nil {
		t.Fatal(err)
	}
	run.Data = with
	run.Augment = []learn.Augmentation{background.Swaps{Positive: 0.5, Negative: 0.5}}
	matched, err := settings.Of(run)
	out := trained(t, matched, err)
	for _, loss := range out.History.Loss {
		if !(loss > 0 && loss < 20) {
			t.Errorf("a loss of %v", loss)
		}
	}
	if out.History.Loss[0] == 0 || len(out.History.Metrics["instance"]) != 3 {
		t.Error(out.History.Metrics)
	}
	refused(t, "takes with Matched", func() error { s := settings; s.Matched = false; _, err := s.Of(run); return err }())
	refused(t, "there are 0", func() error { _, err := settings.Of(plain(t, 1)); return err }())
}

func refused(t *testing.T, says string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
		t.Errorf("want an error that says %q, got %v", says, err)
	}
}

func TestRefusals(t *testing.T) {
	for says, change := range map[string]func(*learn.Run){
		`one network, called "backbone", and this one has ["backbone" "other"]`: func(r *learn.Run) {
			r.Nets["other"] = net(t)
		},
		"without Data":            func(r *learn.Run) { r.Data = nil },
		"Set Sampler":             func(r *learn.Run) { r.Sampler = nil },
		"all of one size":         func(r *learn.Run) { r.Sampler = learn.Poisson(0.5) },
		"2 or more":               func(r *learn.Run) { r.Sampler = learn.Shuffled(1) },
		"has a Step already":      func(r *learn.Run) { r.Step = func(*learn.Step) learn.Loss { return learn.Loss{} } },
		"an Average already":      func(r *learn.Run) { r.Average = []learn.EMA{{}} },
		"leave Gradient nil":      func(r *learn.Run) { r.Gradient = learn.DP{Clip: 1, Noise: 1} },
		"not learn.Mean":          func(r *learn.Run) { r.Gradient = learn.Mean{Microbatch: 4} },
		"leave learn.Views out":   func(r *learn.Run) { r.Augment = []learn.Augmentation{learn.Views(2)} },
		"names no features":       func(r *learn.Run) { r.Nets[Backbone] = featureless(t) },
		"smaller than a batch, 8": nil,
	} {
		run := plain(t, 1)
		var err error
		if change == nil {
			w := DefaultSwAV
			w.Queue = 4
			_, err = w.Of(run)
		} else {
			change(&run)
			_, err = DefaultMoCo.Of(run)
		}
		refused(t, says, err)
	}
	for says, settings := range map[string]interface{ Check() error }{
		"MoCo's queue is 0":          MoCo{Temperature: 1, Out: 1},
		"MoCo's temperature is NaN":  MoCo{Queue: 1, Out: 1, Temperature: math.NaN()},
		"MoCo's momentum is 1":       MoCo{Queue: 1, Out: 1, Temperature: 1, Momentum: 1},
		"the head's width is -1":     MoCo{Queue: 1, Out: 1, Temperature: 1, Hidden: -1},
		"the heads' output is 0":     BYOL{Hidden: 1},
		"BYOL's momentum is NaN":     BYOL{Hidden: 1, Out: 1, Momentum: math.NaN()},
		"Sinkhorn's iterations is 0": SwAV{Prototypes: 1, Hidden: 1, Out: 1},
		"-1 small views":             SwAV{Small: -1},
		"prototypes are frozen is 1": SwAV{Prototypes: 1, Hidden: 1, Out: 1, Iterations: 1, Temperature: 1,
			Epsilon: 1, Freeze: 1},
		"before the queue fills is -1": SwAV{Prototypes: 1, Hidden: 1, Out: 1, Iterations: 1, Temperature: 1,
			Epsilon: 1, QueueFrom: -1},
		"the number of SwAV's prototypes is": SwAV{},
	} {
		refused(t, says, settings.Check())
	}
	_, err := Trained(net(t), &learn.Trained{Nets: map[string]*model.Model{Online: featureless(t)}})
	refused(t, "it is another network", err)
	_, err = Trained(net(t), nil)
	refused(t, "there is none", err)
}

func featureless(t *testing.T) *model.Model {
	t.Helper()
	m, err := model.FromTensors(map[string]*tensors.Tensor{"w": oracle.Sines(1, 0, 3, side*side)},
		model.Spec{Name: "featureless", Height: side, Width: side, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.Einsum("nd,kd->nk", graph.Reshape(x, x.Shape().Dimensions[0], side*side), b.Weight("w"))
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
