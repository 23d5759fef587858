package learn

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
)

// The oracle is torchvision, bench/oracles/views.py, to 2e-6.
func TestViewsAgreeWithTorchvision(t *testing.T) {
	const h, w = 9, 7
	images := tensors.FromFlatDataAndDimensions(oracle.Read[float32](t, "testdata/views.npz", "images"), 2, h, w, 3)
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		g, x := in[0].Graph(), in[0]
		two := func(a, b float32) *graph.Node { return graph.Const(g, []float32{a, b}) }
		b := &Batch{g: g, columns: map[string]*graph.Node{Images: x}, views: 1, random: graph.RNGStateFromSeedForGraph(g, 1),
			numbers: graph.Iota(g, shapes.Make(dtypes.Int32, 2), 0)}
		done := func(a Augmentation) *graph.Node {
			b.Set(Images, x)
			a.Augment(b)
			return b.Images()
		}
		down, across := bilinear(two(2, 0), two(5, 9), h), bilinear(two(1, 3), two(4, 1), w)
		return []*graph.Node{turned(x, graph.Reshape(two(0.1, -0.35), 2, 1, 1)), done(Grayscale{}), done(Solarize{}),
			cut(x, down, across),
			blurred(x, two(0.4, 1.7), 3), blurred(x, two(0.4, 1.7), 5)}
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call(images)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"hue", "grey", "solarized", "pieces", "blur3", "blur5"} {
		if err := approx.All(tensors.MustCopyFlatData[float32](out[i]), oracle.Read[float32](t, "testdata/views.npz", name),
			2e-6); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Pieces have the areas, ratios and places that they are to have: read off images that say where each pixel lies. Masks
// of whole numbers are cut alike.
func TestResizedCropDrawsPieces(t *testing.T) {
	const n, side = 400, 32
	where, rows := make([]float32, n*side*side*2), make([]int32, n*side*side)
	for i := range rows {
		y, x := i/side%side, i%side
		where[2*i], where[2*i+1], rows[i] = float32(y)/side, float32(x)/side, int32(y)
	}
	crop := ResizedCrop{Area: [][2]float64{{0.5, 0.6}, {0.1, 0.2}}, Also: []string{"rows"}}
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		g := in[0].Graph()
		b := &Batch{g: g, columns: map[string]*graph.Node{Images: in[0], "rows": in[1]}, views: 2,
			random:  graph.RNGStateFromSeedForGraph(g, 5),
			numbers: graph.Iota(g, shapes.Make(dtypes.Int32, n), 0)}
		crop.Augment(b)
		return []*graph.Node{b.Images(), b.Column("rows"), b.View(b.Images(), 1)}
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call(tensors.FromFlatDataAndDimensions(where, n, side, side, 2),
		tensors.FromFlatDataAndDimensions(rows, n, side, side))
	if err != nil {
		t.Fatal(err)
	}
	got, nearest, second := tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[int32](out[1]),
		tensors.MustCopyFlatData[float32](out[2])
	var logs, topLeft float64
	for i := range n {
		at := func(y, x, c int) float64 { return side * float64(got[((i*side+y)*side+x)*2+c]) }
		// Between the middles of two pixels within the piece lie height/side pixels.
		height, width := side*(at(17, 0, 0)-at(16, 0, 0)), side*(at(0, 17, 1)-at(0, 16, 1))
		share, ratio := height*width/side/side, width/height
		low, high := 0.5, 0.6
		if i%2 == 1 {
			low, high = 0.1, 0.2
		}
		if !(share > low-0.03 && share < high+0.03 && ratio > 0.66 && ratio < 1.5) {
			t.Fatalf("piece %d is %v x %v", i, height, width)
		}
		logs += math.Log(ratio) / n
		if at(0, 0, 0) == 0 && at(0, 0, 1) == 0 {
			topLeft++
		}
		if low, high := at(0, 0, 0), at(side-1, 0, 0); low < 0 || high > side-1 || !approx.Equal(high-low, height-1, 0.01) {
			t.Fatalf("piece %d has the rows %v to %v, and is %v high", i, low, high, height)
		}
		if y := float64(nearest[(i*side+20)*side+3]); !approx.Equal(y, at(20, 3, 0), 0.51) {
			t.Fatalf("row 20 of the mask of piece %d is row %v, and of the image %v", i, y, at(20, 3, 0))
		}
	}
	if !approx.Equal(logs, 0, 0.03) || topLeft > n/10 {
		t.Errorf("the mean logarithm of the ratios is %v, and %v pieces are the corner", logs, topLeft)
	}
	if !approx.Equal(second[0], got[side*side*2], 0) || len(second) != len(got)/2 {
		t.Error("the second view of the first image is not its second row")
	}
	// What fits nowhere is the middle: a piece of the whole area and four times as wide as high.
	whole := tensors.FromFlatDataAndDimensions(where[:side*side*2], 1, side, side, 2)
	masks := tensors.FromScalarAndDimensions(float32(0), 1, side, side)
	middle, _, _ := augmented(t, whole, masks, 1, ResizedCrop{Area: [][2]float64{{1, 1}}, Ratio: [2]float64{4, 4}})
	if top, bottom := side*middle[0], side*middle[(side-1)*side*2]; !approx.Equal(top, 12, 1e-3) ||
		!approx.Equal(bottom, 19, 1e-3) {
		t.Errorf("the middle piece has the rows %v to %v, want 12 to 19", top, bottom)
	}
}

// Each view has the probability that is its own.
func TestChosenByView(t *testing.T) {
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		g := in[0].Graph()
		b := &Batch{g: g, views: 2, random: graph.RNGStateFromSeedForGraph(g, 5), numbers: in[0]}
		var out []*graph.Node
		for _, p := range [][]float64{nil, {0.3}, {0, 0.7}} {
			out = append(out, graph.ReduceSum(graph.Reshape(graph.ConvertDType(b.Chosen(p...), dtypes.Int32), 1000, 2), 0))
		}
		return out
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call(tensors.FromShape(shapes.Make(dtypes.Int32, 2000)))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][2]int{{1000, 1000}, {300, 300}, {0, 700}} {
		got := tensors.MustCopyFlatData[int32](out[i])
		if !approx.Equal(int(got[0]), want[0], 50) || !approx.Equal(int(got[1]), want[1], 50) || want[0]%1000 == 0 &&
			int(got[0]) != want[0] {
			t.Errorf("%v of 1000 are chosen, want %v", got, want)
		}
	}
}

// A parameter is brought onto what OnTo says after every step, and running statistics take in every call of a step.
func TestStepsOfSeveralCalls(t *testing.T) {
	_, err := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: examples(t, 10, 1), Sampler: Shuffled(5),
		Optimizer: SGD{LearningRate: 0.1}, Steps: 1,
		Step: func(s *Step) Loss {
			s.OnTo("w", func(w *graph.Node) *graph.Node { return w })
			return classify(s)
		}}.Do()
	if err == nil || !strings.Contains(err.Error(), `no parameter "w"`) {
		t.Error(err)
	}
	for _, gradient := range []Gradient{nil, Mean{Microbatch: 5}} {
		trained, err := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: examples(t, 10, 1),
			Sampler: Shuffled(10), Optimizer: SGD{LearningRate: 0.1}, Steps: 2, Gradient: gradient,
			Step: func(s *Step) Loss {
				w := s.Parameter("w", tensors.FromValue([]float32{3, 4}))
				s.OnTo("w", func(w *graph.Node) *graph.Node {
					return graph.Div(w, graph.Sqrt(graph.ReduceAllSum(graph.Square(w))))
				})
				loss := classify(s)
				loss.Plus = graph.ReduceAllSum(graph.Square(graph.AddScalar(w, 0.5)))
				return loss
			}}.Do()
		if err != nil {
			t.Fatal(err)
		}
		// w ← onto(w - 0.1·2·(w + 1/2)), twice.
		w := []float64{3, 4}
		for range 2 {
			a, b := 0.8*w[0]-0.1, 0.8*w[1]-0.1
			w[0], w[1] = a/math.Hypot(a, b), b/math.Hypot(a, b)
		}
		if err := approx.All(tensors.MustCopyFlatData[float32](trained.State["w"]), w, 1e-6); err != nil {
			t.Error(err)
		}
	}
	statistics := func(calls int) []float32 {
		m := normNet(t, 0)
		trained, err := Run{Nets: map[string]*model.Model{"net": m}, Data: examples(t, 10, 1), Sampler: Shuffled(10),
			Optimizer: SGD{LearningRate: 1e-6}, Steps: 1,
			Step: func(s *Step) Loss {
				for range calls - 1 {
					s.Call("net", s.Images())
				}
				return s.Classification(s.Call("net", s.Images()).Logits)
			}}.Do()
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range trained.Net().Weights() {
			if strings.HasSuffix(name, "running_mean") {
				return tensors.MustCopyFlatData[float32](w)
			}
		}
		t.Fatal("the network has no running mean")
		return nil
	}
	// From 0, a tenth of the mean and then nine tenths of that and another tenth: 0.1 and 0.19 of it.
	one, two := statistics(1), statistics(2)
	for i := range one {
		if one[i] == 0 || !approx.Equal(two[i], 1.9*one[i], 1e-5) {
			t.Errorf("after one call %v, after two %v", one[i], two[i])
		}
	}
}

// A streamed source reads its further column with its images.
func TestWithColumn(t *testing.T) {
	images, masks := counted(4, 3, 3, 1)
	ds, err := data.FromTensor(images, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := FromDataset(ds, []int{0, 1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	with, err := WithColumn(stream, "masks", masks)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := with.Read([]int{2, 0}, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := tensors.MustCopyFlatData[float32](masks)
	want := append(append([]float32{}, all[18:27]...), all[:9]...)
	if err := approx.All(tensors.MustCopyFlatData[float32](batch[2]), want, 0); err != nil || len(with.Columns()) != 3 ||
		len(with.(*extended).Labels()) != 4 {
		t.Error(with, err)
	}
	if whole, err := WithColumn(examples(t, 4, 1), "masks", masks); err != nil || len(whole.(*Tensors).columns) != 3 {
		t.Error(whole, err)
	}
	for says, do := range map[string]func() (Source, error){
		"3 masks for 4 examples": func() (Source, error) {
			return WithColumn(stream, "masks", tensors.FromScalarAndDimensions(float32(0), 3))
		},
		`there is a column "masks" already`: func() (Source, error) { return WithColumn(with, "masks", masks) },
		"they are nil":                      func() (Source, error) { return WithColumn(nil, "masks", masks) },
		"one row for each example":          func() (Source, error) { return WithColumn(stream, "masks", nil) },
		"4 masks for 5 images":              func() (Source, error) { return WithColumn(examples(t, 5, 1), "masks", masks) },
	} {
		if got, err := do(); got != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}
