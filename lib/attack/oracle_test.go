package attack

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/model"
)

// The figures are those of the authors' code: bench/oracles/autoattack.py.
func authors[T any](t *testing.T, array string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/autoattack.npz", array)
}

// digits is the oracle's network and the images that it was attacked on.
func digits(t *testing.T) (m *model.Model, images *tensors.Tensor, labels []int) {
	t.Helper()
	kernel := func(name string, in, out int) *tensors.Tensor { // PyTorch's [out, in, 5, 5] as [5, 5, in, out]
		from, to := authors[float32](t, name), make([]float32, 25*in*out)
		for o := range out {
			for i := range in {
				for p := range 25 {
					to[(p*in+i)*out+o] = from[(o*in+i)*25+p]
				}
			}
		}
		return tensors.FromFlatDataAndDimensions(to, 5, 5, in, out)
	}
	weights := map[string]*tensors.Tensor{
		"conv1.weight": kernel("0.weight", 1, 8), "conv1.bias": tensors.FromFlatDataAndDimensions(authors[float32](t,
			"0.bias"), 8),
		"conv2.weight": kernel("2.weight", 8, 16), "conv2.bias": tensors.FromFlatDataAndDimensions(authors[float32](t,
			"2.bias"), 16),
		"linear.weight": tensors.FromFlatDataAndDimensions(authors[float32](t, "5.weight"), 10, 784),
		"linear.bias":   tensors.FromFlatDataAndDimensions(authors[float32](t, "5.bias"), 10),
	}
	m, err := model.FromTensors(weights, model.Spec{Name: "digits", Height: 28, Width: 28, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			x = b.ReLU("relu1", b.Conv2D("conv1", x, 2, 2))
			x = b.ReLU("relu2", b.Conv2D("conv2", x, 2, 2))
			return b.Linear("linear", graph.Reshape(x, x.Shape().Dimensions[0], 784))
		})
	if err != nil {
		t.Fatal(err)
	}
	pixels := oracle.Unit(authors[uint8](t, "images"))
	for _, l := range authors[int64](t, "labels") {
		labels = append(labels, int(l))
	}
	return m, tensors.FromFlatDataAndDimensions(pixels, len(labels), 28, 28, 1), labels
}

// The robust accuracy is that of the authors' AutoAttack on the same network and images, to a point, at each radius;
// they agree on nearly every image. Without LOUPE_HEAVY=1 it is the largest radius, and the first few images: what
// becomes of one does not depend on the others.
func TestRobustAccuracyIsTheAuthors(t *testing.T) {
	m, images, labels := digits(t)
	if few := 24; !testenv.IsHeavy() {
		labels = labels[:few]
		flat, err := float32s(images)
		if err != nil {
			t.Fatal(err)
		}
		images = tensors.FromFlatDataAndDimensions(flat[:few*28*28], few, 28, 28, 1)
	}
	for _, norm := range []Norm{LInf, L2} {
		name := map[Norm]string{LInf: "Linf", L2: "L2"}[norm]
		radii := authors[float64](t, name+"_eps")
		for i, eps := range radii {
			if !testenv.IsHeavy() && i < len(radii)-1 {
				continue
			}
			a := AutoAttack{Norm: norm, Eps: eps}
			if !testenv.IsHeavy() {
				a.Queries = 200 // of 5,000, which find nothing more on this network
			}
			e, err := a.Run(m, images, labels)
			if err != nil {
				t.Fatal(err)
			}
			theirs, differ := 0, 0
			for i, stands := range authors[uint8](t, name+"_stands_"+string(rune('0'+i)))[:len(labels)] {
				theirs += int(stands)
				if (stands == 1) != (e.By[i] == Robust) {
					differ++
				}
			}
			t.Logf("%v; the authors': %d; %d images differ; %v", e, theirs, differ, e.Attempts)
			if !approx.Equal(e.Robust.Share(), float64(theirs)/float64(len(labels)), max(0.01, 1/float64(len(labels)))+1e-9) ||
				differ > 3 || theirs < len(labels)/20 || theirs > len(labels)*19/20 {
				t.Errorf("%v ≤ %g: %d images stand, %d in the authors' run, of %d images the two say different things", norm, eps,
					e.Robust.Correct, theirs, differ)
			}
		}
	}
}

func TestObjectivesAreTheAuthors(t *testing.T) {
	logits := tensors.FromFlatDataAndDimensions(authors[float64](t, "logits"), 40, 6)
	classes := func(name string) *tensors.Tensor {
		var all []int
		for _, c := range authors[int64](t, name) {
			all = append(all, int(c))
		}
		return model.ClassTensor(all)
	}
	for name, o := range map[string]objective{"ce": crossEntropy, "dlr": differenceOfLogitsRatio,
		"dlr_targeted": targetedRatio} {
		exec, err := model.NewExec(o.of)
		if err != nil {
			t.Fatal(err)
		}
		got, err := exec.Call1(logits, classes("label"), classes("target"))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range authors[float64](t, name) {
			if v := tensors.MustCopyFlatData[float64](got)[i]; !approx.Equal(v, want, 1e-9*math.Max(1, math.Abs(want))) {
				t.Errorf("%s of row %d is %g, the authors' %g", name, i, v, want)
			}
		}
	}
}

// The authors sort the pixels, and ours are solved for: the ways are the same, also where the hyperplane cannot be
// reached, and where pixels have no weight.
func TestWaysOntoHyperplanesAreTheAuthors(t *testing.T) {
	const n, size = 60, 48
	points, normals := authors[float64](t, "points"), authors[float64](t, "normals")
	above := make([]float64, n)
	for i, offset := range authors[float64](t, "offset") {
		for p := range size {
			above[i] += points[i*size+p] * normals[i*size+p]
		}
		above[i] -= offset
	}
	tensor := func(flat []float64, size int) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(flat, n, 1, size, 1)
	}
	for _, norm := range []Norm{LInf, L2} {
		exec, err := model.NewExec(func(points, normals, above *graph.Node) *graph.Node {
			return ontoHyperplane(norm, points, normals, above)
		})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Call1(tensor(points, size), tensor(normals, size), tensor(above, 1))
		if err != nil {
			t.Fatal(err)
		}
		got := tensors.MustCopyFlatData[float64](out)
		want := authors[float64](t, map[Norm]string{LInf: "onto_Linf", L2: "onto_L2"}[norm])
		if err := approx.All(got, want, 1e-6); err != nil {
			t.Errorf("%v: %v", norm, err)
		}
	}
}

// The sides of squares follow the authors' schedule, and the pattern of L2 is theirs.
func TestSquaresAreTheAuthors(t *testing.T) {
	for query, share := range authors[float64](t, "shares") {
		halvings := 0
		for _, after := range shrinks {
			if query > after {
				halvings++
			}
		}
		if got := 0.8 / math.Pow(2, float64(halvings)); !approx.Equal(got, share, 1e-12) {
			t.Fatalf("query %d changes %g of the image, the authors' %g", query, got, share)
		}
	}
	for side, name := range map[int]string{3: "pattern_3", 4: "pattern_4", 5: "pattern_5", 9: "pattern_9",
		25: "pattern_25"} {
		var got []float64
		for _, row := range squarePattern(side) {
			got = append(got, row...)
		}
		if err := approx.All(got, authors[float32](t, name), 1e-6); err != nil {
			t.Errorf("side %d: %v", side, err)
		}
	}
}
