package missing

import (
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// curveOf is a curve of four images at two steps, of which the first changes nothing.
func curveOf(model, how string, after ...int) *Curve {
	c := &Curve{Model: model, How: how, Counts: []int{0, 2}, Segments: 4, Whole: []int{0, 1, 2, 0},
		classes: []string{"dog", "cat", "maze"}}
	for i, class := range after {
		c.Predicted = append(c.Predicted, []int{c.Whole[i], class})
		c.Probability = append(c.Probability, []float64{0.75, 0.25})
	}
	return c
}

// What is counted by hand: 1 of 4 stays, 2 become mazes and 1 was one.
func TestClaimsOfACurve(t *testing.T) {
	c, control := curveOf("net", "black", 2, 2, 2, 1), curveOf("net", "blur", 0, 1, 2, 1)
	if same, err := c.Same(1); err != nil || same != 1 {
		t.Errorf("%d images keep their class (%v)", same, err)
	}
	if given, whole, err := c.Given(1, "maze", "cat"); err != nil || given != 4 || whole != 2 {
		t.Errorf("%d images are given the classes, and %d were (%v)", given, whole, err)
	}
	if got, err := c.Claim("stay", 1, control); err != nil || got.Value != 0.25 || got.ControlValue != 0.75 ||
		got.N != 4 || got.Control != "blur" || got.Unit != "images" {
		t.Errorf("the claim is %+v (%v)", got, err)
	}
	if got, err := c.Claim("stay", 1, curveOf("other", "blur", 0, 1, 2, 1)); err != nil || got.Control != "other, blur" {
		t.Errorf("the control is called %q (%v)", got.Control, err)
	}
	if got, err := c.GivenClaim("mazes", 1, "maze"); err != nil || got.Value != 0.75 || got.ControlValue != 0.25 {
		t.Errorf("the claim is %+v (%v)", got, err)
	}
	for want, err := range map[string]error{
		`no class "mase", did you mean maze?`: second(c.GivenClaim("mazes", 1, "mase")),
		"the steps 0 to 1, not 2":             second(c.Claim("stay", 2, control)),
		"is nil":                              second(c.Claim("stay", 1, nil)),
		"steps 0 to 1, not -1":                second(c.Same(-1)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want it to say %q", err, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestComparisonOfCurves(t *testing.T) {
	c := &Comparison{[]*Curve{curveOf("net", "black", 2, 2, 2, 1), curveOf("net", "blur", 0, 1, 2, 1)}}
	becomes, err := c.Becomes(1, 1)
	if err != nil || len(becomes.Rows) != 2 || !slices.Equal(becomes.Rows[0], []any{"black", "maze", 2, table.Bar(0.5)}) ||
		!slices.Equal(becomes.Rows[1], []any{"blur", "cat", 1, table.Bar(0.25)}) {
		t.Errorf("predictions become %v (%v)", becomes.Rows, err)
	}
	if becomes.Title != "net, 50% of the segments missing" {
		t.Errorf("the title is %q", becomes.Title)
	}
	near := func(a, b int) (float64, error) { return 1 / float64(1+max(a-b, b-a)), nil }
	// Of black 1/3, 1/2 and 1/2.
	meanings, err := c.Meanings(1, near)
	if err != nil || meanings.Rows[0][1] != 3 || !approx.Equal(meanings.Rows[0][2].(table.Estimate).Value, 4.0/9, 1e-12) ||
		!math.IsNaN(meanings.Rows[1][2].(table.Estimate).Value) {
		t.Errorf("meanings are %v (%v)", meanings.Rows, err)
	}
	if all, err := c.Table(); err != nil || len(all.Rows) != 4 || all.Rows[3][0] != "blur" || all.Rows[3][1] != 2 ||
		all.Rows[3][2] != 50.0 {
		t.Errorf("the table is %v (%v)", all.Rows, err)
	}
	if plot, err := c.Plot(); err != nil || len(plot.Series) != 2 || plot.Series[1].Name != "blur" ||
		!slices.Equal(plot.Series[1].Y, []float64{100, 75}) {
		t.Errorf("the plot is %+v (%v)", plot, err)
	}
	if curve, err := c.Curve("blur"); err != nil || curve != c.Curves[1] {
		t.Errorf("the curve is %v (%v)", curve, err)
	}
	for want, err := range map[string]error{
		"did you mean blur?": second(c.Curve("blurr")),
		"ask for one":        second(c.Becomes(1, 0)),
		"not 7":              second(c.Becomes(7, 1)),
		"no such class": second(c.Meanings(1, func(a, b int) (float64, error) {
			return 0,
				errors.New("no such class")
		})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want it to say %q", err, want)
		}
	}
}

// A comparison, and an ablation across networks, are single ablations; the orders by chance have the network's number
// for their seed.
func TestAcrossIsEachByItself(t *testing.T) {
	images := noise(9, 12, 12, 3, 1)
	segments, err := PatchesOf(images, 4)
	if err != nil {
		t.Fatal(err)
	}
	nets := []*model.Model{convolutional(t)}
	for seed := range uint64(2) {
		m, err := learn.SmallCNN(model.Spec{Height: 12, Width: 12, Channels: 3}, 4, seed+7, 8)
		if err != nil {
			t.Fatal(err)
		}
		nets = append(nets, m)
	}
	grey := Fill{With: mask.Constant(0.5)}
	a := Ablation{Counts: []int{2, 5}}
	both, err := a.Compare(nets[0], images, segments, segments.RandomOrders(0), Fill{}, grey)
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Across(images, segments, ByChance, NetworkGroup{"CNN", nets, []Approximation{Fill{}, grey}})
	if err != nil {
		t.Fatal(err)
	}
	agreements := map[string][]float64{}
	for j, how := range []Approximation{Fill{}, grey} {
		kind := "CNN, " + how.Name()
		curves, err := s.Curves(kind)
		if err != nil || len(curves) != 3 {
			t.Fatalf("there are %d curves (%v)", len(curves), err)
		}
		for i, m := range nets {
			want, err := Ablation{How: how, Counts: a.Counts}.Run(m, images, segments, segments.RandomOrders(uint64(i)))
			if err != nil {
				t.Fatal(err)
			}
			alike := []*Curve{curves[i]}
			if i == 0 {
				alike = append(alike, both.Curves[j])
			}
			for _, got := range alike {
				if fmt.Sprint(got.Predicted) != fmt.Sprint(want.Predicted) ||
					fmt.Sprint(got.Probability) != fmt.Sprint(want.Probability) || got.How != how.Name() {
					t.Errorf("%s: the curve of network %d is %+v, want %+v", kind, i, got, want)
				}
			}
			share, _, err := want.Agreement(1)
			if err != nil {
				t.Fatal(err)
			}
			agreements[kind] = append(agreements[kind], 100*share)
		}
		if values, err := s.Values(kind, AgreementPercent, 1); err != nil || !slices.Equal(values, agreements[kind]) {
			t.Errorf("%s: the values are %v, want %v (%v)", kind, values, agreements[kind], err)
		}
	}
	if got, err := s.Table(); err != nil || len(got.Rows) != 4 || got.Rows[1][0] != "CNN, black" || got.Rows[1][1] != 3 ||
		got.Rows[1][2] != 5 {
		t.Errorf("the table is %v (%v)", got.Rows, err)
	}
	testenv.Interrupt(t, func() (*Seeds, error) {
		return a.Across(images, segments, ByChance, NetworkGroup{"CNN", nets, []Approximation{Fill{}, grey}})
	}, func(part *Seeds) int {
		if part == nil {
			return 0
		}
		got, err := part.Values("CNN, black", AgreementPercent, 1)
		if err != nil || !slices.Equal(got, agreements["CNN, black"]) {
			t.Errorf("interrupted, the values are %v (%v)", got, err)
		}
		return len(part.kinds)
	})
	for want, err := range map[string]error{
		"by black already": second(Ablation{How: Fill{}, Counts: a.Counts}.Compare(nets[0], images, segments,
			nil, Fill{})),
		"nothing to compare": second(a.Compare(nets[0], images, segments, nil)),
		"1 of 1 is nil":      second(a.Compare(nets[0], images, segments, nil, nil)),
		"two of the":         second(a.Compare(nets[0], images, segments, nil, Fill{}, Fill{Seed: 2})),
		"Kind's Hows": second(Ablation{How: Fill{}, Counts: a.Counts}.Across(images, segments, ByChance,
			NetworkGroup{"CNN", nets, []Approximation{grey}})),
		"takes an order": second(a.Across(images, segments, nil, NetworkGroup{"CNN", nets, []Approximation{grey}})),
		"there are 0 net": second(a.Across(images, segments, ByChance,
			NetworkGroup{Name: "CNN", Hows: []Approximation{grey}})),
		"approximation 1 of": second(a.Across(images, segments, ByChance, NetworkGroup{"CNN", nets, []Approximation{nil}})),
		"are two kinds": second(a.Across(images, segments, ByChance,
			NetworkGroup{"CNN", nets, []Approximation{grey, grey}})),
		"there are no segmen": second(a.Across(images, nil, ByChance, NetworkGroup{"CNN", nets, []Approximation{grey}})),
		"the shape [N, H, W,": second(PatchesOf(nil, 4)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want it to say %q", err, want)
		}
	}
}

// Means, intervals and differences are those of the values, network by network.
func TestSeedsOfCurves(t *testing.T) {
	var s, other Seeds
	for _, add := range []struct {
		to   *Seeds
		kind string
		c    *Curve
	}{
		{&s, "a", curveOf("1", "black", 0, 1, 2, 0)}, {&s, "a", curveOf("2", "black", 0, 1, 2, 1)}, // 100, 75
		{&s, "b", curveOf("1", "black", 0, 0, 0, 0)}, {&s, "b", curveOf("2", "black", 1, 0, 0, 1)}, // 50, 0
		{&other, "a", curveOf("1", "black", 0, 0, 2, 0)}, {&other, "a", curveOf("2", "black", 0, 0, 2, 1)}, // 75, 50
		{&other, "b", curveOf("1", "black", 0, 1, 0, 0)}, {&other, "b", curveOf("2", "black", 0, 0, 0, 1)}, // 75, 25
	} {
		if err := add.to.Add(add.kind, add.c); err != nil {
			t.Fatal(err)
		}
	}
	claims, err := s.Claims("stay", AgreementPercent, 1, [2]string{"a", "b"})
	if err != nil || len(claims) != 1 || claims[0].Name != "a and b: stay" || claims[0].Value != 87.5 ||
		claims[0].ControlValue != 25 || claims[0].Difference != 62.5 || claims[0].Control != "b" || claims[0].Seeds != 2 {
		t.Errorf("the claims are %+v (%v)", claims, err)
	}
	claims, err = s.Against(&other, "stay", "by chance", AgreementPercent, 1)
	if err != nil || len(claims) != 2 || claims[0].Name != "a: stay" || claims[0].Difference != 25 ||
		claims[1].Difference != -25 || claims[1].Control != "by chance" {
		t.Errorf("the claims are %+v (%v)", claims, err)
	}
	// One class of two images and two of one each: 1/2 ln 2 + 2/4 ln 4.
	if values, err := s.Values("a", EntropyNats, 1); err != nil || !approx.Equal(values[0], 1.5*math.Ln2, 1e-12) ||
		!approx.Equal(values[1], 1.5*math.Ln2, 1e-12) {
		t.Errorf("the entropies are %v (%v)", values, err)
	}
	plot, err := s.Plot(AgreementPercent)
	// Student's quantile of one degree of freedom is 12.706, the standard error 12.5.
	if err != nil || plot.YMax != 100 || plot.X != "segments missing, %" || len(plot.Series) != 2 ||
		!slices.Equal(plot.Series[0].X, []float64{0, 50}) || plot.Series[0].Y[1] != 87.5 ||
		!approx.Equal(plot.Series[0].High[1], 87.5+12.706204736*12.5, 1e-6) {
		t.Errorf("the plot is %+v (%v)", plot, err)
	}
	var one Seeds
	if err := one.Add("a", curveOf("1", "black", 0, 1, 2, 1)); err != nil {
		t.Fatal(err)
	}
	if plot, err := one.Plot(AgreementPercent); err != nil || plot.Series[0].Low != nil || plot.Series[0].Y[1] != 75 {
		t.Errorf("of one network the plot is %+v (%v)", plot, err)
	}
	if got, err := one.Table(); err != nil || got.Rows[1][4] != 75.0 {
		t.Errorf("of one network the table is %v (%v)", got.Rows, err)
	}
	long := curveOf("1", "black", 0, 1, 2, 1)
	long.Counts = []int{0, 3}
	var longer Seeds
	if err := longer.Add("a", long); err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"has other steps":   s.Add("a", long),
		"other steps than":  second(s.Against(&longer, "stay", "by chance", AgreementPercent, 1)),
		"it is nil":         s.Add("a", nil),
		"are no networks":   second(s.Values("c", AgreementPercent, 1)),
		"measure is empty":  second(s.Values("a", Measure{}, 1)),
		"steps 0 to 1, not": second(s.Values("a", EntropyNats, 2)),
		"no curves to":      second((*Seeds)(nil).Against(&s, "stay", "by chance", AgreementPercent, 1)),
		"there are []":      second(s.Against(nil, "stay", "by chance", AgreementPercent, 1)),
		"at least":          second(one.Claims("stay", AgreementPercent, 1, [2]string{"a", "a"})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want it to say %q", err, want)
		}
	}
}

// The order of a network is that of its own explanations.
func TestOrders(t *testing.T) {
	m := brightness(t, 5, 10) // in patch 5 of 3 x 3
	images := tensors.FromScalarAndDimensions(float32(1), 2, 12, 12, 3)
	segments := patches(t, 2, 12, 12, 4)
	first, err := LIME{Masks: 200}.First(m, images, segments, Fill{}, 3)
	if err != nil {
		t.Fatal(err)
	}
	e, err := LIME{Masks: 200, Seed: 3, How: Fill{}}.Explain(m, images, segments)
	if err != nil || fmt.Sprint(first) != fmt.Sprint(e.Orders()) || first[0][0] != 5 {
		t.Errorf("LIME's order is %v, want %v (%v)", first, e.Orders(), err)
	}
	for want, err := range map[string]error{
		"no segments":   second(LIME{}.First(m, images, nil, Fill{}, 0)),
		"there are no ": second(ByChance(m, images, nil, Fill{}, 0)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want it to say %q", err, want)
		}
	}
}

// A sheet's pictures miss what the curve's images missed, and its titles are the curve's answers.
func TestSheet(t *testing.T) {
	m := brightness(t, 5, 10)
	images := tensors.FromScalarAndDimensions(float32(1), 2, 12, 12, 3)
	segments := patches(t, 2, 12, 12, 4)
	order := []int{5, 0, 1, 2, 3, 4, 6, 7, 8}
	bright := func(picture image.Image, x, y int) bool {
		r, _, _, _ := picture.At(picture.Bounds().Min.X+x, picture.Bounds().Min.Y+y).RGBA()
		return r > 0x8000
	}
	for _, keep := range []bool{false, true} {
		g, err := Ablation{Counts: []int{0, 1}, Keep: keep}.Sheet(m, images, segments, [][]int{order, order})
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Rows) != 2 || len(g.Rows[0]) != 2 {
			t.Fatalf("the sheet has %d rows", len(g.Rows))
		}
		// The pixel in patch 5, and another: before, and after one segment is taken away or kept.
		got := []bool{bright(g.Rows[1][0].Image, 10, 5), bright(g.Rows[1][0].Image, 1, 1), bright(g.Rows[1][1].Image, 10, 5),
			bright(g.Rows[1][1].Image, 1, 1)}
		want, columns := []bool{true, true, false, true}, []string{"0% missing", "11% missing"}
		titles := []string{"0\np 0.95", "1\np 0.27"}
		if keep {
			want, columns = []bool{false, false, true, false}, []string{"0% kept", "11% kept"}
			titles = []string{"1\np 0.27", "0\np 0.95"}
		}
		if !slices.Equal(got, want) || !slices.Equal(g.Columns, columns) || g.Rows[1][0].Title != titles[0] ||
			g.Rows[1][1].Title != titles[1] {
			t.Errorf("keep %v: pixels %v, columns %q, titles %q and %q", keep, got, g.Columns, g.Rows[1][0].Title,
				g.Rows[1][1].Title)
		}
	}
	many := Ablation{Counts: make([]int, 101)}
	if _, err := many.Sheet(m, images, segments, [][]int{order, order}); err == nil ||
		!strings.Contains(err.Error(), "202 pictures") {
		t.Errorf("the error is %v", err)
	}
	if _, err := many.Sheet(m, images, nil, nil); err == nil || !strings.Contains(err.Error(), "no segments") {
		t.Errorf("the error is %v", err)
	}
}

func TestSideBySide(t *testing.T) {
	m := brightness(t, 5, 10)
	images := tensors.FromScalarAndDimensions(float32(1), 2, 12, 12, 3)
	segments := patches(t, 2, 12, 12, 4)
	e, err := LIME{Masks: 100}.Explain(m, images, segments)
	if err != nil {
		t.Fatal(err)
	}
	f, err := LIME{Masks: 100, How: Fill{With: mask.Constant(0.5)}}.Explain(m, images, segments)
	if err != nil {
		t.Fatal(err)
	}
	g, err := SideBySide(images, e, f)
	if err != nil || !slices.Equal(g.Columns, []string{"segments", "one pixel, black", "one pixel, constant 0.5"}) ||
		len(g.Rows) != 2 || len(g.Rows[1]) != 3 {
		t.Fatalf("the grid is %+v (%v)", g, err)
	}
	if want := fmt.Sprintf("0\nR² %.2f", f.R2[1]); g.Rows[1][2].Title != want || g.Rows[1][0].Title != "" {
		t.Errorf("the titles are %q and %q, want %q", g.Rows[1][0].Title, g.Rows[1][2].Title, want)
	}
	other, err := LIME{Masks: 100}.Explain(m, images, patches(t, 2, 12, 12, 6))
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"no explanations": second(SideBySide(images)),
		"2 of 2 is empty": second(SideBySide(images, e, nil)),
		"other segments":  second(SideBySide(images, e, other)),
		"2 images of":     second(SideBySide(noise(3, 12, 12, 3, 1), e)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want it to say %q", err, want)
		}
	}
}
