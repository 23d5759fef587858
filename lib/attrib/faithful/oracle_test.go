package faithful

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// golden reads an array of bench/oracles/faithful.py.
func golden(t *testing.T, array string) []float64 {
	t.Helper()
	return oracle.Read[float64](t, "testdata/faithful.npz", array)
}

const samples = 6 // of noise and of perturbations

// hashedNet is the oracle's network, with its weights or, by a prefix, its fresh ones, in double precision.
func hashedNet(t testing.TB, prefix string) *model.Model {
	t.Helper()
	shapes := map[string][]int{
		"conv1.weight": {3, 3, 3, 6}, "conv1.bias": {6}, "conv2.weight": {3, 3, 6, 8}, "conv2.bias": {8}, "fc.weight": {5, 8},
		"fc.bias": {5},
	}
	prefixed := map[string][]int{}
	for name, shape := range shapes {
		prefixed[prefix+name] = shape
	}
	weights := map[string]*tensors.Tensor{}
	for name, w := range oracle.HashedWeights(prefixed, func(_ string, shape []int, size int, u float64) float64 {
		sees := shape[len(shape)-1]
		if len(shape) == 4 {
			sees = size / sees
		}
		return u / math.Sqrt(float64(sees)/3)
	}) {
		weights[name[len(prefix):]] = w
	}
	spec := model.Spec{Name: "hashed", Height: 12, Width: 12, Channels: 3, Mean: []float64{0.45, 0.5, 0.55},
		Std: []float64{0.25, 0.2, 0.3}}
	m, err := model.FromTensors(weights, spec, func(b *model.Builder, x *graph.Node) *graph.Node {
		x = b.ReLU("relu1", b.Conv2D("conv1", x, 1, 1))
		x = graph.MaxPool(x).Window(2).Strides(2).Done()
		x = b.ReLU("relu2", b.Conv2D("conv2", x, 1, 1))
		return graph.MulScalar(b.Linear("fc", b.Features(graph.ReduceMean(x, 1, 2))), 8)
	})
	if err != nil {
		t.Fatal(err)
	}
	if m, err = m.Double(); err != nil {
		t.Fatal(err)
	}
	return m
}

// hashedValues are float32 numbers of -by..by, or of 0..1 if by is 0.
func hashedValues(name string, by float64, dims ...int) *tensors.Tensor {
	size := 1
	for _, d := range dims {
		size *= d
	}
	values := make([]float32, size)
	for i, u := range oracle.Hashed(name, size) {
		if values[i] = float32(u); by != 0 {
			values[i] = float32(by * (2*u - 1))
		}
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

func oraclesImages() *tensors.Tensor { return hashedValues("images", 0, 4, 12, 12, 3) }

var oraclesClasses = []int{1, 3, 0, 2}

func near(t *testing.T, what string, got, want []float64, within float64) {
	t.Helper()
	if err := approx.All(got, want, within); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// What is asked of the network in double precision comes back in single precision: 1e-6 of values of up to ten.
const within = 3e-6

func TestTheNetworkIsTheOracles(t *testing.T) {
	logits, err := hashedNet(t, "").Logits(oraclesImages())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range golden(t, "logits") {
		if got := tensors.MustCopyFlatData[float32](logits)[i]; !approx.Equal(got, want, within) {
			t.Errorf("logit %d is %v, want %v", i, got, want)
		}
	}
}

func TestCurvesAreTheAuthorsOfRISE(t *testing.T) {
	m, x := hashedNet(t, ""), oraclesImages()
	for name, run := range map[string]func() (*Curve, error){
		"rise_del": func() (*Curve, error) { return Deletion{Steps: 24}.Run(m, x, nil, attrib.InputXGradient{}) },
		"rise_ins": func() (*Curve, error) { return Insertion{Steps: 24}.Run(m, x, nil, attrib.InputXGradient{}) },
	} {
		c, err := run()
		if err != nil {
			t.Fatal(err)
		}
		near(t, name, slices.Concat(c.Values...), golden(t, name), within)
		near(t, name+", areas", c.Areas, golden(t, name+"_auc"), within)
		if len(c.Fractions) != 25 || c.Fractions[1] != 6.0/144 || c.Fractions[24] != 1 {
			t.Errorf("%s: the shares are %v", name, c.Fractions)
		}
	}
}

func TestDeletionIsQuantus(t *testing.T) {
	m, x := hashedNet(t, ""), oraclesImages()
	grey := mask.Constant(0.5)
	c, err := Deletion{Steps: 36, Filler: grey}.Run(m, x, oraclesClasses, attrib.InputXGradient{})
	if err != nil {
		t.Fatal(err)
	}
	var without [][]float64 // the whole image, which Quantus does not ask about
	for _, curve := range c.Values {
		without = append(without, curve[1:])
	}
	near(t, "probabilities", slices.Concat(without...), golden(t, "quantus_flipping"), within)
	if c, err = (Deletion{Steps: 36, Filler: grey, Logit: true}).Run(m, x, oraclesClasses,
		attrib.InputXGradient{}); err != nil {
		t.Fatal(err)
	}
	var areas []float64 // of steps of width 1
	for _, curve := range c.Values {
		steps := make([]float64, 36)
		for i := range steps {
			steps[i] = float64(i)
		}
		areas = append(areas, area(steps, curve[1:]))
	}
	near(t, "areas of logits", areas, golden(t, "quantus_flipping_auc"), 36*within)
}

func TestRandomisationIsQuantus(t *testing.T) {
	m, fresh, x := hashedNet(t, ""), hashedNet(t, "fresh "), oraclesImages()
	for order, independent := range map[string]bool{"top_down": false, "independent": true} {
		r, err := Randomisation{Independent: independent, Fresh: fresh}.Run(m, x, oraclesClasses, attrib.InputXGradient{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.Layers, []string{"fc", "conv2", "conv1"}) {
			t.Fatalf("the layers are %q", r.Layers)
		}
		for l, layer := range r.Layers {
			// Two pixels of 144 whose values differ by rounding may change places: 12/144³ of a correlation.
			near(t, order+" "+layer, r.Correlation[l], golden(t, "mprt_"+order+"_signed_"+layer), 1e-5)
			near(t, order+" "+layer+", absolute", r.Absolute[l], golden(t, "mprt_"+order+"_absolute_"+layer), 1e-5)
		}
		some, err := Randomisation{Independent: independent, Fresh: fresh, Layers: []string{"conv2"}}.Run(m, x,
			oraclesClasses, attrib.InputXGradient{})
		if err != nil {
			t.Fatal(err)
		}
		if len(some.Layers) != 1 || !slices.Equal(some.Correlation[0], r.Correlation[1]) {
			t.Errorf("%s: conv2 alone has %v of %q, and among all layers %v", order, some.Correlation, some.Layers,
				r.Correlation[1])
		}
	}
}

func TestInfidelityIsCaptumsAndQuantus(t *testing.T) {
	m, x := hashedNet(t, ""), oraclesImages()
	given := hashedValues("perturbations", 0.3, samples, 12, 12, 3)
	r, err := Infidelity{Given: given}.Run(m, x, oraclesClasses, attrib.Gradient{})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "captum", r.Unscaled, golden(t, "captum_infidelity"), within)
	near(t, "captum, scaled", r.Scaled, golden(t, "captum_infidelity_scaled"), within)

	// Blocks of 4 x 4 become grey, one after another, and stay so.
	pixels := tensors.MustCopyFlatData[float32](x)
	changes := make([]float32, 9*len(pixels))
	for block := range 9 {
		for i, v := range pixels {
			row, column := i/36%12, i/3%12
			if row/4*3+column/4 <= block {
				changes[block*len(pixels)+i] = v - 0.5
			}
		}
	}
	if r, err = (Infidelity{Given: tensors.FromFlatDataAndDimensions(changes, 9, 4, 12, 12, 3)}).Run(m, x, oraclesClasses,
		attrib.Gradient{}); err != nil {
		t.Fatal(err)
	}
	near(t, "Quantus", r.Unscaled, golden(t, "quantus_infidelity"), within)
}

func TestSensitivityIsCaptumsAndQuantus(t *testing.T) {
	m, x := hashedNet(t, ""), oraclesImages()
	for name, method := range map[string]attrib.Method{"gradient": attrib.Gradient{},
		"contribution": attrib.InputXGradient{}} {
		r, err := Sensitivity{Noise: hashedValues("noise", 0.2, samples, 12, 12, 3)}.Run(m, x, oraclesClasses, method)
		if err != nil {
			t.Fatal(err)
		}
		near(t, name+", captum", r.Max, golden(t, "captum_sensitivity_"+name), within)
		near(t, name+", Quantus", r.Max, golden(t, "quantus_max_"+name), within)
		near(t, name+", mean, Quantus", r.Average, golden(t, "quantus_avg_"+name), within)
	}
}
