package loupe

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/left"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/sink"
)

// redness has one logit that is the sum of red over the image, and one that is zero.
func redness() *model.Model {
	spec := model.Spec{Name: "redness", Height: 8, Width: 8, Channels: 3, Activation: model.Softmax}
	return must(model.FromFunc(spec, func(x *graph.Node) *graph.Node {
		red := graph.ReduceSum(graph.Slice(x, graph.AxisRange(), graph.AxisRange(), graph.AxisRange(), graph.AxisRange(0, 1)),
			1, 2, 3)
		score := graph.InsertAxes(red, -1)
		return graph.Concatenate([]*graph.Node{score, graph.ZerosLike(score)}, 1)
	}))
}

// spots are two black images with one bright red pixel each.
func spots() *tensors.Tensor {
	flat := make([]float32, 2*8*8*3)
	flat[(0*64+3*8+5)*3] = 1
	flat[(1*64+6*8+1)*3] = 1
	return tensors.FromFlatDataAndDimensions(flat, 2, 8, 8, 3)
}

func panicOf(f func()) (message string) {
	defer func() { message = fmt.Sprint(recover()) }()
	f()
	return ""
}

func TestMaskingThePixelThatCountsTakesTheConfidence(t *testing.T) {
	m := redness()
	x := spots()
	if c := Confidence(m, x, 0); !approx.Equal(c[0], 1/(1+math.Exp(-1)), 1e-5) {
		t.Fatalf("confidence %v, want that of a logit of 1 against 0", c)
	}
	a := Attribute(m, x, attrib.InputXGradient{}, 0)
	after := Confidence(m, MaskTop(x, a, 1.0/64, mask.Constant(0)), 0)
	if !approx.Equal(after[0], 0.5, 1e-6) || !approx.Equal(after[1], 0.5, 1e-6) {
		t.Errorf("confidence with the red pixels masked %v, want 0.5", after)
	}
	if random := MaskRandom(x, 0.5, mask.Constant(0), 1); random.Equal(x) {
		t.Error("masking half of the pixels by chance changed nothing")
	}
}

func TestExplainShowsARowForEachImage(t *testing.T) {
	e := Explain(redness(), spots(), attrib.Gradient{}, attrib.Occlusion{Window: 2, Stride: 2})
	g, err := e.Grid()
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Rows) != 2 || len(g.Rows[0]) != 3 || len(g.Columns) != 3 {
		t.Errorf("a grid of %d rows and columns %v", len(g.Rows), g.Columns)
	}
	if b := e.Bundle(); b.Data[mime.PNG]+b.Data[mime.JPEG] == "" {
		t.Errorf("no picture: %s", b.Data[mime.Text])
	}
}

func TestTopKShowsTheLabelsOfADataset(t *testing.T) {
	ds, err := data.FromTensor(spots(), []int{0, 1}, []string{"red", "other"})
	if err != nil {
		t.Fatal(err)
	}
	p := TopK(redness(), ds, 2)
	if p.Classes()[0] != 0 || len(p.Names()) != 2 {
		t.Errorf("classes %v", p.Classes())
	}
	b := p.Bundle()
	if !strings.Contains(b.Data[mime.HTML], "<img") || !strings.Contains(strings.ToLower(b.Data[mime.Text]), "label") {
		t.Errorf("table: %s", b.Data[mime.Text])
	}
	if g := Gallery(ds); g.Rows[0][1].Title != "other" {
		t.Errorf("titles %+v", g.Rows)
	}
}

func TestPrepareGivesTheModelItsSize(t *testing.T) {
	big, err := data.FromTensor(tensors.FromFlatDataAndDimensions(make([]float32, 20*30), 1, 20, 30, 1), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if x := Images(redness(), big); x.Shape().Dimensions[1] != 8 || x.Shape().Dimensions[3] != 3 {
		t.Errorf("prepared to %s", x.Shape())
	}
}

func TestExecRunsAGraphFunction(t *testing.T) {
	out := Exec(func(x *graph.Node) *graph.Node { return graph.Mul(x, x) }, []float32{1, 2, 3})
	if got := fmt.Sprint(out[0].Value()); got != "[1 4 9]" {
		t.Errorf("squares %s", got)
	}
}

func TestFaultsPanicWithTheirError(t *testing.T) {
	for want, f := range map[string]func(){
		"no-such-model":                       func() { Load("no-such-model") },
		"neither a path nor a dataset's name": func() { Open("no-such-data") },
		"photo.jpg":                           func() { Images(redness(), "photo.jpg") },
		"gausian":                             func() { Corrupt(spots(), "gausian", 1, 0) },
		"class":                               func() { Confidence(redness(), spots(), 7) },
	} {
		if got := panicOf(f); !strings.Contains(got, want) {
			t.Errorf("panics with %q, want %q", got, want)
		}
	}
}

// An interrupted Explain shows the methods that were finished, and keeps them.
func TestExplainKeepsWhatIsFinished(t *testing.T) {
	m, x := redness(), spots()
	methods := []attrib.Method{attrib.Gradient{}, attrib.Occlusion{Window: 2, Stride: 2}, attrib.Gradient{}}
	whole := Explain(m, x, methods...)
	shown := &shownThings{}
	sink.Use(shown)
	defer sink.Use(nil)
	seen := map[int]bool{}
	for questions := 0; ; questions++ {
		shown.bundles = nil
		release := interrupt.Use(testenv.CancelledAfter(questions))
		text := panicOf(func() { Explain(m, x, methods...) })
		release()
		if text == "<nil>" {
			break
		}
		if !strings.Contains(text, "canceled") {
			t.Fatalf("panics with %q", text)
		}
		e, ok := Partial().(Explanation)
		if !ok {
			if len(shown.bundles) > 0 {
				t.Errorf("nothing is finished and %v is shown", shown.bundles)
			}
			continue
		}
		n := len(e.Attributions)
		seen[n] = true
		if want := fmt.Sprintf("loupe: explaining: interrupted after %d of 3 methods", n); !strings.Contains(text, want) {
			t.Errorf("panics with %q, want %q", text, want)
		}
		if len(shown.bundles) != 1 || !strings.Contains(shown.bundles[0].Data[mime.Text],
			fmt.Sprintf("grid of %d images", 2+2*n)) {
			t.Errorf("of %d methods %d bundles are shown", n, len(shown.bundles))
		}
		for i, a := range e.Attributions {
			if !slices.Equal(tensors.MustCopyFlatData[float32](a.Values),
				tensors.MustCopyFlatData[float32](whole.Attributions[i].Values)) {
				t.Errorf("method %d of %d has other values than without an interrupt", i, n)
			}
		}
	}
	if !seen[1] || !seen[2] {
		t.Errorf("interrupts leave so many methods: %v", seen)
	}
}

// sink keeps what is shown.
type shownThings struct{ bundles []mime.Bundle }

func (s *shownThings) Display(b mime.Bundle, _ bool) { s.bundles = append(s.bundles, b) }
func (s *shownThings) Clear(bool)                    {}

func TestPartialIsWhatAnInterruptLeft(t *testing.T) {
	m, x := redness(), spots()
	m.BatchSize = 1
	left.Keep(nil)
	method := attrib.Occlusion{Window: 2, Stride: 2}
	whole := Attribute(m, x, method, 0)
	if left := Partial(); left != nil {
		t.Errorf("before any interrupt there is %v", left)
	}
	interrupted := func(questions int) any {
		defer interrupt.Use(testenv.CancelledAfter(questions))()
		if got := panicOf(func() { Attribute(m, x, method, 0) }); !strings.Contains(got, "interrupted after") &&
			!strings.Contains(got, "canceled") {
			t.Fatalf("panics with %q", got)
		}
		return Partial()
	}
	for questions := 0; ; questions++ {
		a, ok := interrupted(questions).(*attrib.Attribution)
		if !ok {
			continue
		}
		got := tensors.MustCopyFlatData[float32](a.Values)
		if len(got) != 64 || !slices.Equal(got, tensors.MustCopyFlatData[float32](whole.Values)[:64]) {
			t.Errorf("of the attribution %s is left", a.Values.Shape())
		}
		break
	}
	if left := interrupted(0); left != nil {
		t.Errorf("interrupted at once there is %v", left)
	}
}

// A loss that is no number costs a cell nothing of what was trained before it, by a function of this package or by a
// run's own method.
func TestPartialIsWhatATrainingLeft(t *testing.T) {
	ds, err := data.FromTensor(spots(), []int{0, 1}, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	net, recipe := MLP(ds, 1), learn.Recipe{Epochs: 50, BatchSize: 2, LearningRate: 1e38}
	left.Keep(nil)
	if got := panicOf(func() { Train(net, ds, recipe) }); !strings.Contains(got, "make the learning rate") {
		t.Fatalf("panics with %q", got)
	}
	m, ok := Partial().(*model.Model)
	if !ok {
		t.Fatalf("there is %v", Partial())
	}
	for name, w := range m.Weights() {
		for _, v := range tensors.MustCopyFlatData[float32](w) {
			if v-v != 0 {
				t.Fatalf("%s has the value %v", name, v)
			}
		}
	}
	run, err := recipe.Run(net, must(ds.All()), ds.Labels())
	if err != nil {
		t.Fatal(err)
	}
	left.Keep(nil)
	trained, err := run.Do()
	if err == nil || Partial() != trained {
		t.Errorf("%v: there is %v", err, Partial())
	}
}
