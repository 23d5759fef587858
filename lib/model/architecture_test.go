package model

import (
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
)

type seedless struct{}

// linear is a network of an architecture that is made again and again.
func linear(t *testing.T, seed uint64, mean float64) *Model {
	t.Helper()
	other := member(t, seed, mean)
	m, err := FromArchitecture(seedless{}, other.Weights(), other.Spec(), func(b *Builder, x *graph.Node) *graph.Node {
		return b.Linear("linear", graph.Reshape(x, x.Shape().Dimensions[0], 4))
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func logitsOf(t *testing.T, m *Model, x *tensors.Tensor) []float32 {
	t.Helper()
	logits, err := m.Logits(x)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float32](logits)
}

func same(a, b []float32, within float64) bool {
	return approx.All(a, b, within) == nil
}

// Other weights, another name, another seed and an ensemble of other members are run by the programs that are there,
// and give what a model gives that has programs of its own.
func TestOtherWeightsCompileNothing(t *testing.T) {
	x := squares(3)
	first := linear(t, 1, 0.2)
	pair := func(a, b *Model) *Model {
		t.Helper()
		e, err := Ensemble("pair", a, b)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	double := func(m *Model) *Model {
		t.Helper()
		d, err := m.Double()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	logitsOf(t, first, x)
	logitsOf(t, pair(first, linear(t, 2, 0.2)), x)
	logitsOf(t, double(first), x)

	before := Compilations()
	second, err := first.WithWeights(linear(t, 7, 0.2).Weights())
	if err != nil {
		t.Fatal(err)
	}
	renamed, err := second.Renamed("another")
	if err != nil {
		t.Fatal(err)
	}
	again := linear(t, 7, 0.2)
	twice := pair(second, second)
	got := map[string][]float32{
		"WithWeights": logitsOf(t, second, x), "Renamed": logitsOf(t, renamed, x), "another seed": logitsOf(t, again, x),
		"in double precision": logitsOf(t, double(second), x),
	}
	ensemble := logitsOf(t, pair(second, first), x)
	same1, same2 := logitsOf(t, twice, x), logitsOf(t, second, x)
	if n := Compilations() - before; n != 0 {
		t.Errorf("%d programs were compiled", n)
	}
	if renamed.Name() != "another" || second.Name() != first.Name() {
		t.Errorf("the names are %q and %q", renamed.Name(), second.Name())
	}
	fresh := member(t, 7, 0.2) // an architecture of its own
	want := logitsOf(t, fresh, x)
	if same(want, logitsOf(t, first, x), 1e-2) {
		t.Fatal("the two networks are too alike to be told apart")
	}
	for what, logits := range got {
		if !same(logits, want, 1e-5) {
			t.Errorf("%s: logits %v, of a fresh model %v", what, logits, want)
		}
	}
	if want := logitsOf(t, pair(fresh, member(t, 1, 0.2)), x); !same(ensemble, want, 1e-5) {
		t.Errorf("the ensemble of other members has the logits %v, a fresh one %v", ensemble, want)
	}
	// A network twice is the network: log-probabilities differ from logits by a constant of each image.
	for i := range same1 {
		if k := i / 3 * 3; !approx.Equal((same1[i] - same1[k]), (same2[i] - same2[k]), 1e-5) {
			t.Errorf("a network twice has the logits %v, alone %v", same1, same2)
			break
		}
	}
	// Another mean is another architecture.
	if other, want := logitsOf(t, linear(t, 7, 0.9), x), logitsOf(t, member(t, 7, 0.9), x); !same(other, want, 1e-5) {
		t.Errorf("with another mean the logits are %v, of a fresh model %v", other, want)
	}
}

// What extends an ensemble normalises as its members do, once.
func TestExtendingAnEnsemble(t *testing.T) {
	e, err := Ensemble("pair", member(t, 1, 0.2), member(t, 2, 0.7))
	if err != nil {
		t.Fatal(err)
	}
	shift := map[string]*tensors.Tensor{"shift": tensors.FromFlatDataAndDimensions([]float32{1, 2, 3}, 3)}
	extended, err := e.Extend("shifted", nil, shift, func(b *Builder, out Outputs) *graph.Node {
		return graph.Add(out.Logits, graph.ExpandAxes(b.Weight("shift"), 0))
	})
	if err != nil {
		t.Fatal(err)
	}
	x := squares(4)
	want, got := logitsOf(t, e, x), logitsOf(t, extended, x)
	for i := range want {
		want[i] += float32(1 + i%3)
	}
	if !same(got, want, 1e-5) {
		t.Errorf("logits %v, want %v", got, want)
	}
	loop, err := NewExec(func(x *graph.Node) *graph.Node {
		return Loop(1, []*graph.Node{x}, func(_ *graph.Node, s []*graph.Node) []*graph.Node {
			logits := extended.Call(s[0]).Logits
			return []*graph.Node{graph.Add(s[0], graph.Mul(graph.ReduceAllSum(logits), graph.ZerosLike(s[0])))}
		}, extended)[0]
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loop.Call1(x); err != nil {
		t.Errorf("in a loop: %v", err)
	}
}

type timesKey struct{ factor float64 }

// A program is kept under its settings; under nil it is not kept, and a string is no key.
func TestProgramsAreKeptUnderTheirSettings(t *testing.T) {
	m := member(t, 1, 0.2)
	x := squares(2)
	times := func(key any, factor float64) float32 {
		t.Helper()
		results, err := m.Map("times", key, func(in []*graph.Node) []*graph.Node {
			return []*graph.Node{graph.MulScalar(m.Call(in[0]).Logits, factor)}
		}, x)
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](results[0])[0]
	}
	one := times(timesKey{1}, 1)
	before := Compilations()
	if got := times(timesKey{3}, 3); !approx.Equal(got, 3*one, 1e-5) {
		t.Errorf("three times %v is %v", one, got)
	}
	times(timesKey{1}, 1)
	times(timesKey{3}, 3)
	if n := Compilations() - before; n != 1 {
		t.Errorf("%d programs for one new setting", n)
	}
	if got := times(nil, 5); !approx.Equal(got, 5*one, 1e-5) {
		t.Errorf("five times %v is %v", one, got)
	}
	if got := times(nil, 7); !approx.Equal(got, 7*one, 1e-5) {
		t.Errorf("seven times %v is %v", one, got)
	}
	// Another function under the same settings is another program.
	results, err := m.Map("plus", timesKey{1}, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.AddScalar(m.Call(in[0]).Logits, 100)}
	}, x)
	if err != nil {
		t.Fatal(err)
	}
	if got := tensors.MustCopyFlatData[float32](results[0])[0]; !approx.Equal(got-one, 100, 1e-4) {
		t.Errorf("a hundred more than %v is %v", one, got)
	}
	same := func(in []*graph.Node) []*graph.Node { return in }
	for _, key := range []any{"times", 3, struct{ factor float64 }{1}, struct{}{}, &timesKey{1}, [1]int{1}} {
		if _, err := m.Exec(key, same); err == nil || !strings.Contains(err.Error(), "named struct type") {
			t.Errorf("kept under a %T: %v", key, err)
		}
	}
	type sliced struct{ Values []int }
	if _, err := m.Exec(sliced{}, same); err == nil {
		t.Error("kept under a struct that cannot be compared")
	}
	// What an interface holds may be of any kind. What cannot be compared, or may change behind the key, is not kept.
	type holding struct{ Setting any }
	factor := &timesKey{2}
	for _, key := range []any{holding{factor}, holding{[]float64{2}}, holding{func() {}}, holding{[1]any{factor}}} {
		if got := times(key, 2); !approx.Equal(got, 2*one, 1e-5) {
			t.Errorf("%T: twice %v is %v", key, one, got)
		}
		if got := times(key, 4); !approx.Equal(got, 4*one, 1e-5) {
			t.Errorf("%T: four times %v is %v", key, one, got)
		}
	}
	before = Compilations()
	times(holding{timesKey{6}}, 6)
	times(holding{timesKey{6}}, 6)
	if n := Compilations() - before; n != 1 {
		t.Errorf("%d programs for a value in an interface", n)
	}
	// A kept program that calls another model would keep that model's weights for all that share it.
	other := member(t, 2, 0.2)
	program, err := m.Exec(timesKey{9}, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.Add(m.Call(in[0]).Logits, other.Call(in[0]).Logits)}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := program.Call(x); err == nil || !strings.Contains(err.Error(), "calls another model") {
		t.Errorf("a kept program that calls another model: %v", err)
	}
}

// A network may say something of each place besides its classes.
func TestMaps(t *testing.T) {
	m, err := FromFunc(Spec{Name: "segments", Height: 2, Width: 2, Channels: 1},
		func(b *Builder, x *graph.Node) *graph.Node {
			b.Map("brightness", graph.Concatenate([]*graph.Node{x, graph.OneMinus(x)}, -1))
			return graph.ReduceMean(graph.Concatenate([]*graph.Node{x, graph.OneMinus(x)}, -1), 1, 2)
		})
	if err != nil {
		t.Fatal(err)
	}
	if maps := m.Maps(); len(maps) != 1 || maps[0].Name != "brightness" || len(maps[0].Shape) != 3 ||
		maps[0].Shape[2] != 2 {
		t.Fatalf("the maps are %+v", maps)
	}
	d := &pixelData{rows: [][]float32{{0.1, 0.2, 0.3, 0.4}, {1, 0, 1, 0}}, labels: []int{0, 1}}
	got, err := m.MapsOf("brightness", d)
	if err != nil {
		t.Fatal(err)
	}
	if flat := tensors.MustCopyFlatData[float32](got); got.Rank() != 4 || flat[0] != 0.1 ||
		!approx.Equal(flat[7], 0.6, 1e-6) || flat[8] != 1 {
		t.Errorf("the maps are %s %v", got.Shape(), flat)
	}
	if _, err := m.MapsOf("darkness", d); err == nil || !strings.Contains(err.Error(), `makes no map "darkness"`) {
		t.Errorf("the error is %v", err)
	}
}
