package tasks

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// The figures are PyTorch's: bench/oracles/discovery.py.
func torch(t *testing.T, array string) []float64 {
	t.Helper()
	return oracle.Read[float64](t, "testdata/discovery.npz", array)
}

// withSines is a network with the oracle's weights.
func withSines(t *testing.T, m *model.Model, err error, start float64) *model.Model {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	weights := m.Weights()
	for i, name := range sorted(weights) {
		weights[name] = oracle.Sines(0.5, start+100*float64(i), weights[name].Shape().Dimensions...)
	}
	if m, err = m.WithWeights(weights); err != nil {
		t.Fatal(err)
	}
	return m
}

// small are the oracle's three networks and its settings.
func small(t *testing.T, kind string) (encoder, first, second *model.Model, d Discovery) {
	t.Helper()
	spec := model.Spec{Height: 4, Width: 4, Channels: 1}
	if kind == "conv" {
		spec = model.Spec{Height: 6, Width: 6, Channels: 2}
	}
	inner := func(start float64) *model.Model {
		if kind == "conv" {
			m, err := PatchCNN(spec, 2, 1, 3, 4)
			return withSines(t, m, err, start)
		}
		m, err := learn.MLP(spec, 2, 1, 5)
		return withSines(t, m, err, start)
	}
	m, err := learn.MLP(spec, 4, 1, 7)
	return withSines(t, m, err, 1), inner(1000), inner(2000), Discovery{Steps: 2, BatchSize: 6, Test: 5, Rate: 2,
		Temperature: 5, Uniformity: 0.003, Tau: 2}
}

// step builds a step's loss and agreement of weights of the encoder, on the oracle's hyperplane.
func step(encoder, first, second *model.Model, d Discovery, x, plane *graph.Node, weights map[string]*graph.Node) (loss,
	agreement *graph.Node) {
	var nets [2]network
	for i, m := range []*model.Model{first, second} {
		nets[i].weights = map[string]*graph.Node{}
		for name, w := range trainable(m) {
			nets[i].weights[name] = m.Cast(graph.ConstTensor(x.Graph(), w))
		}
		nets[i].logits = func(x *graph.Node, weights map[string]*graph.Node) *graph.Node {
			return m.CallAs(x, model.CallOptions{Weights: weights}).Logits
		}
	}
	return d.loss(x, plane, func(x *graph.Node) *graph.Node {
		return encoder.CallAs(x, model.CallOptions{Weights: weights}).Logits
	}, nets)
}

// A run's step goes down the gradient through the unrolled steps, by the encoder's weights alone. This, its first-order
// form, and the form with the networks apart, is PyTorch's gradient with create_graph on the same weights and
// hyperplane, within 1e-4 of the largest value; the loss with the authors' uniformity is theirs.
func TestMetaGradientsAreTorch(t *testing.T) {
	for _, kind := range []string{"mlp", "conv"} {
		for _, form := range []string{"unrolled", "first_order", "apart"} {
			if !testenv.IsHeavy() && (form == "apart" || kind == "conv" && form != "unrolled") {
				continue
			}
			encoder, first, second, d := small(t, kind)
			d.FirstOrder, d.Apart = form == "first_order", form == "apart"
			d.Tasks, d.Seed = 1, 4
			spec := encoder.Spec()
			x := oracle.Pixels(d.Images(), spec.Height, spec.Width, spec.Channels)
			data, err := learn.FromTensors(x, nil)
			if err != nil {
				t.Fatal(err)
			}
			const rate = 64 // so that the step is large beside the rounding of a weight
			run, err := d.Of(learn.Run{
				Nets: map[string]*model.Model{Encoder: encoder, First: first, Second: second}, Data: data,
				Sampler: inOrder{learn.Shuffled(d.Images())}, Optimizer: learn.SGD{LearningRate: rate}, Steps: 1,
			})
			if err != nil {
				t.Fatal(err)
			}
			trained, err := run.Do()
			if err != nil {
				t.Fatal(err)
			}
			want := torch(t, kind+"_"+form+"_loss")
			if h := trained.History; !approx.Equal(h.Loss[0], want[0], 1e-5) || h.Metrics["agreement"][0] != want[1] {
				t.Errorf("%s, %s: the loss is %g and the agreement %g, want %g", kind, form, h.Loss[0], h.Metrics["agreement"][0],
					want)
			}
			for _, name := range sorted(encoder.Weights()) {
				before, got := encoder.Weights()[name], tensors.MustCopyFlatData[float32](trained.Nets[Encoder].Weights()[name])
				for i, v := range tensors.MustCopyFlatData[float32](before) {
					got[i] = (v - got[i]) / rate
				}
				of, other := torch(t, kind+"_"+form+"_"+name), torch(t, kind+"_unrolled_"+name)
				largest, apart := 0.0, 0.0
				for k, v := range of {
					largest, apart = max(largest, math.Abs(v)), max(apart, math.Abs(v-other[k]))
				}
				if err := approx.All(got, of, 1e-4*largest); err != nil {
					t.Errorf("%s, %s, %s: %v", kind, form, name, err)
				}
				if form != "unrolled" && !(apart > 1e-3*largest) {
					t.Errorf("%s, %s, %s: the oracle's gradient is that of the unrolled steps: the test cannot tell them apart", kind,
						form, name)
				}
			}
			for name, m := range map[string]*model.Model{First: first, Second: second} {
				for weight, w := range m.Weights() {
					if err := approx.All(tensors.MustCopyFlatData[float32](trained.Nets[name].Weights()[weight]),
						tensors.MustCopyFlatData[float32](w), 0); err != nil {
						t.Errorf("%s of %s has changed: %v", weight, name, err)
					}
				}
			}
			if form == "unrolled" {
				sides(t, trained, d, x)
			}
		}
	}
}

// sides checks that the tasks of a run are the sides of its hyperplane.
func sides(t *testing.T, trained *learn.Trained, d Discovery, x *tensors.Tensor) {
	t.Helper()
	across := tensors.MustCopyFlatData[float32](hyperplanes(d.Tasks, 4, d.Seed))
	found, err := Discovered(trained, one{x})
	if err != nil {
		t.Fatal(err)
	}
	h, err := trained.Nets[Encoder].Output(x)
	if err != nil {
		t.Fatal(err)
	}
	for i := range found[0].Labels {
		dot := float32(0)
		for k, w := range across {
			dot += w * tensors.MustCopyFlatData[float32](h)[4*i+k]
		}
		if (dot > 0) != (found[0].Labels[i] == 0) {
			t.Errorf("image %d lies at %g and has the label %d", i, dot, found[0].Labels[i])
		}
	}
}

// In double precision the gradient through the unrolled steps is that of finite differences.
func TestMetaGradientsByFiniteDifferences(t *testing.T) {
	for _, kind := range []string{"mlp", "conv"} {
		if kind == "conv" && !testenv.IsHeavy() {
			continue
		}
		encoder, first, second, d := small(t, kind)
		var doubled [3]*model.Model
		for i, m := range []*model.Model{encoder, first, second} {
			var err error
			if doubled[i], err = m.Double(); err != nil {
				t.Fatal(err)
			}
		}
		names := sorted(encoder.Weights())
		build := func(in []*graph.Node) *graph.Node {
			given := map[string]*graph.Node{}
			for i, name := range names {
				given[name] = in[2+i]
			}
			loss, _ := step(doubled[0], doubled[1], doubled[2], d, in[0], in[1], given)
			return loss
		}
		program, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
			loss := build(in)
			return append([]*graph.Node{loss}, graph.Gradient(loss, in[2:]...)...)
		})
		if err != nil {
			t.Fatal(err)
		}
		wide := func(x *tensors.Tensor) []float64 {
			var out []float64
			for _, v := range tensors.MustCopyFlatData[float32](x) {
				out = append(out, float64(v))
			}
			return out
		}
		spec := encoder.Spec()
		shapes := [][]int{{d.Images(), spec.Height, spec.Width, spec.Channels}, {4}}
		flat := [][]float64{wide(oracle.Pixels(shapes[0]...)), wide(oracle.Sines(0.7, 3, 4))}
		for _, name := range names {
			w := encoder.Weights()[name]
			flat, shapes = append(flat, wide(w)), append(shapes, w.Shape().Dimensions)
		}
		call := func() []*tensors.Tensor {
			t.Helper()
			var args []any
			for i, f := range flat {
				args = append(args, tensors.FromFlatDataAndDimensions(append([]float64(nil), f...), shapes[i]...))
			}
			out, err := program.Call(args...)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		gradients := call()
		for i := range names {
			got := tensors.MustCopyFlatData[float64](gradients[1+i])
			for k := 0; k < len(got); k += max(1, len(got)/5) {
				const step = 1e-5
				was := flat[2+i][k]
				flat[2+i][k] = was + step
				up := tensors.ToScalar[float64](call()[0])
				flat[2+i][k] = was - step
				down := tensors.ToScalar[float64](call()[0])
				flat[2+i][k] = was
				if want := (up - down) / (2 * step); !approx.Equal(got[k], want, 1e-7+1e-5*math.Abs(want)) {
					t.Errorf("%s: by value %d of %s it is %.9g, by finite differences %.9g", kind, k, names[i], got[k], want)
				}
			}
		}
		program.Finalize()
	}
}

// inOrder has all examples in their order.
type inOrder struct{ learn.Shuffled }

func (o inOrder) Batches(n int, _ uint64, _ int) func() []int {
	return func() []int {
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		return order
	}
}

type one struct{ images *tensors.Tensor }

func (o one) Len() int { return o.images.Shape().Dimensions[0] }

func (o one) Images(at ...int) (*tensors.Tensor, error) {
	d := o.images.Shape().Dimensions
	flat := tensors.MustCopyFlatData[float32](o.images)
	width := len(flat) / d[0]
	var out []float32
	for _, i := range at {
		out = append(out, flat[i*width:(i+1)*width]...)
	}
	return tensors.FromFlatDataAndDimensions(out, len(at), d[1], d[2], d[3]), nil
}

func TestHyperplanesAreAtRightAngles(t *testing.T) {
	flat := tensors.MustCopyFlatData[float32](hyperplanes(6, 6, 1))
	for i := range 6 {
		for k := range 6 {
			dot := 0.0
			for at := range 6 {
				dot += float64(flat[6*i+at]) * float64(flat[6*k+at])
			}
			if want := map[bool]float64{true: 1}[i == k]; !approx.Equal(dot, want, 1e-6) {
				t.Errorf("hyperplanes %d and %d: %g", i, k, dot)
			}
		}
	}
}

// What is minimised are the two parts of PyTorch's loss, or one of them alone.
func TestPartsOfTheLoss(t *testing.T) {
	want := torch(t, "mlp_unrolled_loss") // the whole, the networks' agreement, the uniformity, the agreement loss
	for name, of := range map[string]struct {
		change func(d *Discovery)
		loss   float64
	}{
		"both":             {func(*Discovery) {}, want[3] + 0.003*want[2]},
		"agreement alone":  {func(d *Discovery) { d.NotUniform = true }, want[3]},
		"uniformity alone": {func(d *Discovery) { d.NotAgreeing = true }, 0.003 * want[2]},
	} {
		encoder, first, second, d := small(t, "mlp")
		d.Tasks, d.Seed = 1, 4
		of.change(&d)
		data, err := learn.FromTensors(oracle.Pixels(d.Images(), 4, 4, 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		run, err := d.Of(learn.Run{
			Nets: map[string]*model.Model{Encoder: encoder, First: first, Second: second}, Data: data,
			Sampler: inOrder{learn.Shuffled(d.Images())}, Optimizer: learn.SGD{LearningRate: 1}, Steps: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		trained, err := run.Do()
		if err != nil {
			t.Fatal(err)
		}
		if h := trained.History; !approx.Equal(h.Loss[0], of.loss, 1e-5) || h.Metrics["agreement"][0] != want[1] {
			t.Errorf("%s: the loss is %g, want %g, and the agreement %g", name, h.Loss[0], of.loss, h.Metrics["agreement"][0])
		}
	}
}

// Images have a bright side, left or right, and much noise. What is discovered networks agree on more than on what the
// same encoder tells apart where it is only to spread its outputs; without the uniformity its tasks become one.
func TestDiscoveryFindsWhatNetworksAgreeOn(t *testing.T) {
	const n, learnt = 600, 400
	rng, flat := rand.New(rand.NewPCG(6, 1)), make([]float32, 36*n)
	for i := range n {
		side := rng.IntN(2)
		for k := range 36 {
			flat[36*i+k] = 0.7 * rng.Float32()
			if k%6/3 == side {
				flat[36*i+k] += 0.3
			}
		}
	}
	images := tensors.FromFlatDataAndDimensions(flat, n, 6, 6, 1)
	spec := model.Spec{Height: 6, Width: 6, Channels: 1, Mean: []float64{0.5}, Std: []float64{0.25}}
	mlp := func(outputs int, seed uint64, width int) *model.Model {
		m, err := learn.MLP(spec, outputs, seed, width)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	pool, err := learn.FromTensors(images, nil)
	if err != nil {
		t.Fatal(err)
	}
	train, test := make([]int, learnt), make([]int, n-learnt)
	for i := range n {
		if i < learnt {
			train[i] = i
		} else {
			test[i-learnt] = i
		}
	}
	some, err := pool.Select(train, nil)
	if err != nil {
		t.Fatal(err)
	}
	judge := Agreement{
		Make: func(seed uint64) (*model.Model, error) { return mlp(2, seed, 16), nil },
		Run:  learn.Run{Sampler: learn.Shuffled(32), Epochs: 10, Optimizer: learn.Adam{LearningRate: 0.005}}, Seed: 20,
	}
	of := func(d Discovery) (agreement, likeness float64) {
		t.Helper()
		d.Steps, d.BatchSize, d.Test, d.Rate = 3, 32, 64, 1
		run, err := d.Of(learn.Run{
			Nets: map[string]*model.Model{Encoder: mlp(4, 1, 32), First: mlp(2, 2, 16), Second: mlp(2, 3, 16)}, Data: some,
			Sampler: learn.Shuffled(d.Images()), Optimizer: learn.Adam{LearningRate: 0.003}, Steps: 150,
		})
		if err != nil {
			t.Fatal(err)
		}
		trained, err := run.Do()
		if err != nil {
			t.Fatal(err)
		}
		found, err := Discovered(trained, one{images})
		if err != nil {
			t.Fatal(err)
		}
		scores, err := judge.Of(images, train, test, found...)
		if err != nil {
			t.Fatal(err)
		}
		if likeness, err = MeanSimilarity(found...); err != nil {
			t.Fatal(err)
		}
		return scores.Agreement(), likeness
	}
	discovered, different := of(Discovery{Uniformity: 0.5})
	spread, _ := of(Discovery{Uniformity: 0.5, NotAgreeing: true})
	_, one := of(Discovery{NotUniform: true})
	t.Logf("agreement %.3f of what is discovered, %.3f of what is only spread; alike by %.3f with the uniformity and "+
		"%.3f without", discovered, spread, different, one)
	if discovered < spread+0.02 || different > one-0.05 {
		t.Errorf("agreement %g and %g, alike by %g and %g", discovered, spread, different, one)
	}
}

type poolingKey struct{}

// pooling is a network of a linear layer, a max-pooling of what it gives and another linear layer.
func pooling(t *testing.T) *model.Model {
	t.Helper()
	weights := map[string]*tensors.Tensor{
		"hidden.weight": oracle.Sines(0.5, 1, 16, 72), "hidden.bias": oracle.Sines(0.5, 2, 16),
		"linear.weight": oracle.Sines(0.5, 3, 2, 4), "linear.bias": oracle.Sines(0.5, 4, 2),
	}
	m, err := model.FromArchitecture(poolingKey{}, weights, model.Spec{Name: "pooling", Height: 6, Width: 6, Channels: 2},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			n := x.Shape().Dimensions[0]
			x = graph.Reshape(b.Linear("hidden", graph.Reshape(x, n, 72)), n, 4, 4, 1)
			return b.Linear("linear", graph.Reshape(graph.MaxPool(x).Window(2).Done(), n, 4))
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What cannot be differentiated twice is refused, with the operation's name.
func TestDiscoveryRefuses(t *testing.T) {
	encoder, first, second, d := small(t, "conv")
	data, err := learn.FromTensors(oracle.Pixels(d.Images(), 6, 6, 2), nil)
	if err != nil {
		t.Fatal(err)
	}
	cnn, err := learn.SmallCNN(model.Spec{Height: 6, Width: 6, Channels: 2}, 2, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	pooled := pooling(t)
	three, err := learn.MLP(model.Spec{Height: 6, Width: 6, Channels: 2}, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	for words, change := range map[string]func(run *learn.Run, d *Discovery){
		"of a convolution has no": func(run *learn.Run, _ *Discovery) { run.Nets[First] = cnn },
		"of a max-pooling has no": func(run *learn.Run, _ *Discovery) { run.Nets[Second] = pooled },
		"a task has two":          func(run *learn.Run, _ *Discovery) { run.Nets[Second] = three },
		"learn.Shuffled(17)":      func(run *learn.Run, _ *Discovery) { run.Sampler = learn.Shuffled(7) },
		"do not fit":              func(_ *learn.Run, d *Discovery) { d.Tasks = 5 },
		"nothing to minimise":     func(_ *learn.Run, d *Discovery) { d.NotUniform, d.NotAgreeing = true, true },
		"they are positive":       func(_ *learn.Run, d *Discovery) { d.Rate = -1 },
		"not divided in halves":   func(_ *learn.Run, d *Discovery) { d.BatchSize, d.Apart = 7, true },
		`"encoder", "first"`:      func(run *learn.Run, _ *Discovery) { delete(run.Nets, Encoder) },
		"there is one step":       func(_ *learn.Run, d *Discovery) { d.Steps = -1 },
		"the run has a Step":      func(run *learn.Run, _ *Discovery) { run.Step = twoLearn },
		"a run without Data or a": func(run *learn.Run, _ *Discovery) { run.Data = nil },
	} {
		run := learn.Run{Nets: map[string]*model.Model{Encoder: encoder, First: first, Second: second}, Data: data,
			Sampler: learn.Shuffled(17), Optimizer: learn.SGD{LearningRate: 1}, Steps: 1}
		with := d
		change(&run, &with)
		if _, err := with.Of(run); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}
