package background

import (
	"math/rand/v2"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
)

// A network that looks at a corner, where only the background is, and one that looks at the middle, where the subject
// is: the protocol finds out which is which.
func TestProtocolTellsBackgroundsFromSubjects(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	const classes, side = 3, 8
	composed := func(n int, seed uint64) *Composed {
		t.Helper()
		rng := rand.New(rand.NewPCG(seed, 9))
		pixels, masks, labels := make([]float32, n*side*side), make([]int32, n*side*side), make([]int, n)
		for i := range n {
			labels[i] = i % classes
			for p := range side * side {
				if y, x := p/side, p%side; y >= 3 && y < 6 && x >= 3 && x < 6 {
					pixels[i*side*side+p], masks[i*side*side+p] = 0.3+0.2*float32(labels[i])+0.02*rng.Float32(), 1
				}
			}
		}
		grounds := make([]float32, classes*side*side)
		for p := range grounds {
			grounds[p] = 0.3 + 0.2*float32(p/(side*side)) + 0.02*rng.Float32()
		}
		c, err := Compose(Subjects{tensors.FromFlatDataAndDimensions(pixels, n, side, side, 1),
			tensors.FromFlatDataAndDimensions(masks, n, side, side), labels},
			Places{tensors.FromFlatDataAndDimensions(grounds, classes, side, side, 1), []int{0, 1, 2}}, 0.8, seed)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	// The features are one-hot, so that a linear classifier has no trouble.
	looking := func(name string, y, x int) *model.Model {
		t.Helper()
		m, err := model.FromTensors(map[string]*tensors.Tensor{"w": tensors.FromScalarAndDimensions(float32(0),
			classes, classes)},
			model.Spec{Name: name, Height: side, Width: side, Channels: 1}, func(b *model.Builder, in *graph.Node) *graph.Node {
				at := graph.Reshape(graph.Slice(in, graph.AxisRange(), graph.AxisElem(y), graph.AxisElem(x)),
					in.Shape().Dimensions[0], 1)
				of := graph.Const(in.Graph(), [][]float32{{0.3, 0.5, 0.7}})
				d := []int{in.Shape().Dimensions[0], classes}
				near := graph.Exp(graph.MulScalar(graph.Square(graph.Sub(graph.BroadcastToDims(at, d...),
					graph.BroadcastToDims(of, d...))), -100))
				return graph.Einsum("nd,kd->nk", b.Features(near), b.Weight("w"))
			})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	noise, err := perturb.CorruptionNamed("gaussian_noise")
	if err != nil {
		t.Fatal(err)
	}
	p := Protocol{Train: composed(300, 1), Validation: composed(150, 2), Test: composed(300, 3), Classes: classes,
		Fit: learn.LogisticRegression{Iterations: 100}, Lambdas: []float64{1e-2}, Few: 0.05, Seed: 1,
		Attacked: 100, PGD: attack.PGD{Norm: attack.LInf, Eps: 0.3, Steps: 5}, Corruptions: []perturb.Corruption{noise}}
	corner, err := p.Of(looking("corner", 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	middle, err := p.Of(looking("middle", 4, 4))
	if err != nil {
		t.Fatal(err)
	}
	if corner.Groups.OnOwn().Share() < 1 || corner.Groups.OnOthers().Share() > 0 || corner.Gap.Background() < 0.3 ||
		corner.Linear.Share() < 0.7 || corner.Linear.Share() > 0.9 {
		t.Errorf("by the corner: %+v, gap %v", corner, corner.Gap)
	}
	if middle.Linear.Share() < 1 || middle.FewLabels.Share() < 1 || middle.Gap.Background() != 0 ||
		middle.Groups.OnOthers().Share() < 1 || middle.Gap.OnlyFG.Share() < 1 {
		t.Errorf("by the middle: %+v, gap %v", middle, middle.Gap)
	}
	if middle.Clean.Share() < 1 || middle.Corrupted.Total != 500 || middle.Corrupted.Share() == 1 ||
		middle.Robust.Share() > 0.5 || middle.Robust.Total != 100 {
		t.Errorf("shifts: %+v", middle)
	}
	if rows := middle.Table().Rows; len(rows) != 11 {
		t.Errorf("the table has the rows %v", rows)
	}
	for says, change := range map[string]func(p *Protocol){
		"to choose by":         func(p *Protocol) { p.Validation = nil },
		"are to be attacked":   func(p *Protocol) { p.Attacked = 301 },
		"no corruptions":       func(p *Protocol) { p.Corruptions = nil },
		"a share of 2":         func(p *Protocol) { p.Few = 2 },
		"a radius Eps above 0": func(p *Protocol) { p.PGD.Eps = 0 },
		"its classes are 0 to": func(p *Protocol) { p.Classes = 2 },
	} {
		q := p
		change(&q)
		_, err := q.Of(looking("corner", 0, 0))
		refused(t, says, err)
	}
	_, err = p.Of(nil)
	refused(t, "it is nil", err)
}
