package networks

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
	"github.com/loupeml/loupe/lib/weightfile"
)

// golden is a network in bench/oracles/networks.py.
type golden struct {
	Name                 string
	Side, Classes, Batch int
	Parameters           int
	Shapes               map[string][]int
	Drawn                map[string][3]float64 // mean, standard deviation, kurtosis
	Every                int                   // of the rows and columns of maps; 0 is all
	Logits               []float64
	Training             []float64            // logits in training
	Statistics           map[string][]float64 // the first running statistics after it
	Gradients            map[string]float64   // norms
}

// nets are the networks of the goldens.
var nets = map[string]network{
	"ResNet-18":              ResNet{},
	"ResNet-18 CIFAR":        ResNet{CIFAR: true},
	"ResNet-18 GroupNorm WS": ResNet{CIFAR: true, Norm: Norm{Groups: 16, Standardized: true}},
	"ResNet-50":              ResNet{Depth: 50},
	"ResNet-20":              CIFARResNet{},
	"ResNet-56":              CIFARResNet{Depth: 56},
	"PreResNet-20":           PreResNet{},
	"PreResNet-56":           PreResNet{Depth: 56},
	"WRN-16-4":               WideResNet{},
	"private WRN-16-4":       PrivateWideResNet{},
	"BagNet-9":               BagNet{Field: 9},
	"BagNet-17":              BagNet{},
	"BagNet-33":              BagNet{Field: 33},
	"small BagNet":           SmallBagNet{},
	"thin BagNet":            SmallBagNet{Thin: true},
	"ViT":                    ViT{},
	"U-Net":                  UNet{},
	"DeepLab on ResNet-18":   DeepLab{Backbone: ResNet{}, Rates: [3]int{1, 2, 3}},
	"DeepLab on ResNet-50":   DeepLab{},
}

func goldens(t *testing.T) []golden {
	t.Helper()
	text, err := os.ReadFile("testdata/networks.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != len(nets) {
		t.Errorf("there are goldens of %d networks for %d", len(all), len(nets))
	}
	return all
}

func spec(side int) model.Spec { return model.Spec{Height: side, Width: side, Channels: 3} }

// formula are the weights that the oracle puts in, by their shapes in PyTorch.
func formula(shapes map[string][]int) map[string]*tensors.Tensor {
	return weightfile.KernelsLast(oracle.HashedWeights(shapes, func(name string, shape []int, size int,
		u float64) float64 {
		switch {
		case strings.HasSuffix(name, "running_mean"), strings.HasSuffix(name, "bias"), len(shape) == 3:
			return 0.1 * u
		case strings.HasSuffix(name, "running_var"):
			return 1 + 0.3*u
		case len(shape) == 1:
			return 1 + 0.2*u
		}
		return u * math.Sqrt(4.5/float64(size/shape[0]))
	}))
}

func images(batch, side int) *tensors.Tensor {
	values := make([]float32, batch*side*side*3)
	for i, u := range oracle.Hashed("images", len(values)) {
		values[i] = float32(u)
	}
	return tensors.FromFlatDataAndDimensions(values, batch, side, side, 3)
}

// flat takes every n-th row and column of maps.
func flat(t *testing.T, x *tensors.Tensor, every int) []float64 {
	t.Helper()
	values, err := tensors.CopyFlatData[float32](x)
	if err != nil {
		t.Fatal(err)
	}
	d := x.Shape().Dimensions
	var kept []float64
	for i, v := range values {
		if every > 1 {
			if place := i / d[3]; place/d[2]%d[1]%every != 0 || place%d[2]%every != 0 {
				continue
			}
		}
		kept = append(kept, float64(v))
	}
	return kept
}

func largest(values []float64) float64 {
	most := 0.0
	for _, v := range values {
		most = max(most, math.Abs(v))
	}
	return most
}

// TestWeightsOfPyTorch compares names, shapes, numbers of parameters and the distributions of random weights.
func TestWeightsOfPyTorch(t *testing.T) {
	for _, g := range goldens(t) {
		m, err := made(nets[g.Name], spec(g.Side), g.Classes, 3)
		if err != nil {
			t.Errorf("%s: %v", g.Name, err)
			continue
		}
		weights := weightfile.KernelsFirst(m.Weights())
		parameters := 0
		for name, w := range weights {
			if !slices.Equal(w.Shape().Dimensions, g.Shapes[name]) {
				t.Errorf("%s: %s has the shape %v, want %v", g.Name, name, w.Shape().Dimensions, g.Shapes[name])
				continue
			}
			if !m.IsStatistic(name) {
				parameters += w.Size()
			}
			compareDraws(t, g.Name+", "+name, tensors.MustCopyFlatData[float32](w), g.Drawn[name])
		}
		for name := range g.Shapes {
			if weights[name] == nil {
				t.Errorf("%s has no %s", g.Name, name)
			}
		}
		if parameters != g.Parameters {
			t.Errorf("%s has %d parameters, want %d", g.Name, parameters, g.Parameters)
		}
	}
}

// compareDraws compares moments: of n draws a standard deviation is known to about 1/√2n of itself, for a normal
// distribution, and the kurtosis, 3 of a normal distribution and 1.8 of a uniform one, to √24/n.
func compareDraws(t *testing.T, what string, values []float32, want [3]float64) {
	t.Helper()
	n, mean, second, fourth := float64(len(values)), 0.0, 0.0, 0.0
	for _, v := range values {
		mean += float64(v)
	}
	mean /= n
	for _, v := range values {
		d := (float64(v) - mean) * (float64(v) - mean)
		second += d / n
		fourth += d * d / n
	}
	std := math.Sqrt(second)
	switch {
	case want[1] == 0: // all the same
		if std != 0 || mean != want[0] {
			t.Errorf("%s: mean %v, standard deviation %v, want %v without any", what, mean, std, want[0])
		}
		return
	case n < 8:
		if !(std > 0) {
			t.Errorf("%s is constant", what)
		}
		return
	}
	if !approx.Equal(std, want[1], want[1]*6/math.Sqrt(n)) || !approx.Equal(mean, want[0], want[1]*8/math.Sqrt(n)) {
		t.Errorf("%s: mean %v, standard deviation %v of %v values, want about %v and %v", what, mean, std, n,
			want[0], want[1])
	}
	if kurtosis := fourth / (second * second); n >= 4000 && !approx.Equal(kurtosis, want[2], 0.6) {
		t.Errorf("%s: kurtosis %v, want about %v", what, kurtosis, want[2])
	}
}

// deeper are networks of the same blocks as a smaller one.
var deeper = []string{"ResNet-50", "DeepLab on ResNet-50", "ResNet-56", "PreResNet-56", "BagNet-17", "BagNet-33"}

// TestForwardOfPyTorch compares outputs with the same weights, those in training and the gradients too.
func TestForwardOfPyTorch(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			if slices.Contains(deeper, g.Name) {
				testenv.Heavy(t)
			}
			m, err := made(nets[g.Name], spec(g.Side), g.Classes, 3)
			if err == nil {
				m, err = m.WithWeights(formula(g.Shapes))
			}
			if err != nil {
				t.Fatal(err)
			}
			x := images(g.Batch, g.Side)
			if err := approx.All(flat(t, answer(t, m, x), g.Every), g.Logits, 1e-5*largest(g.Logits)); err != nil {
				t.Errorf("outputs: %v", err)
			}
			if len(g.Training) == 0 {
				return
			}
			var names []string
			for name := range m.Weights() {
				if !m.IsStatistic(name) {
					names = append(names, name)
				}
			}
			slices.Sort(names)
			// In double precision: statistics of the few places at the end of a deep network blow rounding up.
			double, err := m.Double()
			if err != nil {
				t.Fatal(err)
			}
			args := []any{x}
			for _, name := range names {
				args = append(args, m.Weights()[name])
			}
			var statistics []string
			program, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
				x, weights := in[0], in[1:]
				how := model.CallOptions{BatchStats: func(string) bool { return true }, Weights: map[string]*graph.Node{}}
				for i, name := range names {
					how.Weights[name] = weights[i]
				}
				outputs := double.CallAs(x, how)
				all := []*graph.Node{outputs.Logits}
				statistics = nil
				for _, name := range slices.Sorted(maps.Keys(outputs.Updates)) {
					statistics = append(statistics, name)
					all = append(all, outputs.Updates[name])
				}
				if len(g.Gradients) > 0 {
					logs := graph.LogSoftmax(graph.Reshape(outputs.Logits, -1, g.Classes))
					n := logs.Shape().Dimensions[0]
					labels := make([]float32, n*g.Classes)
					for i := range n {
						labels[i*g.Classes+i%g.Classes] = 1
					}
					of := double.Cast(graph.Const(x.Graph(), tensors.FromFlatDataAndDimensions(labels, n, g.Classes)))
					loss := graph.Neg(graph.DivScalar(graph.ReduceAllSum(graph.Mul(logs, of)), float64(n)))
					for _, gradient := range graph.Gradient(loss, weights...) {
						all = append(all, graph.Sqrt(graph.ReduceAllSum(graph.Square(gradient))))
					}
				}
				for i, node := range all {
					all[i] = graph.ConvertDType(node, dtypes.Float32)
				}
				return all
			})
			if err != nil {
				t.Fatal(err)
			}
			defer program.Finalize()
			out, err := program.Call(args...)
			if err != nil {
				t.Fatal(err)
			}
			if err := approx.All(flat(t, out[0], g.Every), g.Training, 1e-5*largest(g.Training)); err != nil {
				t.Errorf("outputs in training: %v", err)
			}
			if len(statistics) != len(g.Statistics) {
				t.Errorf("%d statistics are brought up to date, want %d", len(statistics), len(g.Statistics))
			}
			for i, name := range statistics {
				got := flat(t, out[1+i], 1)
				if err := approx.All(got[:min(3, len(got))], g.Statistics[name], 1e-6*(1+largest(g.Statistics[name]))); err != nil {
					t.Errorf("%s after training: %v", name, err)
				}
			}
			norms := out[1+len(statistics):]
			if len(norms) != len(g.Gradients) {
				t.Fatalf("%d gradients, want %d", len(norms), len(g.Gradients))
			}
			for i, norm := range norms {
				want := g.Gradients[names[i]]
				if got := flat(t, norm, 1)[0]; !approx.Equal(got, want, 1e-5*want+1e-7) {
					t.Errorf("gradient by %s: norm %v, want %v", names[i], got, want)
				}
			}
		})
	}
}

// TestSavedAndLoaded writes each kind of network to a file and reads it back.
func TestSavedAndLoaded(t *testing.T) {
	x := images(1, 16)
	kindsSeen := map[string]bool{}
	for _, n := range []network{
		ResNet{CIFAR: true, Norm: Norm{Groups: 8, Standardized: true}}, CIFARResNet{Depth: 8},
		CIFARResNet{Depth: 8, Norm: Norm{Groups: 4}}, PreResNet{Depth: 8},
		WideResNet{Depth: 10, Widen: 1}, PrivateWideResNet{Depth: 10, Widen: 1, Groups: 8}, BagNet{Field: 9}, SmallBagNet{},
		SmallBagNet{Thin: true}, ViT{Width: 24, Depth: 1, Heads: 2},
		UNet{Width: 4, Downs: 2}, DeepLab{Backbone: CIFARResNet{Depth: 8, Norm: Norm{Groups: 2}}, Rates: [3]int{1, 2, 3},
			Width: 8}, DeepLab{Backbone: ResNet{CIFAR: true}, Width: 8},
	} {
		kindsSeen[fmt.Sprintf("%T", n)] = true
		side := 16
		if _, ok := n.(BagNet); ok {
			side = 32
		}
		x := x
		if side != 16 {
			x = images(1, side)
		}
		s := spec(side)
		s.Classes = []string{"a", "b", "c"}
		if _, ok := n.(UNet); ok {
			s.Classes = nil
		}
		if _, ok := n.(DeepLab); ok {
			s.Classes = nil
		}
		m, err := made(n, s, 3, 5)
		if err != nil {
			t.Errorf("%+v: %v", n, err)
			continue
		}
		path := filepath.Join(t.TempDir(), "net.safetensors")
		if err := save.Write(path, m); err != nil {
			t.Errorf("%+v: %v", n, err)
			continue
		}
		back, err := model.Load(path)
		if err != nil {
			t.Errorf("%+v: %v", n, err)
			continue
		}
		if back.Name() != m.Name() || !slices.Equal(back.Classes(), m.Classes()) {
			t.Errorf("%+v comes back as %s with the classes %v", n, back, back.Classes())
		}
		want, got := flat(t, answer(t, m, x), 1), flat(t, answer(t, back, x), 1)
		if err := approx.All(got, want, 0); err != nil {
			t.Errorf("%+v says something else when it is back: %v", n, err)
		}
	}
	if len(kindsSeen) != len(kinds) {
		t.Errorf("%d kinds of networks were saved, there are %d", len(kindsSeen), len(kinds))
	}
}

// answer is the network's output.
func answer(t *testing.T, m *model.Model, x *tensors.Tensor) *tensors.Tensor {
	t.Helper()
	program, err := model.NewExec(func(x *graph.Node) *graph.Node { return m.Call(x).Logits })
	if err != nil {
		t.Fatal(err)
	}
	defer program.Finalize()
	out, err := program.Call1(x)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
