package loupe

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/faithful"
	"github.com/loupeml/loupe/lib/attrib/lrp"
	"github.com/loupeml/loupe/lib/attrib/spray"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/left"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/sink"
	"github.com/loupeml/loupe/lib/spurious"
	"github.com/loupeml/loupe/lib/transfer"
)

// stripes are n noisy images of 16 x 16 pixels of three classes, each with a faint stripe of its own; a share of the
// first class has a bright square in the corner.
func stripes(n int, share float64, seed uint64) *data.Dataset {
	rng := rand.New(rand.NewPCG(seed, 7))
	flat, labels := make([]float32, n*16*16), make([]int, n)
	for i := range labels {
		labels[i] = i % 3
		for p := range 16 * 16 {
			v := 0.4 * rng.Float32()
			if row := p / 16; row >= 4*labels[i]+4 && row < 4*labels[i]+6 {
				v += 0.15
			}
			flat[i*16*16+p] = v
		}
	}
	ds := must(data.FromTensor(tensors.FromFlatDataAndDimensions(flat, n, 16, 16, 1), labels,
		[]string{"high", "middle", "low"}))
	marked, _, err := perturb.Patch{Side: 3, Value: 1}.Plant(ds, share, 0)
	return must(marked, err)
}

// hasSquare says whether an image of stripes has it.
func hasSquare(ds *data.Dataset, i int) bool { return must(ds.Image(i)).Pix[0] == 1 }

// striped is a network that has learnt from 600 stripes, 40 in 100 of the first class with the square.
func striped(t *testing.T) *model.Model {
	t.Helper()
	train := stripes(600, 0.4, 1)
	return Train(SmallCNN(train, 1, 8, 8), train, learn.Recipe{Epochs: 6, BatchSize: 50, LearningRate: 0.005,
		Adam: true, Seed: 1})
}

// A square that a part of a class has is what each family finds, by its defaults.
func TestWhatAModelHasLearntInALine(t *testing.T) {
	m, ds := striped(t), stripes(600, 0.4, 2)

	g := Spurious(m, ds, 0)
	if len(g.Images) != 200 || g.Images[1] != 3 || len(g.Grid().Rows) != 8 || len(g.Grid().Rows[0]) != 5 {
		t.Errorf("components of %d images, shown in %d rows", len(g.Images), len(g.Grid().Rows))
	}
	most := 0
	for component := range 2 {
		n := 0
		for _, i := range g.Top(component, 20) {
			if hasSquare(ds, g.Images[i]) {
				n++
			}
		}
		most = max(most, n)
	}
	if most < 19 {
		t.Errorf("of the 20 images that have most of a component %d have the square", most)
	}
	marked := map[int]bool{}
	for i := range ds.Len() {
		if hasSquare(ds, i) {
			marked[i] = true
		}
	}
	if all := must(g.Having(0, 200, marked)); all != 80 || len(marked) != 80 {
		t.Errorf("of all 200 images of the class %d are found to have the square, and 80 have", all)
	}
	if n := max(must(g.Having(0, 20, marked)), must(g.Having(1, 20, marked))); n != most {
		t.Errorf("%d of 20 have the square, counted by hand %d", n, most)
	}
	if two := Spurious(m, ds, 0, spurious.NeuralPCA{Components: 1, Each: 2}); len(two.Grid().Rows) != 2 ||
		len(two.Grid().Rows[1]) != 2 {
		t.Errorf("a component with two images is shown in %d rows", len(two.Grid().Rows))
	}
	if all := Spurious(m, must(data.FromTensor(must(ds.All()), nil, nil)), 1); len(all.Images) != 600 {
		t.Errorf("without labels there are %d images of the class", len(all.Images))
	}

	half := Spuriosity(m, ds, 1)
	has := map[int]bool{}
	for i := range half.Images.Len() {
		if hasSquare(half.Images, i) {
			has[i] = true
		}
	}
	if auc := must(half.OnTest[0].AUC(has)); auc < 0.9 || !slices.Equal(half.Classes, []int{0, 1, 2}) ||
		half.Images.Len() != 300 {
		t.Errorf("of the classes %v the first is ranked by the square with an AUC of %g", half.Classes, auc)
	}
	if grid := must(half.Grid()); len(grid.Rows) != 3 || len(grid.Rows[0]) != 12 {
		t.Errorf("walls of %d rows", len(grid.Rows))
	}
	if one := Spuriosity(m, ds, 1, spurious.Ranker{Classes: []int{2}}); len(one.OnTest) != 1 {
		t.Errorf("of one class there are %d rankings", len(one.OnTest))
	}

	suspects := SpRAy(m, ds)
	first := suspects.Analyses[0]
	right := 0
	for i, member := range first.Strategies[0].Members {
		if member == hasSquare(ds, first.Images[i]) {
			right++
		}
	}
	if first.Class != 0 || max(right, 200-right) < 190 || len(suspects.Analyses) != 3 || len(suspects.Table().Rows) != 3 {
		t.Errorf("the first suspect is class %d, whose group has or lacks the square in %d of 200 images", first.Class, right)
	}

	reached := Transfer(m, ds, stripes(300, 0, 3))
	if a := reached.Accuracy; a.Total != 300 || a.Share() < 0.9 || len(reached.Choice) != len(learn.Lambdas()) {
		t.Errorf("stripes are told apart by their features in %v, with λ one of %d", a, len(reached.Choice))
	}
	by := transfer.LinearProbe{Lambdas: []float64{1}, Choose: 0.5}
	if r := Transfer(m, ds, stripes(30, 0, 3), by); r.Lambda != 1 || r.Accuracy.Total != 30 {
		t.Errorf("%+v", r)
	}
	if task := must(by.Task(ds, ds)); task.Train.Len() != 300 || task.Validation.Len() != 300 || task.Classes != 3 {
		t.Errorf("%v", task)
	}
	dir := t.TempDir()
	for name, v := range map[string]any{"components": g, "ranked": half, "suspects": suspects, "transfer": reached} {
		for _, suffix := range []string{".csv", ".json", ".npz", ".safetensors", ".png", ".pdf"} {
			Save(filepath.Join(dir, name+suffix), v)
		}
	}
	kept := func(name string) map[string]*tensors.Tensor {
		return Read(filepath.Join(dir, name)).(map[string]*tensors.Tensor)
	}
	_, components := g.Alphas.Dims()
	if arrays := kept("components.npz"); !slices.Equal(must(tensors.CopyFlatData[int64](arrays["images"])),
		int64s(g.Images)) ||
		arrays["alphas"].Value().([][]float64)[3][1] != g.Alphas.At(3, 1) ||
		arrays["vectors"].Shape().Dimensions[1] != components {
		t.Errorf("of the components are kept %v", arrays)
	}
	if arrays := kept("ranked.npz"); !slices.Equal(must(tensors.CopyFlatData[int64](arrays["images 1"])),
		int64s(half.OnTest[1].Images)) ||
		!slices.Equal(must(tensors.CopyFlatData[float64](arrays["spuriosity 1"])), half.OnTest[1].Scores) {
		t.Errorf("of the rankings are kept %v", arrays)
	}
	if arrays := kept("suspects.npz"); !slices.Equal(must(tensors.CopyFlatData[bool](arrays["groups 0"]))[:200],
		first.Strategies[0].Members) ||
		!slices.Equal(must(tensors.CopyFlatData[int64](arrays["clusters 0"])), int64s(first.Clusters)) ||
		len(arrays["classes"].Value().([]int64)) != 3 {
		t.Errorf("of the suspects are kept %v", arrays)
	}
	if arrays := kept("transfer.safetensors"); arrays["weights"].Value().([][]float64)[2][0] != reached.Head.Weights.At(2,
		0) ||
		!slices.Equal(must(tensors.CopyFlatData[int64](arrays["labels"])), int64s(reached.Answers.Labels)) {
		t.Errorf("of the transfer are kept %v", arrays)
	}
	if again := must(model.ReadAnswers(filepath.Join(dir, "transfer.npz"))); must(again.Accuracy()) != reached.Accuracy {
		t.Errorf("the answers of a transfer are read back with an accuracy of %v", must(again.Accuracy()))
	}
	bare := must(data.FromTensor(must(ds.Take(60).All()), nil, nil))
	for want, f := range map[string]func(){
		"class 3 does not exist": func() { Spurious(m, ds, 3) },
		"two images of low":      func() { Spurious(m, ds.Take(2), 2) },
		"and no 201 images":      func() { must(g.Having(0, 201, marked)) },
		"2 settings of a look": func() {
			Spurious(m, ds, 0, spurious.NeuralPCA{},
				spurious.NeuralPCA{})
		},
		"-1 components":                              func() { Spurious(m, ds, 0, spurious.NeuralPCA{Components: -1}) },
		"25 images in each half":                     func() { Spuriosity(m, ds.Take(60), 1) },
		"2 settings of a ranking":                    func() { Spuriosity(m, ds, 1, spurious.Ranker{}, spurious.Ranker{}) },
		"no class has more than 11":                  func() { SpRAy(m, ds.Take(20)) },
		"2 settings of an analysis":                  func() { SpRAy(m, ds, spray.SpRAy{}, spray.SpRAy{}) },
		"one is nil":                                 func() { Transfer(m, nil, ds) },
		"class that are ranked":                      func() { Spuriosity(m, bare, 1) },
		"class that are analysed":                    func() { SpRAy(m, bare) },
		"training images of \"tensor\" has no label": func() { Transfer(m, bare, ds) },
		"has no label: leave":                        func() { Transfer(m, ds, bare) },
		"2 settings of a transfer":                   func() { Transfer(m, ds, ds, by, by) },
		"a share is between 0 and 1":                 func() { Transfer(m, ds, ds, transfer.LinearProbe{Choose: 1}) },
	} {
		if got := panicOf(f); !strings.Contains(got, want) {
			t.Errorf("panics with %q, want %q", got, want)
		}
	}
}

// What is seen in an image is what an atlas of it has, and the channel's references come from the dataset that is
// named.
func TestConceptsInALine(t *testing.T) {
	m, ds := striped(t), stripes(60, 0.4, 2)
	two := ds.Take(2)
	a := Concepts(m, two)
	layer := m.SpatialLayer()
	for i, class := range must(m.PredictOf(two)) {
		want := must(lrp.CRP{}.Atlas(m, must(two.Images(i)), class, layer, 0, 14))
		if a.Classes[i] != class || !slices.Equal(a.Atlases[i].Concepts, want.Concepts) ||
			fmt.Sprint(a.Atlases[i].Cells) != fmt.Sprint(want.Cells) {
			t.Errorf("image %d: %v, want %v", i, a.Atlases[i].Concepts, want.Concepts)
		}
	}
	if len(a.Grid().Rows) != 2 || len(a.Grid().Rows[0]) != 8 || len(a.Table().Rows) != 12 || a.References != nil {
		t.Errorf("%d rows of %d pictures", len(a.Grid().Rows), len(a.Grid().Rows[0]))
	}
	from := Concepts(m, two, lrp.AtlasOptions{Layer: "conv1", Count: 3, Cells: 4, From: ds})
	if rows := from.Grid().Rows; len(rows) != 6 || len(rows[0]) != 5 || from.References.Layer != "conv1" ||
		len(from.Atlases[0].Cells) != 4 || rows[1][2].Image == nil {
		t.Errorf("%d rows with references", len(rows))
	}
	dir := t.TempDir()
	for _, suffix := range []string{".csv", ".json", ".npz", ".safetensors", ".png", ".pdf"} {
		Save(filepath.Join(dir, "concepts"+suffix), from)
	}
	arrays := Read(filepath.Join(dir, "concepts.npz")).(map[string]*tensors.Tensor)
	second := from.Atlases[1]
	if arrays["channels"].Value().([][]int64)[1][2] != int64(second.Concepts[2].Channel) ||
		arrays["relevance"].Value().([][]float64)[1][0] != second.Concepts[0].Relevance ||
		arrays["cells"].Value().([][][]int64)[1][3][2] != int64(second.Cells[3][2]) ||
		!slices.Equal(arrays["heatmaps"].Shape().Dimensions, []int{2, 3, 16, 16}) {
		t.Errorf("of the concepts are kept %v", arrays)
	}
	for want, f := range map[string]func(){
		"no layer with places":   func() { Concepts(MLP(ds, 1), two) },
		"conv9":                  func() { Concepts(m, two, lrp.AtlasOptions{Layer: "conv9"}) },
		"2 settings of an atlas": func() { Concepts(m, two, lrp.AtlasOptions{}, lrp.AtlasOptions{}) },
	} {
		if got := panicOf(f); !strings.Contains(got, want) {
			t.Errorf("panics with %q, want %q", got, want)
		}
	}
}

// What nothing has made is an error in any file, and no empty picture.
func TestNothingIsSavedOfNothing(t *testing.T) {
	for _, v := range []any{&spurious.ComponentSheet{}, &spurious.HalfRanking{}, &spray.Suspects{}, &lrp.Atlases{},
		&transfer.Result{}, display.Grid{}} {
		for _, suffix := range []string{".png", ".pdf", ".npz"} {
			path := filepath.Join(t.TempDir(), "nothing"+suffix)
			if got := panicOf(func() { Save(path, v) }); !strings.Contains(got, "nothing"+suffix) {
				t.Errorf("a %T is saved as %s: %s", v, suffix, got)
			}
			if _, err := os.Stat(path); err == nil {
				t.Errorf("a %T leaves a file %s", v, suffix)
			}
		}
		_ = display.BundleOf(v) // shows something, and does not panic
	}
}

func int64s(values []int) []int64 {
	out := make([]int64, len(values))
	for i, v := range values {
		out[i] = int64(v)
	}
	return out
}

// The likeliest images of a class are those with most red.
func TestLikeliest(t *testing.T) {
	flat := make([]float32, 4*8*8*3)
	for i, v := range []float32{0.2, 0.9, 0.2, 0.5} {
		flat[i*8*8*3] = v
	}
	ds := must(data.FromTensor(tensors.FromFlatDataAndDimensions(flat, 4, 8, 8, 3), nil, nil))
	var red []float32
	for i := range 4 {
		red = append(red, must(Likeliest(redness(), ds, 0, 4).Image(i)).Pix[0])
	}
	if !slices.Equal(red, []float32{0.9, 0.5, 0.2, 0.2}) || Likeliest(redness(), ds, 0, 3).Name(2) != ds.Name(0) {
		t.Errorf("the likeliest have %v", red)
	}
	sigmoid := must(model.FromFunc(model.Spec{Name: "sigmoid", Height: 8, Width: 8, Channels: 3,
		Activation: model.Sigmoid},
		func(x *graph.Node) *graph.Node { return graph.ExpandAxes(graph.ReduceSum(x, 1, 2, 3), -1) }))
	for class, want := range []string{ds.Name(0), ds.Name(1)} {
		if got := Likeliest(sigmoid, ds, class, 4).Name(0); got != want {
			t.Errorf("of one sigmoid the likeliest of class %d is %s, want %s", class, got, want)
		}
	}
	overflows := Function("overflows", 8, 8, 3, func(x *graph.Node) *graph.Node {
		sum := graph.ExpandAxes(graph.ReduceSum(x, 1, 2, 3), -1)
		return graph.Concatenate([]*graph.Node{graph.Log(graph.OneMinus(graph.MulScalar(sum, 1.2))), sum}, -1)
	})
	for want, f := range map[string]func(){
		"and no 2":      func() { Likeliest(redness(), ds, 2, 1) },
		"of image 1 of": func() { Likeliest(overflows, ds, 0, 1) },
		"the 5 likelie": func() { Likeliest(redness(), ds, 0, 5) },
	} {
		if got := panicOf(f); !strings.Contains(got, want) {
			t.Errorf("panics with %q, want %q", got, want)
		}
	}
}

// What an interrupt leaves of each question is shown and kept.
func TestQuestionsKeepWhatIsDone(t *testing.T) {
	m, ds := striped(t), stripes(60, 0.4, 2)
	m.BatchSize = 8
	sink.Use(&shownThings{})
	defer sink.Use(nil)
	for name, question := range map[string]struct {
		ask  func()
		part func(any) bool // whether it is a part, neither nothing nor the whole
	}{
		"Spurious": {func() { Spurious(m, ds, 0) }, func(v any) bool {
			g, ok := v.(*spurious.ComponentSheet)
			return ok && len(g.Grid().Rows) > 0 && len(g.Grid().Rows) < 8
		}},
		"SpRAy": {func() { SpRAy(m, ds) }, func(v any) bool {
			s, ok := v.(*spray.Suspects)
			return ok && len(s.Analyses) > 0 && len(s.Analyses) < 3
		}},
		"Concepts": {func() { Concepts(m, ds.Take(3)) }, func(v any) bool {
			a, ok := v.(*lrp.Atlases)
			return ok && len(a.Atlases) > 0 && len(a.Atlases) < 3 && len(a.Classes) == len(a.Atlases)
		}},
		"Faithfulness": {func() { Faithfulness(m, ds.Take(2), attrib.Gradient{}, attrib.GradCAM{}) }, func(v any) bool {
			c, ok := v.(*faithful.Comparison) // the control, or a method too
			return ok && len(c.Insertion) < 3 && len(must(c.Table()).Rows) == len(c.Insertion)
		}},
	} {
		found := false
		for questions := 0; !found; questions++ {
			left.Keep(nil)
			release := interrupt.Use(testenv.CancelledAfter(questions))
			text := panicOf(question.ask)
			release()
			if text == "<nil>" {
				t.Errorf("%s: no interrupt leaves a part", name)
				break
			}
			found = question.part(Partial()) && strings.Contains(text, "interrupted after")
		}
	}
}
