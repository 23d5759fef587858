package onnx

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/internal/failure"
)

// slope builds a case in double precision, with a weighted sum of its outputs as its one result. It returns how the sum
// changes along a direction in the inputs that are numbers with a point, by the gradient and by finite differences,
// each near three places. It is not ok where no output or no input is such.
func (o *onnxCase) slope(rng *rand.Rand) (byGradient, byDifference []float64, ok bool, err error) {
	m, err := parseModel(o.model)
	if err != nil {
		return nil, nil, false, err
	}
	back, err := backend.Get()
	if err != nil {
		return nil, nil, false, err
	}
	g := graph.NewGraph(back, "slope")
	defer g.Finalize()
	b := newBuilder(g, m, func(t *tensorProto) (*tensors.Tensor, error) { return t.load("") })
	b.double = true
	s := &scope{values: map[string]*value{}}
	var at [][]float64 // the inputs
	var xs []*graph.Node
	failed := failure.Catch(func() {
		initialInto(s, m)
		for i, in := range m.graph.inputs {
			if i >= len(o.in) {
				continue
			}
			t, kind, err := readTensor(o.in[i])
			if err != nil {
				panic(err)
			}
			v, ok := numbers(t)
			// What says how large something becomes is known before anything runs.
			if !t.DType().IsFloat() || !ok || t.Size() == 0 || in.name == "scales" || in.name == "roi" || in.name == "depth" {
				s.values[in.name] = &value{known: t, kind: kind}
				continue
			}
			x := graph.Parameter(g, in.name, shapes.Make(dtypes.Float64, t.Shape().Dimensions...))
			s.values[in.name] = &value{node: x, kind: kind, moved: true}
			xs, at = append(xs, x), append(at, v)
		}
		b.run(m.graph.nodes, s, nil, true)
		if len(b.refused) > 0 {
			panic(errors.Join(b.refused...))
		}
		var sum *graph.Node
		for _, out := range m.graph.outputs {
			v := s.find(out.name)
			if v == nil || v.lost || v.node == nil || v.node.DType() != dtypes.Float64 || v.node.Shape().Size() == 0 {
				continue
			}
			weights := make([]float64, v.node.Shape().Size())
			for i := range weights {
				weights[i] = rng.NormFloat64()
			}
			by := graph.Reshape(graph.Const(g, weights), v.node.Shape().Dimensions...)
			part := graph.ReduceAllSum(graph.Mul(by, v.node))
			if sum == nil {
				sum = part
			} else {
				sum = graph.Add(sum, part)
			}
		}
		if ok = sum != nil && len(xs) > 0; !ok {
			return
		}
		results := append([]*graph.Node{sum}, graph.Gradient(sum, xs...)...)
		err = g.Compile(results...)
	})
	if failed != nil {
		err = failed
	}
	if err != nil || !ok {
		return nil, nil, ok, err
	}
	run := func(at [][]float64) (sum float64, gradient [][]float64) {
		var given []any
		for i, x := range xs {
			given = append(given, tensors.FromFlatDataAndDimensions(slices.Clone(at[i]), x.Shape().Dimensions...))
		}
		for i, t := range g.Run(given...) {
			v := tensors.MustCopyFlatData[float64](t)
			if i == 0 {
				sum = v[0]
			} else {
				gradient = append(gradient, v)
			}
		}
		return sum, gradient
	}
	const step = 1e-6
	for try := range 3 {
		near, ahead, behind := make([][]float64, len(at)), make([][]float64, len(at)), make([][]float64, len(at))
		along := make([][]float64, len(at))
		for i, v := range at {
			for _, x := range v {
				x += 0.003 * float64(try) * rng.Float64()
				d := rng.NormFloat64()
				near[i], along[i] = append(near[i], x), append(along[i], d)
				ahead[i], behind[i] = append(ahead[i], x+step*d), append(behind[i], x-step*d)
			}
		}
		_, gradient := run(near)
		up, _ := run(ahead)
		down, _ := run(behind)
		slope := 0.0
		for i := range gradient {
			for k := range gradient[i] {
				slope += gradient[i][k] * along[i][k]
			}
		}
		byGradient, byDifference = append(byGradient, slope), append(byDifference, (up-down)/(2*step))
	}
	return byGradient, byDifference, true, nil
}

// The gradient of each of ONNX's own cases is right by finite differences in double precision, or refused.
func TestGradientsOfONNXsOwnCases(t *testing.T) {
	cases := casesOf(t, "testdata/cases.zip")
	rng := rand.New(rand.NewPCG(21, 21))
	right := 0
	for i, name := range slices.Sorted(maps.Keys(cases)) {
		if !testenv.Some(i, 16) || strings.HasSuffix(name, "_expanded") {
			continue
		}
		if refused, _ := cases[name].verdict(); refused != "" {
			continue
		}
		byGradient, byDifference, ok, err := cases[name].slope(rng)
		switch {
		case !ok && err == nil:
			continue
		case err != nil && strings.HasPrefix(name, "convtranspose") &&
			strings.Contains(err.Error(), "failed to set up reverse Convolve"):
			continue // GoMLX has no gradient where the padding is larger than the kernel
		case err != nil:
			t.Errorf("%s: %v", name, err)
			continue
		}
		found, known := false, false
		for k, want := range byDifference {
			known = known || !math.IsNaN(want) && !math.IsInf(want, 0)
			found = found || math.Abs(byGradient[k]-want) <= 1e-5*(1+math.Abs(want))
		}
		if !known { // the case is about what is no number
			continue
		}
		if found {
			right++
			continue
		}
		t.Errorf("%s changes by %.6g, its gradient says %.6g", name, byDifference, byGradient)
	}
	t.Logf("%d gradients are right", right)
	testenv.RestIsHeavy(t, 16)
}

// Where a ReLU or a ReLU6 bends its gradient is 0, as in PyTorch.
func TestGradientAtAKink(t *testing.T) {
	back, err := backend.Get()
	if err != nil {
		t.Fatal(err)
	}
	g := graph.NewGraph(back, "kink")
	defer g.Finalize()
	x := graph.Const(g, []float32{-1, 0, 3, 6, 7})
	m := &modelProto{opsets: map[string]int{opsetDefault: 9}}
	b := newBuilder(g, m, nil)
	s := &scope{values: map[string]*value{"x": {node: x}}}
	b.run([]*nodeProto{
		{op: "Relu", inputs: []string{"x"}, outputs: []string{"relu"}},
		{op: "Clip", inputs: []string{"x"}, outputs: []string{"relu6"},
			attributes: []*attribute{{name: "min", kind: attrFloat}, {name: "max", kind: attrFloat, f: 6}}},
	}, s, nil, true)
	if len(b.refused) > 0 {
		t.Fatal(b.refused)
	}
	var gradients []*graph.Node
	for _, name := range []string{"relu", "relu6"} {
		gradients = append(gradients, graph.Gradient(graph.ReduceAllSum(s.find(name).node), x)[0])
	}
	if err := g.Compile(gradients...); err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]float32{{0, 0, 1, 1, 1}, {0, 0, 1, 0, 0}} {
		if got := tensors.MustCopyFlatData[float32](g.Run()[i]); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}
