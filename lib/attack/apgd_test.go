package attack

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/model"
)

// The oracle is the code of the attacks' authors on the same network and images: bench/oracles/apgd.py.
func TestAscentAgreesWithTheAuthors(t *testing.T) {
	m, err := model.Load(testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if m, err = m.Double(); err != nil {
		t.Fatal(err)
	}
	single := func(name string) []float32 { return oracle.Read[float32](t, "testdata/apgd.npz", name) }
	double := func(name string) []float64 { return oracle.Read[float64](t, "testdata/apgd.npz", name) }
	n := 1 // of the oracle's three images
	if testenv.IsHeavy() {
		n = 3
	}
	images := tensors.FromFlatDataAndDimensions(single("images")[:n*3072], n, 32, 32, 3)
	m.BatchSize = n // which costs no copies that fill up a batch
	head, err := m.Head()
	if err != nil {
		t.Fatal(err)
	}
	unbiased, err := m.Extend("no bias", nil, nil, func(_ *model.Builder, out model.Outputs) *graph.Node {
		return graph.Sub(out.Logits, graph.ExpandAxes(graph.Const(out.Logits.Graph(), head.Bias), 0))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		apgd APGD
	}{{"L2", APGD{Norm: L2, Eps: 1.5, Steps: 40}}, {"Linf", APGD{Norm: LInf, Eps: 8. / 255, Steps: 25}}} {
		t.Run(c.name, func(t *testing.T) {
			c.apgd.Start = tensors.FromFlatDataAndDimensions(single(c.name + "_start")[:n*3072], n, 32, 32, 3)
			found, err := c.apgd.Maximize(unbiased, images, []int{8})
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range double(c.name + "_value")[:n] {
				if !approx.Equal(found.Values[i], want, 1e-5*want) {
					t.Errorf("image %d reaches %g, the authors' %g", i, found.Values[i], want)
				}
			}
			got, want, from := tensors.MustCopyFlatData[float32](found.Images), single(c.name), single("images")
			for i := range n {
				var off, moved, most float64
				for j := i * 3072; j < (i+1)*3072; j++ {
					off += math.Pow(float64(got[j]-want[j]), 2)
					moved += math.Pow(float64(got[j]-from[j]), 2)
					most = max(most, math.Abs(float64(got[j]-from[j])))
				}
				if !(math.Sqrt(off/moved) <= 1e-4) {
					t.Errorf("image %d is %.3g of the way off", i, math.Sqrt(off/moved))
				}
				if c.apgd.Norm == L2 && !(math.Sqrt(moved) <= c.apgd.Eps*(1+1e-5)) || c.apgd.Norm == LInf &&
					!approx.Equal(most, 0, c.apgd.Eps+1e-6) {
					t.Errorf("image %d is outside the ball", i)
				}
			}
		})
	}
	features, err := m.Extend("features", nil, nil, func(_ *model.Builder, out model.Outputs) *graph.Node {
		return out.Features
	})
	if err != nil {
		t.Fatal(err)
	}
	found, err := FeatureAttack{Size: 0.5, Steps: 10}.Maximize(features, images, []int{7})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range double("feature_attack_value")[:n] {
		if !approx.Equal(found.Values[i], want, 1e-5*want) {
			t.Errorf("the feature attack on image %d reaches %g, the authors' %g", i, found.Values[i], want)
		}
	}
	got, want := tensors.MustCopyFlatData[float32](found.Images), single("feature_attack")[:n*3072]
	var off, all float64
	for j := range want {
		off += math.Abs(float64(got[j] - want[j]))
		all += math.Abs(float64(want[j]))
	}
	if !approx.Equal(off, 0, 1e-5*all) {
		t.Errorf("the images of the feature attack are off by %g", off/all)
	}
}

// The largest value of a linear function in a ball is known, as long as the border of 0..1 is far away.
func TestAPGDOnALinearFunction(t *testing.T) {
	const side = 6
	weights := make([]float32, side*side*2)
	var square, sum float64
	for i := range weights {
		weights[i] = float32(math.Sin(float64(3 * i)))
		square += float64(weights[i]) * float64(weights[i])
		sum += math.Abs(float64(weights[i]))
	}
	m, err := model.FromFunc(model.Spec{Name: "linear", Height: side, Width: side, Channels: 2},
		func(x *graph.Node) *graph.Node {
			w := graph.Const(x.Graph(), tensors.FromFlatDataAndDimensions(weights, 1, side, side, 2))
			y := graph.ReduceSum(graph.Mul(x, w), 1, 2, 3)
			return graph.Stack([]*graph.Node{y, graph.Neg(y)}, 1)
		})
	if err != nil {
		t.Fatal(err)
	}
	grey := make([]float32, 3*len(weights))
	for i := range grey {
		grey[i] = 0.5
	}
	images := tensors.FromFlatDataAndDimensions(grey, 3, side, side, 2)
	var middle float64
	for _, w := range weights {
		middle += 0.5 * float64(w)
	}
	for _, c := range []struct {
		apgd APGD
		gain float64
	}{{APGD{Eps: 0.4}, 0.4 * math.Sqrt(square)}, {APGD{Norm: LInf, Eps: 0.1}, 0.1 * sum}} {
		found, err := c.apgd.Maximize(m, images, []int{0, 1, 0})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []float64{middle + c.gain, -middle + c.gain, middle + c.gain} {
			if !approx.Equal(found.Values[i], want, 1e-3*c.gain) {
				t.Errorf("%s: image %d reaches %g, the largest value is %g", c.apgd.Norm, i, found.Values[i], want)
			}
		}
	}
	found, err := FeatureAttack{Size: 0.2, Steps: 1}.Maximize(m, images, []int{0})
	if err != nil {
		t.Fatal(err)
	}
	if want := middle + 0.2*math.Sqrt(square); !approx.Equal(found.Values[0], want, 1e-4) {
		t.Errorf("one step reaches %g, want %g", found.Values[0], want)
	}
}

func TestBadAttacks(t *testing.T) {
	m, err := model.FromFunc(model.Spec{Name: "mean", Height: 2, Width: 2, Channels: 3},
		func(x *graph.Node) *graph.Node { return graph.ReduceMean(x, 1, 2) })
	if err != nil {
		t.Fatal(err)
	}
	images := tensors.FromFlatDataAndDimensions(make([]float32, 12), 1, 2, 2, 3)
	for _, c := range []struct {
		apgd    APGD
		classes []int
		want    string
	}{
		{APGD{}, []int{0}, "radius"},
		{APGD{Eps: math.NaN()}, []int{0}, "radius"},
		{APGD{Eps: 1, Steps: -3}, []int{0}, "-3 steps"},
		{APGD{Eps: 1, Rho: 2}, []int{0}, "Rho"},
		{APGD{Eps: 1, Norm: 7}, []int{0}, "no norm 7"},
		{APGD{Eps: 1}, []int{3}, "class 3"},
		{APGD{Eps: 1, Start: tensors.FromFlatDataAndDimensions(make([]float32, 3), 1, 1, 1, 3)}, []int{0}, "same shape"},
	} {
		if _, err := c.apgd.Maximize(m, images, c.classes); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.apgd, err, c.want)
		}
	}
	if _, err := (FeatureAttack{Size: -1}).Maximize(m, images, nil); err == nil {
		t.Error("a step of negative length is no error")
	}
}
