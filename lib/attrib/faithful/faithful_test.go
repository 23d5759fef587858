package faithful

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/internal/paced"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
	"github.com/loupeml/loupe/lib/table"
)

// halves is a linear network of two classes: the mean of the left half of 8x8 pixels with random weights, times 8, and
// that of the right half.
func halves(t testing.TB) *model.Model {
	t.Helper()
	weights := make([]float32, 64*2)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range weights {
		if i/2%8/4 == i%2 {
			weights[i] = (0.5 + rng.Float32()) / 4
		}
	}
	m, err := model.FromTensors(map[string]*tensors.Tensor{"all.weight": tensors.FromFlatDataAndDimensions(weights, 64,
		2)},
		model.Spec{Name: "halves", Height: 8, Width: 8, Channels: 1}, func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.Dot(graph.Reshape(x, -1, 64), b.Weight("all.weight")).Product()
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// grey are n random images for halves.
func grey(n int) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(1, 2))
	flat := make([]float32, n*64)
	for i := range flat {
		flat[i] = rng.Float32()
	}
	return tensors.FromFlatDataAndDimensions(flat, n, 8, 8, 1)
}

// stub is a method that gives the same values for whatever it is asked.
type stub struct {
	name string
	give func(n int, d []int) *tensors.Tensor
}

func (s stub) Name() string { return s.name }

func (s stub) Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*attrib.Attribution, error) {
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	d := images.Shape().Dimensions
	return attrib.NewAttribution(s, m, s.give(d[0], d), classes), nil
}

// constant gives every value v.
func constant(v float32) stub {
	return stub{"constant", func(_ int, d []int) *tensors.Tensor { return tensors.FromScalarAndDimensions(v, d...) }}
}

func TestWhatTheNetworkGoesByIsInsertedAndDeletedFirst(t *testing.T) {
	m, x := halves(t), grey(6)
	c, err := Tests{Insertion: Insertion{Steps: 16}, Deletion: Deletion{Steps: 16}, Seed: 1}.Compare(m, x, []int{0},
		attrib.InputXGradient{}, attrib.InputXGradient{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Insertion) != 3 || len(c.Deletion) != 3 || c.Insertion[1].Method != c.Insertion[0].Method+" (2)" ||
		c.Deletion[2].Method != "random" {
		t.Fatalf("there are %d and %d curves, of %q and %q", len(c.Insertion), len(c.Deletion), c.Insertion[1].Method,
			c.Deletion[2].Method)
	}
	if !reflect.DeepEqual(c.Insertion[0].Values, c.Insertion[1].Values) {
		t.Error("the same method twice gives two results")
	}
	for i := range 6 {
		if good, random := c.Deletion[0].Areas[i], c.Deletion[2].Areas[i]; !(good < random) {
			t.Errorf("image %d: the area under deletion is %.3f, of a random ranking %.3f", i, good, random)
		}
	}
	tab, err := c.Table()
	if err != nil {
		t.Fatal(err)
	}
	below, ok := tab.Rows[0][4].(table.Estimate)
	if !ok || len(tab.Rows) != 3 || tab.Rows[2][4] != nil || !(below.Low > 0) {
		t.Errorf("below random: %v of %v", tab.Rows[0][4], tab)
	}
	var sum float64
	for i := range 6 {
		sum += (c.Deletion[2].Areas[i] - c.Deletion[0].Areas[i]) / 6
	}
	if !approx.Equal(below.Value, sum, 1e-12) {
		t.Errorf("below random by %v, want %v", below.Value, sum)
	}
	// With its logit the whole image and nothing are known, and deletion is insertion backwards of the backward order.
	black := mask.Constant(0)
	in, err := Insertion{Steps: 64, Filler: black, Logit: true}.Run(m, x, []int{0}, attrib.InputXGradient{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := attrib.InputXGradient{}.Attribute(m, x, []int{0})
	if err != nil {
		t.Fatal(err)
	}
	values := tensors.MustCopyFlatData[float32](a.Values)
	for i := range 6 {
		sorted := slices.Clone(values[i*64 : (i+1)*64])
		slices.SortFunc(sorted, func(a, b float32) int { return -cmp(a, b) })
		sum := 0.0
		for k := range 65 {
			if !approx.Equal(in.Values[i][k], sum, 1e-5) {
				t.Fatalf("image %d with %d pixels: %v, want %v", i, k, in.Values[i][k], sum)
			}
			if k < 64 {
				sum += float64(sorted[k])
			}
		}
	}
}

func cmp(a, b float32) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// A linear network does what its gradient says, and its contributions say what squares of black do.
func TestALinearNetworkIsExplainedFaithfully(t *testing.T) {
	m, x := halves(t), grey(3)
	for name, c := range map[string]struct {
		by     Perturbation
		method attrib.Method
	}{"gradient": {NoisyBaseline, attrib.Gradient{}}, "contributions": {Squares, attrib.InputXGradient{}}} {
		r, err := Infidelity{Perturbation: c.by, Samples: 40}.Run(m, x, []int{0}, c.method)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if !approx.Equal(r.Scale[i], 1, 1e-4) || !approx.Equal(r.Unscaled[i], 0, 1e-8) || !(r.Answers[i] > 1e-3) {
				t.Errorf("%s: image %d has the infidelity %g, the scale %v, and %g without values", name, i, r.Unscaled[i],
					r.Scale[i], r.Answers[i])
			}
		}
		// Values that are not asked say nothing, and have the infidelity of nothing.
		if r, err = (Infidelity{Perturbation: c.by, Samples: 40}).Run(m, x, []int{0}, constant(0)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.Scaled, r.Answers) || !slices.Equal(r.Unscaled, r.Answers) || r.Scale[0] != 0 {
			t.Errorf("%s: values of 0 have the infidelity %v and %v, want %v", name, r.Scaled, r.Unscaled, r.Answers)
		}
		// A scale makes no difference, and the classes' values do.
		twice := stub{"twice", func(_ int, d []int) *tensors.Tensor {
			a, err := c.method.Attribute(m, x, []int{0})
			if err != nil {
				panic(err)
			}
			flat := tensors.MustCopyFlatData[float32](a.Values)
			for i := range flat {
				flat[i] *= 2
			}
			return tensors.FromFlatDataAndDimensions(flat, d...)
		}}
		if r, err = (Infidelity{Perturbation: c.by, Samples: 40}).Run(m, x, []int{0}, twice); err != nil {
			t.Fatal(err)
		}
		if !approx.Equal(r.Scaled[0], 0, 1e-8) || !approx.Equal(r.Unscaled[0], r.Answers[0], 1e-4) ||
			!approx.Equal(r.Scale[0], 0.5, 1e-4) {
			t.Errorf("%s: twice the values have the infidelity %g and %g, want 0 and %g", name, r.Scaled[0], r.Unscaled[0],
				r.Answers[0])
		}
	}
	s, err := Sensitivity{Samples: 3}.Run(m, x, []int{0}, attrib.Gradient{})
	if err != nil {
		t.Fatal(err)
	}
	if !approx.Equal(slices.Max(s.Max), 0, 1e-6) || s.Samples != 3 || s.Radius != 0.2 {
		t.Errorf("the gradient of a linear network changes: %+v", s)
	}
	// x·w moves by ε·w at most.
	if s, err = (Sensitivity{Samples: 20, Radius: 0.01}).Run(m, x, []int{0}, attrib.InputXGradient{}); err != nil {
		t.Fatal(err)
	}
	for i := range s.Max {
		if !(s.Average[i] > 0.001) || !(s.Max[i] >= s.Average[i]) || !(s.Max[i] < 0.03) {
			t.Errorf("image %d has the sensitivities %v and %v", i, s.Max[i], s.Average[i])
		}
	}
	if s, err = (Sensitivity{Samples: 2}).Run(m, x, nil, constant(0)); err != nil || !math.IsNaN(s.Max[0]) ||
		!math.IsNaN(s.Average[0]) {
		t.Errorf("the sensitivity of values of 0 is %v, %v", s, err)
	}
	if _, _, err := s.Mean(); err == nil {
		t.Error("a mean of no numbers")
	}
}

// The perturbations that are drawn are what the comments say: the definition, one image after the other.
func TestPerturbationsAreTheirDefinitions(t *testing.T) {
	m, x := hashedNet(t, ""), oraclesImages()
	a, err := attrib.InputXGradient{}.Attribute(m, x, oraclesClasses)
	if err != nil {
		t.Fatal(err)
	}
	pixels, values := tensors.MustCopyFlatData[float32](x), tensors.MustCopyFlatData[float32](a.Values)
	const count = 13
	size := len(pixels) / 4
	logit := func(x []float32) []float32 {
		logits, err := m.Logits(tensors.FromFlatDataAndDimensions(x, 4, 12, 12, 3))
		if err != nil {
			t.Fatal(err)
		}
		flat := tensors.MustCopyFlatData[float32](logits)
		var own []float32
		for i, class := range oraclesClasses {
			own = append(own, flat[i*5+class])
		}
		return own
	}
	whole := logit(pixels)
	for _, by := range []Perturbation{NoisyBaseline, Squares} {
		in := Infidelity{Perturbation: by, Samples: count, Seed: 5, Sigma: 0.3, Baseline: mask.Constant(0.4)}
		r, err := in.Run(m, x, oraclesClasses, attrib.InputXGradient{})
		if err != nil {
			t.Fatal(err)
		}
		draws := rand.New(rand.NewPCG(5, 0))
		sums := make([]float64, 4)
		sides := map[int]bool{}
		for range count {
			perturbed, said := slices.Clone(pixels), make([]float64, 4)
			if by == Squares {
				row, column, side := square(draws, 12, 12)
				sides[side] = true
				for p := range perturbed {
					if y, x := p/36%12, p/3%12; y >= row && y < row+side && x >= column && x < column+side {
						perturbed[p] = 0.4
						said[p/size] += float64(values[p])
					}
				}
			} else {
				for p := range size {
					z := float32(min(max(0.4+0.3*draws.NormFloat64(), 0), 1))
					for i := range 4 {
						perturbed[i*size+p] = z
						said[i] += float64(pixels[i*size+p]-z) * float64(values[i*size+p])
					}
				}
			}
			for i, after := range logit(perturbed) {
				off := said[i] - float64(whole[i]-after)
				sums[i] += off * off / count
			}
		}
		if by == Squares && (len(sides) < 3 || sides[5] || sides[0]) { // 10 pixels in 28 are 4 in 12
			t.Errorf("the squares have the sides %v", sides)
		}
		near(t, by.String(), r.Unscaled, sums, 1e-4)
		// Nothing depends on how images are batched.
		other, err := hashedNet(t, "").Renamed("other")
		if err != nil {
			t.Fatal(err)
		}
		other.BatchSize = 3
		again, err := in.Run(other, x, oraclesClasses, attrib.InputXGradient{})
		if err != nil {
			t.Fatal(err)
		}
		near(t, by.String()+" in other batches", again.Scaled, r.Scaled, 1e-5)
	}
	// Values with one channel count a pixel once in squares, and stand for all channels of noise.
	for by, factor := range map[Perturbation]float32{NoisyBaseline: 1, Squares: 3} {
		map1 := func(channels int, v float32) stub {
			return stub{"map", func(n int, d []int) *tensors.Tensor {
				return tensors.FromScalarAndDimensions(v, n, 12, 12,
					channels)
			}}
		}
		in := Infidelity{Perturbation: by, Samples: 5}
		one, err := in.Run(m, x, oraclesClasses, map1(1, 0.1*factor))
		if err != nil {
			t.Fatal(err)
		}
		three, err := in.Run(m, x, oraclesClasses, map1(3, 0.1))
		if err != nil {
			t.Fatal(err)
		}
		near(t, by.String()+" of one channel", one.Unscaled, three.Unscaled, 1e-5)
	}
}

func TestSquaresAreAllAsLikely(t *testing.T) {
	draws := rand.New(rand.NewPCG(3, 0))
	counts := map[[3]int]int{}
	const n = 20000
	for range n {
		row, column, side := square(draws, 5, 4) // sides of 1: 10·4/28 is 1.4
		counts[[3]int{row, column, side}]++
	}
	for range n {
		row, column, side := square(draws, 7, 6) // and of 2
		if row < 0 || column < 0 || side < 1 || side > 2 || row+side > 7 || column+side > 6 {
			t.Fatalf("a square of %d at %d, %d", side, row, column)
		}
		counts[[3]int{row + 10, column, side}]++
	}
	if len(counts) != 20+42+30 {
		t.Errorf("%d squares are drawn, want %d", len(counts), 20+42+30)
	}
	for at, k := range counts {
		want := n / 20.0
		if at[0] >= 10 {
			want = n / 72.0
		}
		if !(math.Abs(float64(k)-want) < 6*math.Sqrt(want)) {
			t.Errorf("square %v is drawn %d times, want %.0f", at, k, want)
		}
	}
}

func TestRandomisationForgetsWhatWasLearnt(t *testing.T) {
	m, x := hashedNet(t, ""), oraclesImages()
	// A method that does not look at the network passes through unchanged.
	blind, err := Randomisation{}.Run(m, x, oraclesClasses,
		stub{"blind", func(n int, _ []int) *tensors.Tensor { return hashedValues("blind", 1, n, 12, 12, 1) }})
	if err != nil {
		t.Fatal(err)
	}
	for l := range blind.Layers {
		near(t, "blind", blind.Correlation[l], []float64{1, 1, 1, 1}, 1e-12)
	}
	one, err := Randomisation{Seed: 1}.Run(m, x, oraclesClasses, attrib.Gradient{})
	if err != nil {
		t.Fatal(err)
	}
	same, err := Randomisation{Seed: 1}.Run(m, x, oraclesClasses, attrib.Gradient{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := Randomisation{Seed: 2}.Run(m, x, oraclesClasses, attrib.Gradient{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(one, same) || reflect.DeepEqual(one.Correlation, two.Correlation) {
		t.Error("the seed does not say what is drawn")
	}
	last := len(one.Layers) - 1
	if v, _, err := one.Mean(last); err != nil || !(math.Abs(v) < 0.5) {
		t.Errorf("of a random network the heatmaps correlate by %v, %v", v, err)
	}
	// Each weight has its own numbers in another order.
	for name, w := range m.Weights() {
		random, err := Randomisation{Seed: 1}.randomised(m, name)
		if err != nil {
			t.Fatal(err)
		}
		was, is := tensors.MustCopyFlatData[float32](w), tensors.MustCopyFlatData[float32](random)
		if slices.Equal(was, is) {
			t.Errorf("%s is as it was", name)
		}
		slices.Sort(was)
		slices.Sort(is)
		if !slices.Equal(was, is) {
			t.Errorf("%s has other numbers", name)
		}
	}
	// A heatmap of one value has no ranks.
	flat, err := Randomisation{Layers: []string{"fc"}}.Run(m, x, nil, constant(2))
	if err != nil || !math.IsNaN(flat.Correlation[0][0]) {
		t.Errorf("the rank correlation of flat heatmaps is %v, %v", flat, err)
	}
	if rows := flat.Table().Rows; table.Text(rows[0][1]) != "" || rows[0][3] != 0 {
		t.Errorf("the table has %v", rows)
	}
}

func TestLayersAreModules(t *testing.T) {
	layers, err := Layers(hashedNet(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	want := []Layer{{"fc", []string{"fc.weight", "fc.bias"}}, {"conv2", []string{"conv2.weight", "conv2.bias"}},
		{"conv1", []string{"conv1.weight", "conv1.bias"}}}
	if !reflect.DeepEqual(layers, want) {
		t.Errorf("the layers are %v", layers)
	}
	numbers := func(dims ...int) *tensors.Tensor { return tensors.FromScalarAndDimensions(float32(1), dims...) }
	unnamed, err := model.FromTensors(map[string]*tensors.Tensor{"193": numbers(4, 3), "194": numbers(3),
		"7": numbers(3, 2), "8": numbers(2), "9": numbers(2)},
		model.Spec{Height: 2, Width: 2, Channels: 1}, func(b *model.Builder, x *graph.Node) *graph.Node {
			dense := func(x *graph.Node, name, bias string) *graph.Node {
				return graph.Add(graph.Dot(x, b.Weight(name)).Product(), graph.ExpandAxes(b.Weight(bias), 0))
			}
			return dense(dense(graph.Reshape(x, -1, 4), "193", "194"), "7", "8") // 9 is not used
		})
	if err != nil {
		t.Fatal(err)
	}
	if layers, err = Layers(unnamed); err != nil || !reflect.DeepEqual(layers,
		[]Layer{{"7", []string{"7", "8"}}, {"193", []string{"193", "194"}}}) {
		t.Errorf("the layers are %v, %v", layers, err)
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	m, x := halves(t), grey(2)
	a, err := attrib.Gradient{}.Attribute(m, x, nil)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(a *attrib.Attribution)) *attrib.Attribution {
		other := *a
		change(&other)
		return &other
	}
	broken := slices.Clone(tensors.MustCopyFlatData[float32](a.Values))
	broken[64+8*3+5] = float32(math.NaN())
	nan := with(func(a *attrib.Attribution) { a.Values = tensors.FromFlatDataAndDimensions(broken, 2, 8, 8, 1) })
	numbers := func(dims ...int) *tensors.Tensor { return tensors.FromScalarAndDimensions(float32(1), dims...) }
	ensemble, err := model.Ensemble("two", halves(t), halves(t))
	if err != nil {
		t.Fatal(err)
	}
	deletion, insertion, infidelity, random := Deletion{}, Insertion{}, Infidelity{}, Randomisation{}
	gradient := attrib.Gradient{}
	second := func(_ any, err error) error { return err }
	for want, err := range map[string]error{
		"it is nil":              second(deletion.Run(m, x, nil, nil)),
		"nil or empty":           second(insertion.Of(m, x, nil)),
		"class 2 does not exist": second(deletion.Run(m, x, []int{2}, gradient)),
		"class 5 does not exist": second(deletion.Of(m, x,
			with(func(a *attrib.Attribution) { a.Classes = []int{0, 5} }))),
		"the classes of 1 images": second(deletion.Of(m, x,
			with(func(a *attrib.Attribution) { a.Classes = []int{0} }))),
		"3 classes for 2 images":          second(infidelity.Run(m, x, []int{0, 1, 1}, gradient)),
		"NaN at image 1, row 3, column 5": second(deletion.Of(m, x, nan)),
		"for images [2 8 8 1]": second(insertion.Of(m, x,
			with(func(a *attrib.Attribution) { a.Values = numbers(2, 8, 7, 1) }))),
		"or with one channel": second(infidelity.Of(m, x,
			with(func(a *attrib.Attribution) { a.Values = numbers(2, 8, 8, 3) }))),
		"in 65 steps":                            second(Deletion{Steps: 65}.Of(m, x, a)),
		"in -1 steps":                            second(Insertion{Steps: -1}.Of(m, x, a)),
		"reduction 9":                            second(Deletion{By: 9}.Of(m, x, a)),
		"not a tensor of rank 3":                 second(deletion.Run(m, numbers(8, 8, 1), nil, gradient)),
		"-3 perturbations":                       second(Infidelity{Samples: -3}.Run(m, x, nil, gradient)),
		"no perturbation 7":                      second(Infidelity{Perturbation: 7}.Run(m, x, nil, gradient)),
		"standard deviation of -1":               second(Infidelity{Sigma: -1}.Run(m, x, nil, gradient)),
		"[samples][8 8 1] or [samples][2 8 8 1]": second(Infidelity{Given: numbers(3, 8, 8)}.Run(m, x, nil, gradient)),
		"and Samples is 4": second(Infidelity{Samples: 4, Given: numbers(3, 8, 8, 1)}.Run(m, x, nil,
			gradient)),
		"a perturbation has NaN": second(Infidelity{Given: tensors.FromScalarAndDimensions(float32(math.NaN()),
			3, 8, 8, 1)}.Run(m, x, nil, gradient)),
		"-2 copies":                second(Sensitivity{Samples: -2}.Run(m, x, nil, gradient)),
		"the radius is -1":         second(Sensitivity{Radius: -1}.Run(m, x, nil, gradient)),
		"[samples][8 8 1] float32": second(Sensitivity{Noise: numbers(3, 8, 7, 1)}.Run(m, x, nil, gradient)),
		"give one of them": second(Sensitivity{Noise: numbers(3, 8, 8, 1), Radius: 1}.Run(m, x, nil,
			gradient)),
		"the noise has +Inf": second(Sensitivity{
			Noise: tensors.FromScalarAndDimensions(float32(math.Inf(1)), 3, 8, 8, 1)}.Run(m, x, nil, gradient)),
		"constant gives NaN":    second(Sensitivity{Samples: 1}.Run(m, x, nil, constant(float32(math.NaN())))),
		"constant gives +Inf":   second(random.Run(m, x, nil, constant(float32(math.Inf(1))))),
		"no weights of its own": second(random.Run(ensemble, x, nil, gradient)),
		`no layer "al"`:         second(Randomisation{Layers: []string{"al"}}.Run(m, x, nil, gradient)),
		"named twice": second(Randomisation{Layers: []string{"all", "all"}}.Run(m, x, nil,
			gradient)),
		"give nil for all":                     second(Randomisation{Layers: []string{}}.Run(m, x, nil, gradient)),
		`a weight "all.weight", and the fresh`: second(Randomisation{Fresh: hashedNet(t, "")}.Run(m, x, nil, gradient)),
		"there are no methods":                 second(Tests{}.Compare(m, x, nil)),
		"method 2 of 2 is nil":                 second(Tests{}.Compare(m, x, nil, gradient, nil)),
		"nothing to compare":                   second((&Comparison{}).Table()),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
	// One image has everything but an interval.
	c, err := Tests{Insertion: Insertion{Steps: 4}, Deletion: Deletion{Steps: 4}}.Compare(m, grey(1), nil, gradient)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Insertion[0].Mean(); err == nil || !strings.Contains(err.Error(), "no interval from 1 values") {
		t.Errorf("the interval of one image: %v", err)
	}
	if tab, err := c.Table(); err != nil || table.Text(tab.Rows[0][1]) != fmt.Sprintf("%.3g", c.Insertion[0].Areas[0]) {
		t.Errorf("the table of one image: %v, %v", tab, err)
	}
	c.Bundle()
}

func TestResultsAreKept(t *testing.T) {
	m, x := halves(t), grey(3)
	gradient := attrib.InputXGradient{}
	must := func(v any, err error) any {
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	nan := math.NaN() // some heatmaps, or all, have no ranks
	flat := &Randomised{Layers: []string{"b", "a"}, Classes: []int{0, 1}, Correlation: [][]float64{{nan, nan}, {1, 0.5}},
		Absolute: [][]float64{{nan, 1}, {1, 0.5}}}
	for name, c := range map[string]struct {
		result any
		files  []string
		rows   int
	}{
		"curve": {must(Deletion{Steps: 4}.Run(m, x, nil, gradient)), []string{".csv", ".json", ".npz", ".png", ".svg"},
			3},
		"comparison": {must(Tests{Insertion{Steps: 4}, Deletion{Steps: 4}, 1}.Compare(m, x, nil, gradient)),
			[]string{".csv", ".json", ".npz", ".safetensors", ".png", ".pdf"}, 2},
		"randomised":  {must(Randomisation{}.Run(m, x, nil, gradient)), []string{".csv", ".json", ".npz", ".png"}, 1},
		"no ranks":    {flat, []string{".csv", ".json", ".npz", ".png"}, 2},
		"infidelity":  {must(Infidelity{Samples: 3}.Run(m, x, nil, gradient)), []string{".csv", ".json", ".npz"}, 3},
		"sensitivity": {must(Sensitivity{Samples: 2}.Run(m, x, nil, gradient)), []string{".csv", ".json", ".npz"}, 3},
	} {
		for _, suffix := range c.files {
			path := filepath.Join(t.TempDir(), name+suffix)
			if err := save.Write(path, c.result); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if suffix == ".csv" {
				back, err := save.Read(path)
				if rows := len(back.(table.Table).Rows); err != nil || rows != c.rows {
					t.Errorf("%s has %d rows, %v, want %d", name, rows, err, c.rows)
				}
			}
		}
		if shown := reflect.ValueOf(c.result).MethodByName("Bundle").Call(nil)[0]; shown.FieldByName("Data").Len() == 0 {
			t.Errorf("%s shows nothing", name)
		}
	}
}

func TestInterruptedTestsReturnWhatTheyHave(t *testing.T) {
	m, x := halves(t), grey(5)
	m.BatchSize = 2
	defer paced.Fix(2)()
	gradient := attrib.Gradient{}
	begins := func(part, whole [][]float64) int {
		t.Helper()
		if len(part) > len(whole) || !reflect.DeepEqual(part, whole[:len(part)]) {
			t.Fatal("the part is another")
		}
		return len(part)
	}
	a, err := gradient.Attribute(m, x, nil)
	if err != nil {
		t.Fatal(err)
	}
	deletion := Deletion{Steps: 5}
	curve, err := deletion.Of(m, x, a)
	if err != nil {
		t.Fatal(err)
	}
	testenv.Interrupt(t, func() (*Curve, error) { return deletion.Of(m, x, a) }, func(part *Curve) int {
		if part == nil {
			return 0
		}
		if len(part.Areas) != part.Len() || len(part.Classes) != part.Len() || len(part.ClassNames) != part.Len() {
			t.Fatal("a part has more areas or classes than curves")
		}
		return begins(part.Values, curve.Values)
	})
	tests := Tests{Insertion{Steps: 2}, deletion, 1}
	whole, err := tests.Compare(m, x, nil, gradient, attrib.InputXGradient{})
	if err != nil {
		t.Fatal(err)
	}
	testenv.Interrupt(t, func() (*Comparison, error) {
		return tests.Compare(m, x, nil, gradient,
			attrib.InputXGradient{})
	}, func(part *Comparison) int {
		if part == nil {
			return 0
		}
		n := len(part.Insertion) - 1
		if len(part.Deletion) != n+1 || !reflect.DeepEqual(part.Insertion[n], whole.Insertion[2]) ||
			!reflect.DeepEqual(part.Deletion[:n], whole.Deletion[:n]) {
			t.Fatal("the part is another")
		}
		return n
	})
	infidelity := Infidelity{Samples: 5}
	all, err := infidelity.Of(m, x, a)
	if err != nil {
		t.Fatal(err)
	}
	testenv.Interrupt(t, func() (*Infidelities, error) { return infidelity.Of(m, x, a) }, func(part *Infidelities) int {
		if part == nil {
			return 0
		}
		return begins([][]float64{part.Scaled, part.Unscaled},
			[][]float64{all.Scaled[:part.Len()], all.Unscaled[:part.Len()]}) / 2 * part.Len()
	})
	sensitivity := Sensitivity{Samples: 3}
	moved, err := sensitivity.Run(m, x, []int{0}, attrib.InputXGradient{})
	if err != nil {
		t.Fatal(err)
	}
	testenv.Interrupt(t, func() (*Sensitivities, error) {
		return sensitivity.Run(m, x, []int{0},
			attrib.InputXGradient{})
	}, func(part *Sensitivities) int {
		if part == nil {
			return 0
		}
		return begins([][]float64{part.Max, part.Average},
			[][]float64{moved.Max[:part.Len()], moved.Average[:part.Len()]}) / 2 * part.Len()
	})
	net, photos := hashedNet(t, ""), oraclesImages()
	random, err := Randomisation{}.Run(net, photos, oraclesClasses, gradient)
	if err != nil {
		t.Fatal(err)
	}
	testenv.Interrupt(t, func() (*Randomised, error) { return Randomisation{}.Run(net, photos, oraclesClasses, gradient) },
		func(part *Randomised) int {
			if part == nil {
				return 0
			}
			return begins(part.Correlation, random.Correlation)
		})
}

// Everything is compiled once, whatever the settings of what is asked.
func TestProgramsAreCompiledOnce(t *testing.T) {
	m, x := halves(t), grey(3)
	run := func(seed uint64) {
		t.Helper()
		if _, err := (Tests{Insertion{Steps: 8}, Deletion{Steps: 8}, seed}).Compare(m, x, nil,
			attrib.Gradient{}); err != nil {
			t.Fatal(err)
		}
		if _, err := (Infidelity{Samples: 9, Seed: seed}).Run(m, x, nil, attrib.Gradient{}); err != nil {
			t.Fatal(err)
		}
		if _, err := (Sensitivity{Samples: 3, Seed: seed}).Run(m, x, nil, attrib.Gradient{}); err != nil {
			t.Fatal(err)
		}
		if _, err := (Randomisation{Seed: seed}).Run(m, x, nil, attrib.Gradient{}); err != nil {
			t.Fatal(err)
		}
	}
	run(1)
	before := model.Compilations()
	run(2)
	if n := model.Compilations() - before; n != 0 {
		t.Errorf("%d programs are compiled again", n)
	}
}
